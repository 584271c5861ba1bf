"""The terms of the risk analysis, on a case that is known exactly and on random ones."""

import numpy as np
import pytest

from lgaa_jax.evaluation import (
    risk,
)


def test_discrepancy_of_threshold_functions_is_the_mass_between_them():
    """h_a(x) = [x > a] on a line: h_a and h_b disagree between a and b, so that the discrepancy of
    two distributions is the greatest difference of their masses on an interval of the family."""
    p, q = np.arange(0.0, 10.0), np.arange(5.0, 15.0)  # uniform on 0..9, and on 5..14
    thresholds = np.array([-0.5, 4.5, 9.5, 14.5])
    on_p, on_q = (np.stack([x > a for a in thresholds]).astype(int) for x in (p, q))
    # Between -0.5 and 4.5 lies half of P and nothing of Q; no interval of the family differs more.
    assert risk.discrepancy(on_p, on_q) == pytest.approx(0.5)
    assert risk.discrepancy(on_p[1:3], on_q[1:3]) == pytest.approx(0.0)  # half of each in between
    assert risk.discrepancy(on_q, on_p) == pytest.approx(0.5)
    assert risk.discrepancy(on_p, on_p) == 0.0


def test_a_larger_family_never_makes_the_discrepancy_smaller():
    rng = np.random.default_rng(0)
    on_p, on_q = rng.integers(0, 3, (5, 40)), rng.integers(0, 3, (5, 30))
    values = [risk.discrepancy(on_p[:m], on_q[:m]) for m in range(1, 6)]
    assert values == sorted(values)
    assert values[0] == 0.0  # one member agrees with itself everywhere


@pytest.mark.parametrize("seed", range(20))
def test_the_bound_holds_whatever_the_labels(seed):
    rng = np.random.default_rng(seed)
    on_p, on_q = rng.integers(0, 4, (3, 25)), rng.integers(0, 4, (3, 35))
    on_p[0] = np.where(rng.random(25) < 0.8, on_p[2], on_p[0])  # families agree more than chance
    labels = np.where(rng.random(25) < 0.7, on_p[2], rng.integers(0, 4, 25))
    got = risk.terms(on_p, labels, on_q, h=2, g=0)
    assert got["target_risk"] == np.mean(on_p[2] != labels)
    assert got["source_risk"] == np.mean(on_q[2] != on_q[0])
    assert got["labelling_error"] == np.mean(on_p[0] != labels)
    assert got["target_risk"] <= got["bound"] + 1e-12
    parts = got["source_risk"] + got["discrepancy"] + got["labelling_error"]
    assert got["bound"] == pytest.approx(parts)


def test_perfect_replay_leaves_nothing_but_the_two_errors():
    """Q = P, labelled by g: the discrepancy vanishes."""
    rng = np.random.default_rng(1)
    on_p, labels = rng.integers(0, 2, (2, 50)), rng.integers(0, 2, 50)
    got = risk.terms(on_p, labels, on_p, h=1, g=0)
    assert got["discrepancy"] == 0.0
    assert got["bound"] == pytest.approx(got["source_risk"] + got["labelling_error"])
