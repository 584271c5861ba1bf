"""metrics.jsonl and TensorBoard: what is on disk, and what a run that goes on drops."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import shown

from lgaa_jax.workdir.scalars import ScalarLog


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_scalars_are_on_disk_at_once(tmp_path):
    with ScalarLog(tmp_path) as log:
        log.scalars(5, 0, {"train/loss/critic": jnp.float32(0.5), "n": 2})
        assert lines(tmp_path) == [{"step": 5, "task": 0, "train/loss/critic": 0.5, "n": 2.0}]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scalars_refuse_what_is_no_json(tmp_path, bad):
    with ScalarLog(tmp_path) as log:
        with pytest.raises(ValueError, match=r"train/loss is .* at step 7"):
            log.scalars(7, 0, {"train/loss": bad})
        with pytest.raises(ValueError, match="'step'"):
            log.scalars(7, 0, {"step": 1.0})
    assert lines(tmp_path) == []


def test_a_resumed_log_drops_the_lines_of_steps_to_be_done_again(tmp_path):
    with ScalarLog(tmp_path) as log:
        for step in (10, 20, 30):
            log.scalars(step, 0, {"x": step})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 15, "ta')
    with ScalarLog(tmp_path, resume_step=20) as log:
        log.scalars(25, 1, {"x": 0})
    assert [line["step"] for line in lines(tmp_path)] == [10, 20, 25]
    with ScalarLog(tmp_path, resume_step=0):
        pass
    assert lines(tmp_path) == []


def test_a_resumed_log_has_each_evaluation_once_after_the_training_of_its_step(tmp_path):
    """One that a kill had cut short, one that was not written, and one of a step to be redone."""
    with ScalarLog(tmp_path) as log:
        log.scalars(10, 0, {"x": 1})
        log.scalars(10, 0, {"eval/a/accuracy": 0.1})
        log.scalars(15, 1, {"x": 2})
        log.scalars(20, 1, {"x": 3})
        log.scalars(30, 2, {"eval/a/accuracy": 0.3})
    evaluations = [(10, 0, {"eval/a/accuracy": 0.5}), (20, 1, {"eval/a/accuracy": 0.6})]
    with ScalarLog(tmp_path, 20, evaluations):
        pass
    assert [tuple(line.values()) for line in lines(tmp_path)] == [
        (10, 0, 1.0),
        (10, 0, 0.5),
        (15, 1, 2.0),
        (20, 1, 3.0),
        (20, 1, 0.6),
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_tensorboard_holds_scalars_and_pictures(tmp_path, channels):
    with ScalarLog(tmp_path, resume_step=4) as log:
        log.scalars(5, 0, {"train/loss": 0.5})
        log.image(5, "pictures/drawn", np.zeros((4, 6, channels), np.uint8))
    (events,) = (tmp_path / "tensorboard").iterdir()
    content = events.read_bytes()
    assert b"train/loss" in content
    assert b"pictures/drawn" in content
    assert b"PNG" in content


def test_tensorboard_has_each_step_once_wherever_a_kill_came(tmp_path):
    """Between an evaluation and its line; after lines of steps that are done again."""
    with ScalarLog(tmp_path) as log:
        for step in (5, 10, 15):
            log.scalars(step, 0, {"x": step})
        log.flush()
        assert shown(tmp_path) == {"x": [5, 10, 15]}
    evaluation = {"eval/a/accuracy": 0.5}
    with ScalarLog(tmp_path, 10, [(10, 0, evaluation)]) as log:
        log.image(10, "a/real", np.zeros((4, 6, 1), np.uint8))
        log.scalars(15, 1, {"x": 15})
    assert shown(tmp_path) == {"x": [5, 10, 15], "eval/a/accuracy": [10], "a/real": [10]}
    with ScalarLog(tmp_path, 15, [(10, 0, evaluation)]):
        pass
    assert shown(tmp_path) == {"x": [5, 10, 15], "eval/a/accuracy": [10], "a/real": [10]}
    assert [line["step"] for line in lines(tmp_path)] == [5, 10, 10, 15]
