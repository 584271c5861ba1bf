"""Two real processes, which tell each other what they have."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from examples.several_processes import free_port
from lgaa_jax.training import hosts

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def facts():
    """What each of the two found."""
    script, port = Path(__file__).with_name("two_processes.py"), str(free_port())
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [
        subprocess.Popen([sys.executable, script, port, str(k)], env=env, **pipes) for k in range(2)
    ]
    told = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    return [json.loads(stdout.splitlines()[-1]) for stdout, _ in told]


def test_one_process_needs_no_other():
    assert (hosts.count(), hosts.number(), hosts.first()) == (1, 0, True)
    assert hosts.shared(lambda: 3) == 3
    assert hosts.gathered(3) == [3]


def test_the_first_one_makes_and_all_have_it(facts):
    assert [found["who"] for found in facts] == [[2, 0, True], [2, 1, False]]
    for found in facts:
        assert found["shared"] == {"pair": [0, None], "text": "x" * 1000}
        assert found["error"] == "of process 0"
        assert found["gathered"] == ["y", "y" * 501]
        assert found["spread"] == [7, [0, 1, 2]]


def test_arrays_are_divided_among_the_devices_of_all(facts):
    """Each has two devices; of a CPU one is taken unless the config asks for more."""
    for number, found in enumerate(facts):
        few, all_four = found["layouts"]
        assert (few["devices"], all_four["devices"]) == (2, 4)
        assert few["own rows"] == [number * 12.0]
        assert all_four["own rows"] == [number * 12.0, number * 12.0 + 6]
        for layout in (few, all_four):
            assert layout["whole"]
            assert layout["fetched"]
            assert layout["local"] == [str(number)]
        assert found["odd"].startswith("devices=3 cannot be divided evenly among 2 processes")


def test_all_stop_in_the_same_round(facts):
    for found in facts:
        assert found["stopped"] == [0, 0, 1, 0]
        assert found["stopped last"] == [0, 2]


def test_another_config_or_other_data_are_told_by_all_alike(facts):
    """But not that the data lie elsewhere."""
    for found in facts:
        assert found["same"] is None
        assert found["config"].startswith("process 1 on ")
        assert "has other config than process 0: seed 6 (process 0: 5); start" in found["config"]
        assert "has other data than process 0: digits.images 1 (process 0: 0)" in found["data"]
