"""How far single dimensions of a code stand for single factors of the images.

The mutual information gap (Chen et al. 2018) and disentanglement, completeness and informativeness
(DCI; Eastwood and Williams 2018). Sizes: n images, D dimensions of the code, K factors.
"""

import dataclasses
from typing import Any

import numpy as np

Array = np.ndarray
BINS = 20  # of equal width, into which a dimension is cut for its mutual information
TREES = {"max_depth": 3, "subsample": 0.5, "random_state": 0}
ROUNDS, NAMED_ROUNDS = 100, 20  # of boosting; each has one tree, of names one for each of them


def information(codes: Array, factors: Array) -> Array:
    """Mutual information of each dimension and each factor, estimated in bins: nats [D, K].

    codes: [n, D], cut into `BINS` bins of equal width from the least to the greatest value of each
    dimension; factors: [n, K] integers from 0.
    """
    low, high = codes.min(0), codes.max(0)
    width = np.where(high > low, high - low, 1.0)
    binned = np.minimum((BINS * (np.float64(codes) - low) / width).astype(int), BINS - 1)
    members = (binned[..., None] == np.arange(BINS)).astype(np.float64)  # [n, D, BINS]
    columns = []
    for own in factors.T:
        of_factor = np.eye(own.max() + 1)[own]
        together = np.einsum("ndb,nv->dbv", members, of_factor) / len(own)
        apart = together.sum(2, keepdims=True) * together.sum(1, keepdims=True)
        ratio = np.divide(together, apart, out=np.ones_like(together), where=together > 0)
        columns.append((together * np.log(ratio)).sum((1, 2)))
    return np.stack(columns, axis=1)


def gaps(codes: Array, factors: Array) -> Array:
    """Mutual information gap of each factor: [K], from 0 to 1; MIG is their mean.

    How much more of a factor the dimension that tells most of it tells than the next one, over the
    factor's entropy (Chen et al. 2018, equation 6). codes, factors: as in `information`, and no
    factor the same in all images.
    """
    none = np.zeros((1, factors.shape[1]))  # the next one of a code of one dimension
    most = np.sort(np.concatenate([none, information(codes, factors)]), axis=0)[-2:]
    shares = [np.unique(own, return_counts=True)[1] / len(own) for own in factors.T]
    return (most[1] - most[0]) / [-(p * np.log(p)).sum() for p in shares]


def turned(codes: Array, seed: int = 0) -> Array:
    """The codes in axes turned at random, each dimension first brought to deviation 1.

    They hold what the codes hold, and no axis of theirs stands for anything but by chance.
    """
    spread = codes.std(0)
    scaled = (codes - codes.mean(0)) / np.where(spread > 0, spread, 1.0)
    square = np.random.default_rng(seed).normal(size=(codes.shape[1], codes.shape[1]))
    return scaled @ np.linalg.qr(square)[0]


@dataclasses.dataclass(frozen=True)
class Dci:
    """The three scores, 1 the best: means, and of each factor."""

    disentanglement: float
    completeness: float
    informativeness: float
    completeness_by_factor: Array  # [K]
    informativeness_by_factor: Array  # [K]


def dci(codes: Array, factors: Array, test_codes: Array, test_factors: Array, named: Array) -> Dci:
    """DCI by gradient boosted trees from the code to each factor.

    The trees are fitted to codes [n, D] and factors [n, K], and judged on the test codes. named:
    [K] bool, the factors whose values are names and no quantities: of these a classifier is taken,
    and its accuracy is the informativeness; of the others it is the R^2 of a regression, at least
    0. Importance of a dimension: how much splits by it reduce the error.
    """
    importance, informativeness = [], []
    for k, of_names in enumerate(named):
        model = _trees(bool(of_names)).fit(codes, factors[:, k])
        importance.append(model.feature_importances_)
        informativeness.append(max(0.0, model.score(test_codes, test_factors[:, k])))
    matrix = np.stack(importance, axis=1)
    by_factor = completeness(matrix)
    return Dci(
        disentanglement(matrix),
        float(by_factor.mean()),
        float(np.mean(informativeness)),
        by_factor,
        np.array(informativeness),
    )


def _trees(of_names: bool) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor  # slow

    if of_names:
        return GradientBoostingClassifier(n_estimators=NAMED_ROUNDS, **TREES)
    return GradientBoostingRegressor(n_estimators=ROUNDS, **TREES)


def disentanglement(importance: Array) -> float:
    """Whether each dimension matters for one factor alone: from 0 to 1.

    1 less the entropy, to the base K, of the factors that a dimension matters for; the mean over
    the dimensions, weighted by how much they matter in all. importance: [D, K], not negative.
    """
    weight = importance.sum(1)
    return float(np.average(1 - _entropy(importance), weights=weight)) if weight.any() else 0.0


def completeness(importance: Array) -> Array:
    """Whether a single dimension matters for each factor: [K], from 0 to 1.

    1 less the entropy, to the base D, of the dimensions that matter for a factor; 0 where none
    does. importance: [D, K], not negative.
    """
    return np.where(importance.any(0), 1 - _entropy(importance.T), 0.0)


def _entropy(rows: Array) -> Array:
    """Entropy of each row's shares, to the base of their number; 0 of a row of zeros."""
    total = rows.sum(1, keepdims=True)
    p = rows / np.where(total > 0, total, 1.0)
    return -(p * np.log(np.where(p > 0, p, 1.0))).sum(1) / np.log(max(2, rows.shape[1]))
