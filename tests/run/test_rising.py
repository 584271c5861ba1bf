"""The warning of a squared error that has risen."""

from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
from conftest import small_config

from lgaa_jax.run.rising import RISE, STEPS, Rise
from lgaa_jax.run.training import MetricsWriter


def told(errors, every=50):
    """The steps at which there is a warning, and the warnings; a line after each `every` steps."""
    rise = Rise("digits")
    found = {every * (i + 1): rise.warning(every * (i + 1), e) for i, e in enumerate(errors)}
    return {step: sentence for step, sentence in found.items() if sentence}


def test_an_error_that_rises_and_stays_is_told_of_once():
    found = told([500, 90, 64, 1020, 1003, 1054, 990, 1000])
    assert found.keys() == {300}
    assert "of digits rose from 64 to 1020 by step 200" in found[300]


def test_one_that_comes_back_is_not():
    assert not told([64, 1020, 1003, 70, 1020, 1003, 64])


def test_with_a_line_each_step_as_many_steps_must_pass():
    assert not told([1.0, *np.full(STEPS, 1.1 * RISE)], every=1)
    assert told([1.0, *np.full(STEPS + 1, 1.1 * RISE)], every=1).keys() == {STEPS + 2}


@pytest.mark.parametrize("errors", [[0.0] * 9, np.geomspace(900, 1, 40), [1, *[3.9] * 9], [8.0]])
def test_errors_that_fall_or_vary_are_sound(errors):
    assert not told(errors)


def test_a_run_says_so_on_its_console():
    said, learner = [], SimpleNamespace(rates={})
    config = small_config(**{"log.every": 50})
    experiment = SimpleNamespace(config=config, names=["digits"], ends=[500], learner=learner)
    session = SimpleNamespace(experiment=experiment, console=SimpleNamespace(say=said.append))
    writer = MetricsWriter(session, 0, Mock(), Mock())
    for step, error in ((50, 64.0), (100, 900.0), (150, 901.0), (200, 902.0)):
        writer.hold(step, {"train/loss/reconstruction": np.float32(error)}, 1.0)
        assert not said
        writer.write()
    assert [sentence[:45] for sentence in said] == ["warning: the squared error of digits rose fro"]
