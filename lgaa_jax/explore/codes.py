"""What the codes of a model tell: how dense they lie, which lie near, what each dimension does.

Sizes: n images, Z content code. All functions take and give NumPy arrays.
"""

import numpy as np

from lgaa_jax.model.model import Model
from lgaa_jax.training.codes import mixture

Array = np.ndarray


def log_density(model: Model, z: Array) -> Array:
    """Log density of codes under all classes and tasks that were learned, equally weighted: [n].

    The normals from which codes of each are drawn (training/codes.py); N(0, I) where there are no
    moments. z: [n, Z].
    """
    from scipy.special import logsumexp  # slow to import

    z = z.astype(np.float64)
    constant = -0.5 * z.shape[1] * np.log(2 * np.pi)
    if not model.state.codes:
        return constant - 0.5 * np.square(z).sum(-1)
    codes = {name: np.asarray(a, np.float64) for name, a in model.state.codes.items()}
    densities: list[Array] = []
    weights: list[float] = []
    for index, task in enumerate(model.learned):
        for label in task.labels or (0,):
            shares, means, covariances = mixture(codes, index, label)
            for mean, factor in zip(means, np.linalg.cholesky(covariances), strict=True):
                apart = np.linalg.solve(factor, (z - mean).T)
                volume = np.log(np.diag(factor)).sum()
                densities.append(constant - volume - 0.5 * np.square(apart).sum(0))
            weights.extend(shares)
    return logsumexp(densities, axis=0, b=np.array(weights)[:, None]) - np.log(np.sum(weights))


def nearest(z: Array, among: Array, count: int) -> Array:
    """Indices of the `count` nearest codes by Euclidean distance, nearest first: [n, count].

    z: [n, Z]; among: [m, Z]. A code that is itself among them is its own nearest.
    """
    from sklearn.neighbors import NearestNeighbors  # slow to import

    return NearestNeighbors(n_neighbors=count).fit(among).kneighbors(z, return_distance=False)


def effects(model: Model, images: Array, span: float) -> Array:
    """How much each dimension of z changes the images: [Z], root mean square of pixels in [0, 1].

    Between z moved by -span and by +span along it; u and d stay. images: [n, H, W, C].
    """
    z, u, d = model.codes_of(images)
    n, size = z.shape
    moves = span * np.eye(size, dtype=np.float32)[:, None]  # [Z, 1, Z]
    others = [np.tile(c, (size, 1)) for c in (u, d)]
    low, high = (
        model.images_of((z[None] + sign * moves).reshape(-1, size), *others) for sign in (-1, 1)
    )
    change = np.square((np.float64(high) - low) / 255).reshape(size, n, -1)
    return np.sqrt(change.mean((1, 2)))


def plane(z: Array, method: str) -> Array:
    """Codes in a plane, by "PCA" or "t-SNE": [n, Z] -> [n, 2]."""
    # Slow to import.
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if method == "PCA":
        return PCA(2, svd_solver="full").fit_transform(z)
    return TSNE(2, perplexity=min(30, (len(z) - 1) / 3), init="pca", random_state=0).fit_transform(
        z
    )
