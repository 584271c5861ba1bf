"""Disentanglement against other ways to compute it, and of codes for which it is known."""

import numpy as np
import pytest
from scipy.linalg import hadamard
from sklearn.metrics import mutual_info_score

from lgaa_jax.explore import disentanglement, factors

RNG = np.random.default_rng(0)
SIZES = (4, 6, 3, 4)  # values of the factors
# Every combination of values equally often: no factor tells anything of another one.
FACTORS = RNG.permutation(np.stack(np.unravel_index(np.arange(1440) % 288, SIZES), axis=1))
N, HALF = len(FACTORS), len(FACTORS) // 2
# A dimension for each of the first two factors, both noisy; one that is constant, and one of noise.
CODES = np.column_stack(
    [
        FACTORS[:, 0] + RNG.normal(0, 0.3, N),
        FACTORS[:, 1] - 0.5 * FACTORS[:, 0] + RNG.normal(0, 1, N),
        np.full(N, 7.0),
        RNG.normal(size=N),
    ]
).astype(np.float32)
ALIGNED = FACTORS.astype(np.float32)
# The factors, each as much in every dimension. Noise makes them continuous: on a lattice almost
# every axis tells all of its points apart.
SPREAD = FACTORS + RNG.uniform(-0.5, 0.5, FACTORS.shape)
TURNED = (SPREAD - SPREAD.mean(0)) / SPREAD.std(0) @ hadamard(4) / 2


def bins(column):
    """Bins of equal width as numpy.histogram has them, the last one closed."""
    edges = np.histogram_bin_edges(np.float64(column), disentanglement.BINS)
    return np.digitize(column, edges[1:-1])


def entropy(values):
    p = np.bincount(values) / len(values)
    return -sum(q * np.log(q) for q in p if q > 0)


def test_the_mutual_information_gap_is_that_of_scikit_learns_information():
    expected = []
    for k in range(4):
        told = sorted(mutual_info_score(bins(code), FACTORS[:, k]) for code in CODES.T)
        expected.append((told[-1] - told[-2]) / entropy(FACTORS[:, k]))
    np.testing.assert_allclose(disentanglement.gaps(CODES, FACTORS), expected, atol=1e-12)
    assert expected[0] > 0.4 > expected[1] > 5 * max(expected[2:])


def test_a_dimension_for_each_factor_has_the_greatest_gap_and_turned_axes_hardly_any():
    np.testing.assert_allclose(disentanglement.gaps(ALIGNED, FACTORS), 1.0)
    assert disentanglement.gaps(TURNED, FACTORS).mean() < 0.05
    twice = np.concatenate([ALIGNED, ALIGNED], axis=1)
    np.testing.assert_allclose(disentanglement.gaps(twice, FACTORS), 0.0, atol=1e-12)
    np.testing.assert_allclose(disentanglement.gaps(ALIGNED[:, :1], FACTORS)[0], 1.0)


def test_turned_codes_are_the_scaled_ones_in_other_axes():
    turned = disentanglement.turned(CODES)
    scaled = CODES - CODES.mean(0)
    scaled[:, [0, 1, 3]] /= CODES[:, [0, 1, 3]].std(0)
    np.testing.assert_allclose(turned @ turned.T, scaled @ scaled.T, atol=1e-3)


def scores_by_hand(importance):
    """Disentanglement and completeness of each factor, by loops over the definition."""
    dims, count = importance.shape
    of_dim, weights = [], []
    for i in range(dims):
        total = sum(importance[i])
        shares = [r / total for r in importance[i]] if total else [1 / count] * count
        of_dim.append(1 + sum(p * np.log(p) / np.log(count) for p in shares if p > 0))
        weights.append(total / importance.sum())
    of_factor = []
    for j in range(count):
        total = sum(importance[:, j])
        shares = [r / total for r in importance[:, j]] if total else [1 / dims] * dims
        of_factor.append(1 + sum(p * np.log(p) / np.log(dims) for p in shares if p > 0))
    return sum(w * d for w, d in zip(weights, of_dim, strict=True)), of_factor


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 2)])
def test_dci_of_an_importance_matrix_is_that_of_its_definition(shape):
    importance = RNG.uniform(size=shape)
    importance[0] = 0.0  # a dimension that matters for nothing
    expected = scores_by_hand(importance)
    np.testing.assert_allclose(disentanglement.disentanglement(importance), expected[0])
    np.testing.assert_allclose(disentanglement.completeness(importance), expected[1])


def test_dci_at_its_extremes():
    for importance, expected in (
        (np.eye(4)[:, [2, 0, 3, 1]], (1.0, 1.0)),  # one dimension for each factor
        (np.ones((3, 4)), (0.0, 0.0)),  # each for all
        (np.eye(2).repeat(2, axis=0), (1.0, 0.5)),  # two for each factor
        (np.zeros((3, 2)), (0.0, 0.0)),
    ):
        assert disentanglement.disentanglement(importance) == pytest.approx(expected[0])
        got = disentanglement.completeness(importance)
        np.testing.assert_allclose(got, expected[1], atol=1e-12)


def test_dci_of_codes_that_are_the_factors_is_the_best_and_of_turned_ones_low():
    named = np.array([True, False, False, False])

    def dci(codes):
        train, test = ((codes[part], FACTORS[part]) for part in (slice(HALF), slice(HALF, N)))
        return disentanglement.dci(*train, *test, named)

    aligned, turned = dci(ALIGNED), dci(TURNED)
    best = aligned.disentanglement, aligned.completeness, aligned.informativeness
    assert min(best) > 0.98
    assert max(turned.disentanglement, turned.completeness) < 0.2
    assert turned.informativeness > 0.7  # it is all there, in other axes
    assert dci(CODES).informativeness_by_factor[2] < 0.1  # nothing tells of the third factor
    assert aligned.completeness == pytest.approx(aligned.completeness_by_factor.mean())


def test_scores_are_of_the_test_codes_under_the_names_of_the_factors(monkeypatch):
    monkeypatch.setattr(disentanglement, "ROUNDS", 3)
    monkeypatch.setattr(disentanglement, "NAMED_ROUNDS", 3)
    names = ["class", "shear", "x", "y"]
    got = factors.scores(CODES[:500], FACTORS[:500], CODES[500:], FACTORS[500:], names)
    expected = disentanglement.gaps(CODES[500:], FACTORS[500:])
    assert [got["by_factor"][name]["mig"] for name in names] == expected.tolist()
    assert got["mig"] == pytest.approx(expected.mean())
    for score in ("completeness", "informativeness"):
        mean = np.mean([got["by_factor"][name][score] for name in names])
        assert got[score] == pytest.approx(mean)
