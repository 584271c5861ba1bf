"""How generated images compare with real ones: metrics of two sets of features, in NumPy."""

from collections.abc import Iterator, Sequence

import numpy as np

NEIGHBOURS = 3  # k of precision and recall, as Kynkäänniemi et al. have it
CHUNK = 1000  # rows of a distance matrix in memory at once


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) of two sets of features (Heusel 2017).

    a: [n, F]; b: [m, F], n and m at least 2. Means m, covariances C (divided by n - 1). It is 0 for
    equal sets and, unlike the features' own distances, biased upwards in small sets: compare
    only figures of the same n and m.
    """
    a, b = _features(a), _features(b)
    cov_a, cov_b = (np.atleast_2d(np.cov(features, rowvar=False)) for features in (a, b))
    root = _square_root(cov_a)
    # (C_a C_b) and (C_a^(1/2) C_b C_a^(1/2)) have the same eigenvalues; the latter is symmetric.
    product = np.linalg.eigvalsh(root @ cov_b @ root)
    cross = np.sqrt(np.maximum(product, 0.0)).sum()
    spread = np.trace(cov_a) + np.trace(cov_b) - 2 * cross
    return float(max(np.square(a.mean(0) - b.mean(0)).sum() + spread, 0.0))


def precision_recall(
    real: np.ndarray, fake: np.ndarray, k: int = NEIGHBOURS
) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019), each in [0, 1].

    real: [n, F]; fake: [m, F], n and m above k. A real point's ball reaches to its k-th nearest
    real neighbour. Precision is the share of fake points within the ball of any real point; recall
    is the same with the sets exchanged.
    """
    real, fake = _features(real), _features(fake)
    if min(len(real), len(fake)) <= k:
        raise ValueError(f"{len(real)} real and {len(fake)} fake points; {k} neighbours need more")
    return _covered(fake, real, k), _covered(real, fake, k)


def class_balance(predicted: np.ndarray, classes: Sequence[int] | np.ndarray) -> float:
    """Entropy of the shares of `classes` among `predicted`, 1 when they are even, 0 for one class.

    predicted: [n] int. All labels outside `classes` together count as one more class in the sum but
    not in the maximum, log K. A task of a single class has the balance 1.
    """
    inside = [np.mean(predicted == c) for c in classes]
    shares = np.array([*inside, 1.0 - sum(inside)])
    shares = shares[shares > 1e-12]
    if len(classes) == 1:
        return 1.0
    return float(min(-(shares * np.log(shares)).sum() / np.log(len(classes)), 1.0))


def _features(features: np.ndarray) -> np.ndarray:
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features are [n, F], n at least 2, not {features.shape}")
    # The squared distances and the trace are small differences of large numbers.
    return np.asarray(features, np.float64)


def _square_root(matrix: np.ndarray) -> np.ndarray:
    """Of a symmetric, positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def _distances(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Squared distances of a [n, F] to b [m, F], some rows of [n, m] at a time.

    Yields the index of the first of them and the rows.
    """
    norms = np.square(b).sum(1)
    for start in range(0, len(a), CHUNK):
        part = a[start : start + CHUNK]
        squares = np.square(part).sum(1)[:, None] + norms - 2 * part @ b.T
        yield start, np.maximum(squares, 0.0)


def _covered(points: np.ndarray, centres: np.ndarray, k: int) -> float:
    radii = []
    for start, squares in _distances(centres, centres):
        rows = np.arange(len(squares))
        squares[rows, start + rows] = np.inf  # no point is its own neighbour
        radii.append(np.partition(squares, k - 1, axis=1)[:, k - 1])
    radius = np.concatenate(radii)
    inside = [(squares <= radius).any(1) for _, squares in _distances(points, centres)]
    return float(np.concatenate(inside).mean())
