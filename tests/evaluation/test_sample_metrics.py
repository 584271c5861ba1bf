"""Metrics of generated images against SciPy, brute force and cases known by hand."""

import numpy as np
import pytest
import scipy.linalg

from lgaa_jax.evaluation import sample_metrics

RNG = np.random.default_rng(0)
A = RNG.normal(size=(300, 12)) @ RNG.normal(size=(12, 12))
B = 0.5 + RNG.normal(size=(200, 12)) @ RNG.normal(size=(12, 12))


def test_frechet_distance_agrees_with_scipy():
    root = scipy.linalg.sqrtm(np.cov(A.T) @ np.cov(B.T))
    expected = np.sum((A.mean(0) - B.mean(0)) ** 2)
    expected += np.trace(np.cov(A.T) + np.cov(B.T) - 2 * root.real)
    assert sample_metrics.frechet_distance(A, B) == pytest.approx(expected, rel=1e-6)
    assert sample_metrics.frechet_distance(B, A) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_of_two_gaussians_on_a_line_is_known():
    a = np.linspace(-1, 1, 101)[:, None]
    assert sample_metrics.frechet_distance(a, 3 * a + 2) == pytest.approx(
        4 + (2 * a.std(ddof=1)) ** 2
    )


def test_frechet_distance_is_zero_for_equal_sets_and_ignores_order():
    assert sample_metrics.frechet_distance(A, A) == pytest.approx(0, abs=1e-8)
    assert sample_metrics.frechet_distance(A, RNG.permutation(A)) == pytest.approx(0, abs=1e-8)
    shuffled = sample_metrics.frechet_distance(RNG.permutation(A), RNG.permutation(B))
    assert shuffled == pytest.approx(sample_metrics.frechet_distance(A, B), rel=1e-9)


def test_frechet_distance_of_fewer_rows_than_features():
    """The covariances are singular then; the value is still SciPy's up to its precision."""
    a, b = A[:8], B[:8]
    root = scipy.linalg.sqrtm(np.cov(a.T) @ np.cov(b.T) + 1e-12 * np.eye(12))
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(
        np.cov(a.T) + np.cov(b.T) - 2 * root.real
    )
    assert sample_metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-3)


def covered(points, centres, k):
    """The share of points within the k-th neighbour's distance of a centre, one pair at a time."""

    def distance(p, q):
        return np.sqrt(np.sum((p - q) ** 2))

    inside = 0
    for p in points:
        for i, c in enumerate(centres):
            others = sorted(distance(c, o) for j, o in enumerate(centres) if j != i)
            if distance(p, c) <= others[k - 1]:
                inside += 1
                break
    return inside / len(points)


@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_agree_with_brute_force(k, monkeypatch):
    monkeypatch.setattr(sample_metrics, "CHUNK", 7)  # several, the last one shorter
    real, fake = A[:40, :3], B[:30, :3]
    got = sample_metrics.precision_recall(real, fake, k)
    assert got == (covered(fake, real, k), covered(real, fake, k))
    assert 0 < got[0] < 1


def test_precision_and_recall_of_known_sets():
    assert sample_metrics.precision_recall(A, A) == (1.0, 1.0)
    assert sample_metrics.precision_recall(A, A + 1e4) == (0.0, 0.0)
    # Samples of a part of the real set are precise and do not cover it.
    line = np.stack([np.arange(100.0), np.zeros(100)], 1)
    assert sample_metrics.precision_recall(line, line[:10]) == (1.0, 0.13)
    with pytest.raises(ValueError, match="3 neighbours need more"):
        sample_metrics.precision_recall(A[:3], A)
    with pytest.raises(ValueError, match="features are"):
        sample_metrics.frechet_distance(A[0], B)


def test_class_balance_is_the_share_of_the_greatest_entropy():
    even = np.tile([2, 5], 10)
    assert sample_metrics.class_balance(even, (2, 5)) == pytest.approx(1)
    assert sample_metrics.class_balance(np.full(10, 2), (2, 5)) == pytest.approx(0)
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    skewed = sample_metrics.class_balance(np.array([2, 5, 5, 5]), (2, 5))
    assert skewed == pytest.approx(entropy / np.log(2))
    assert sample_metrics.class_balance(np.full(10, 3), (3,)) == 1.0


def test_four_points_and_a_generator_of_one_image_have_finite_figures():
    """The fewest that `eval.samples` allows; all samples are one point, among the real ones."""
    real, fake = A[:4], np.tile(A[:1], (4, 1))
    assert sample_metrics.precision_recall(real, fake) == (1.0, 0.25)
    expected = np.sum((real.mean(0) - A[0]) ** 2) + np.trace(np.cov(real.T))
    assert sample_metrics.frechet_distance(real, fake) == pytest.approx(expected)
    assert sample_metrics.frechet_distance(fake, fake) == pytest.approx(0.0)
