"""What is kept of the ends of earlier tasks: enough for all that is made of them later."""

import jax
import pytest
from conftest import LEARNED, assert_equal, save_ends, small_config

import lgaa_jax
from lgaa_jax.run import driver
from lgaa_jax.run.verifying import verify
from lgaa_jax.workdir import checkpoint

CONFIG = {**LEARNED, "tasks": "digits[0-4],letters,digits[5-9]"}  # with programs of other tests


def moved(state):
    """A state with other networks."""
    params, ema = jax.tree.map(lambda a: a * 1.1 + 0.01, (state.params, state.ema))
    return state.replace(params=params, ema=ema)


def kept(workdir):
    """Bytes of what is kept of the first task's end, by folder."""
    folders = {path.parent.name: path for path in workdir.glob("*/5") if path.is_dir()}
    return {name: sum(f.stat().st_size for f in p.rglob("*")) for name, p in folders.items()}


@pytest.mark.ci
def test_what_lasts_of_earlier_ends_is_evaluated_and_loaded_as_all_of_them_would_be(
    tmp_path, monkeypatch
):
    """Its terms of the risk, too, are of the replay that the task before had left."""
    monkeypatch.setattr(checkpoint, "WHOLE_ENDS", 1)
    found = []
    for name, keep in (("whole", 9), ("less", 1)):
        config = small_config(**CONFIG, **{"log.keep_checkpoints": keep})
        save_ends(config, tmp_path / name, moved)
        results = driver.evaluate(config, tmp_path / name, step=10)
        model = lgaa_jax.load(tmp_path / name, step=10)
        images = model.generate(4, task="digits[0-4]", seed=0)
        found.append((results, [images, model.encode(images)]))
    whole, less = kept(tmp_path / "whole"), kept(tmp_path / "less")
    assert (list(whole), list(less)) == (["checkpoints"], ["task_ends"])
    assert less["task_ends"] < 0.5 * whole["checkpoints"]
    (results, arrays), (others, other_arrays) = found
    assert results == others
    assert [entry["after_task"] for entry in results["risk"]][1:] == ["letters"] * 2
    assert_equal(arrays, other_arrays)
    assert verify(tmp_path / "less")
