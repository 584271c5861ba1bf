import math

import numpy as np
import pytest

from lgaa_jax.evaluation import (
    lifelong,
)

# Three tasks. Task 0: best 0.95 (after task 1), last 0.6. Task 1: best 0.8, last 0.9.
R = [[0.9, None, None], [0.95, 0.8, None], [0.6, 0.9, 0.75]]


def test_hand_computed():
    assert lifelong.average_accuracy(R) == pytest.approx((0.6 + 0.9 + 0.75) / 3)
    assert lifelong.forgetting(R) == pytest.approx((0.35 + -0.1) / 2)
    assert lifelong.forgetting_by_task(R) == pytest.approx({0: 0.35, 1: -0.1})
    assert lifelong.backward_transfer(R) == pytest.approx((-0.3 + 0.1) / 2)


def test_a_run_under_way_uses_the_last_row_present():
    for rows in (R[:2], [*R[:2], [None] * 3]):
        assert lifelong.average_accuracy(rows) == pytest.approx(0.875)
        assert lifelong.forgetting(rows) == pytest.approx(-0.05)
        assert lifelong.backward_transfer(rows) == pytest.approx(0.05)


def test_rows_between_may_lack_earlier_tasks_and_those_at_the_end_do_not_count():
    some = [[0.9, None, None], [None, 0.8, None], [0.6, 0.9, 0.75]]
    assert lifelong.average_accuracy(some) == pytest.approx(0.75)
    assert lifelong.forgetting_by_task(some) == pytest.approx({0: 0.3, 1: -0.1})
    assert lifelong.backward_transfer(some) == pytest.approx((-0.3 + 0.1) / 2)
    for f in (lifelong.average_accuracy, lifelong.forgetting, lifelong.backward_transfer):
        assert f(some[:2]) == f(some[:1])


def test_undefined_after_one_task():
    assert lifelong.average_accuracy(R[:1]) == pytest.approx(0.9)
    assert lifelong.forgetting(R[:1]) is None
    assert lifelong.forgetting_by_task(R[:1]) == {}
    assert lifelong.backward_transfer(R[:1]) is None


def test_full_rows():
    full = [[0.2, 0.8], [0.6, 0.7]]  # joint training: every task is known after every row
    assert lifelong.average_accuracy(full) == pytest.approx(0.65)
    assert lifelong.average_accuracy(full[:1]) == pytest.approx(0.5)
    assert lifelong.forgetting(full) == pytest.approx(-0.4)
    assert lifelong.backward_transfer(full) == pytest.approx(0.4)


def test_a_task_without_classes_is_left_out_of_every_mean():
    """The tasks above, and between them one without; the last column may be one, too."""
    wider = [[0.9, None, None, None], [0.85, None, None, None], [0.95, None, 0.8, None]]
    assert lifelong.average_accuracy(wider) == pytest.approx(0.875)
    assert lifelong.forgetting(wider) == pytest.approx(-0.05)
    assert lifelong.forgetting_by_task(wider) == pytest.approx({0: -0.05})
    assert lifelong.backward_transfer(wider) == pytest.approx(0.05)
    last = [[0.9, None], [0.6, None]]
    assert lifelong.average_accuracy(last) == pytest.approx(0.6)
    assert lifelong.forgetting(last) == -lifelong.backward_transfer(last) == pytest.approx(0.3)
    first = [[None, None], [None, 0.7]]
    assert lifelong.average_accuracy(first) == pytest.approx(0.7)
    assert lifelong.forgetting(first) is None
    assert lifelong.backward_transfer(first) is None


def test_none_and_nan_are_the_same():
    nan = [[math.nan if v is None else v for v in row] for row in R]
    for f in (lifelong.average_accuracy, lifelong.forgetting, lifelong.backward_transfer):
        assert f(nan) == f(np.array(nan)) == f(R)


def _random(rng, n):
    r = rng.uniform(size=(n, n))
    r[np.triu_indices(n, 1)] = np.nan
    return r


@pytest.mark.parametrize("n", [2, 3, 6])
def test_forgetting_is_at_least_minus_backward_transfer(n):
    r = _random(np.random.default_rng(n), n)
    assert lifelong.forgetting(r) >= -lifelong.backward_transfer(r) - 1e-12


def test_a_constant_added_to_all_moves_only_the_average():
    r = _random(np.random.default_rng(0), 5)
    assert lifelong.average_accuracy(r + 0.25) == pytest.approx(lifelong.average_accuracy(r) + 0.25)
    assert lifelong.forgetting(r + 0.25) == pytest.approx(lifelong.forgetting(r))
    assert lifelong.backward_transfer(r + 0.25) == pytest.approx(lifelong.backward_transfer(r))


def test_nothing_forgotten_when_accuracies_never_change():
    r = np.where(np.tri(4, dtype=bool), np.linspace(0.1, 0.9, 4), np.nan)
    assert lifelong.forgetting(r) == lifelong.backward_transfer(r) == 0


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ([0.1, 0.2], "two axes"),
        ([[None, None]], "empty"),
        ([[0.1], [0.2]], "more rows than tasks"),
        ([[None, None], [0.1, 0.2]], "task 0 after task 0"),
    ],
)
def test_refuses(bad, says):
    with pytest.raises(ValueError, match=says):
        lifelong.average_accuracy(bad)
