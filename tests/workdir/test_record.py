"""The record of a run: what it takes in, and that records of all versions can be read."""

import json
import math

import pytest

from lgaa_jax.workdir.record import Record, finite

FIRST = {"a": {"accuracy": 0.5}}
SECOND = {"a": {"accuracy": 0.25}, "b": {"accuracy": 0.75}}


def test_metrics_that_are_inf_or_nan_are_left_out():
    values = {"psnr": math.inf, "ssim": 1.0, "fid": math.nan, "mse": 0.0, "x": -math.inf}
    assert finite(values) == {"ssim": 1.0, "mse": 0.0}
    record = Record().with_task(0, 5, {"a": values}, {})
    assert record.measured == ({"a": {"ssim": 1.0, "mse": 0.0}},)


def test_a_task_that_is_measured_again_replaces_what_was_measured_after_it():
    record = Record(seconds=2.0).with_task(0, 5, FIRST, {"samples": 1})
    record = record.with_task(1, 10, SECOND, {"samples": 2})
    assert record.measured == (FIRST, SECOND)
    assert record.measured_with == ({"samples": 1}, {"samples": 2})
    assert (record.step, record.seconds) == (10, 2.0)
    assert record.with_task(1, 10, SECOND, {"samples": 2}) == record
    back = record.with_task(0, 5, FIRST, {"samples": 3})
    assert (back.measured, back.measured_with, back.step) == ((FIRST,), ({"samples": 3},), 5)


def test_time_adds_up():
    assert Record(seconds=1.5).after(2.0).seconds == 3.5


def test_a_record_comes_back_from_json():
    record = Record(seconds=1.5).with_task(0, 5, FIRST, {"samples": 1, "generation": "last"})
    assert Record.from_json(json.loads(json.dumps(record.to_json()))) == record
    assert Record.from_json(json.loads(json.dumps(Record().to_json()))) == Record()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_record_of_an_earlier_version_is_read_and_does_not_say_how_it_measured(count):
    stored = {"rows": [FIRST, SECOND][:count], "step": 5 * count, "seconds": 1.0}
    record = Record.from_json(stored)
    assert record.measured == (FIRST, SECOND)[:count]
    assert record.measured_with == (None,) * count
    more = record.with_task(count, 15, SECOND, {"samples": 1})
    assert more.measured_with == (None,) * count + ({"samples": 1},)
