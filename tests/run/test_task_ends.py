"""What is kept of the ends of earlier tasks: enough for all that is made of them later."""

import jax
import jax.numpy as jnp
from conftest import assert_equal, same, small_config

import lgaa_jax
from lgaa_jax.run import driver
from lgaa_jax.run.session import open_session
from lgaa_jax.run.verifying import verify
from lgaa_jax.training.state import begin_task
from lgaa_jax.workdir.metadata import write_metadata
from lgaa_jax.workdir.record import Record

TASKS = "digits[0-2],letters[0-2],digits[3-5],letters[3-5]"
CONFIG = {"tasks": TASKS, "max_tasks": 4, "eval.generation": "never", "eval.samples": 20}


def ended(workdir, **changes):
    """A run that stands at its end, not evaluated; its networks differ from task to task."""
    config = small_config(**CONFIG, **changes)
    run = open_session(config, workdir)
    write_metadata(workdir, run.written)
    state = run.fresh()
    with run.checkpoints:
        for task, end in enumerate(run.experiment.ends):
            state = begin_task(state) if task else state
            moved = jax.tree.map(lambda a: a * 1.1 + 0.01, (state.params, state.ema))
            state = state.replace(step=jnp.int32(end), params=moved[0], ema=moved[1])
            run.save(end, state, Record())
    return config


def kept(workdir):
    """Bytes of what is kept of the first task's end, by folder."""
    folders = {path.parent.name: path for path in workdir.glob("*/5") if path.is_dir()}
    return {name: sum(f.stat().st_size for f in p.rglob("*")) for name, p in folders.items()}


def test_what_lasts_of_earlier_ends_is_evaluated_and_loaded_as_all_of_them_would_be(tmp_path):
    """Its terms of the risk, too, are of the replay that the task before had left."""
    found = []
    for name, keep in (("whole", 9), ("less", 1)):
        config = ended(tmp_path / name, **{"log.keep_checkpoints": keep})
        results = driver.evaluate(config, tmp_path / name, step=10)
        model = lgaa_jax.load(tmp_path / name, step=10)
        images = model.generate(4, task="digits[0-2]", seed=0)
        assert not same(images, lgaa_jax.load(tmp_path / name).generate(4, "digits[0-2]", seed=0))
        found.append((results, [images, model.encode(images)]))
    whole, less = kept(tmp_path / "whole"), kept(tmp_path / "less")
    assert (list(whole), list(less)) == (["checkpoints"], ["task_ends"])
    assert less["task_ends"] < 0.5 * whole["checkpoints"]
    (results, arrays), (others, other_arrays) = found
    assert results == others
    assert [entry["after_task"] for entry in results["risk"]][1:] == ["letters[0-2]"] * 2
    assert_equal(arrays, other_arrays)
    assert verify(tmp_path / "less")
