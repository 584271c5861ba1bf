"""What is told of a number that is not finite."""

import types

import numpy as np
import pytest
from conftest import read_json, small_config

from lgaa_jax.errors import UserError
from lgaa_jax.run.health import FAILURE, Health, failed_step
from lgaa_jax.run.session import Session

GOOD = {"train/loss/critic": np.float32(1.5), "train/grad_norm/critic": np.float32(2.0)}
GOOD |= {"train/grad_norm/generator": np.float32(3.0), "train/kl/z": np.float32(0.25)}


def health(workdir, steps=()):
    checkpoints = types.SimpleNamespace(sound_steps=lambda: list(steps))
    experiment = types.SimpleNamespace(config=small_config(retries=1))
    return Health(Session(experiment, workdir, checkpoints, None, {}), "digits")


def test_finite_metrics_come_back_as_floats(tmp_path):
    assert health(tmp_path).check(3, GOOD) == {name: float(v) for name, v in GOOD.items()}
    assert failed_step(tmp_path) is None


@pytest.mark.parametrize(
    ("bad", "phase", "metric"),
    [
        ({"train/grad_norm/generator": np.inf}, "generator", "train/grad_norm/generator"),
        (dict.fromkeys(GOOD, np.nan), "critic", "train/loss/critic"),
        ({"train/kl/z": -np.inf}, None, "train/kl/z"),
    ],
)
def test_the_first_phase_and_the_step_before_are_named(tmp_path, bad, phase, metric):
    checked = health(tmp_path, [4, 8])
    checked.check(9, GOOD)
    with pytest.raises(UserError, match=rf"^{metric} became \S+ in step 10 \(task digits") as error:
        checked.check(10, {**GOOD, **bad})
    assert (f"phase {phase}" in str(error.value)) == (phase is not None)
    assert "after train/loss/critic 1.5 in step 9" in str(error.value)
    assert "the checkpoint of step 8 is kept" in str(error.value)
    assert "With --config.retries=4 it goes back" in str(error.value)
    found = read_json(tmp_path / FAILURE)
    assert (found.get("phase"), found["metric"]) == (phase, metric)
    assert found["last"]["step"] == 9
    assert failed_step(tmp_path) == 10


def test_where_nothing_was_saved_and_nothing_can_be_written_it_is_told_all_the_same(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"in step 1 .* so training stopped; nothing was saved"):
        health(tmp_path / "file").check(1, dict.fromkeys(GOOD, np.nan))
