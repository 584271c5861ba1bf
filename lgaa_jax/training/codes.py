"""The moments of the codes: of each class of each task, the mean and covariance of its z.

This module, covariances.py and modes.py alone know how they are laid out. A cell is a task and a
class; a task without classes has its first cell, column 0. `TrainState.codes` holds "mean"
[N, max(U, 1), Z] and the covariance, or nothing where z is sampled from N(0, I) whatever u and d
are. The covariance is either whole, "factor" [N, max(U, 1), Z, Z], its Cholesky factor, or of R
principal components and a diagonal: V V^T + diag(v), "loadings" V [N, max(U, 1), Z, R] and
"variance" v [N, max(U, 1), Z].

With M > 1 modes, what is drawn is a mixture of M: "centres" [N, max(U, 1), M, Z], the part that
each has, "shares" [N, max(U, 1), M], and its covariance about the centre, in the form of the whole
one: "inner_factor" [N, max(U, 1), M, Z, Z], or "inner_loadings" and "inner_variance".
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from lgaa_jax.training import cells, covariances, modes
from lgaa_jax.training.covariances import covariance, standard

Codes = dict[str, jax.Array]
CELLS = 100  # the most cells whose covariances are whole where no rank is named
RANK = 8  # R of more cells


def init_codes(
    num_tasks: int, num_classes: int, code_size: int, rank: int, num_modes: int = 1
) -> Codes:
    """The moments of the prior in every cell.

    rank: R; not below `code_size`: covariances are whole; 0: they are up to `CELLS`, else `RANK`.
    num_modes: M.
    """
    place = num_tasks, max(num_classes, 1)
    rank = rank or (code_size if num_tasks * place[1] <= CELLS else RANK)
    form = standard(place, code_size, rank)
    codes = {"mean": jnp.zeros((*place, code_size)), **form}
    if num_modes > 1:
        # One has all, and the others are put where there are codes as these come.
        codes["centres"] = jnp.zeros((*place, num_modes, code_size))
        codes["shares"] = jnp.zeros((*place, num_modes)).at[..., 0].set(1.0)
        inner = standard((*place, num_modes), code_size, rank)
        codes |= {modes.INNER + name: a for name, a in inner.items()}
    return codes


def sample_codes(
    key: jax.Array,
    codes: Codes,
    u: jax.Array,
    d: jax.Array,
    code_size: int,
    spread: float = 1.0,
) -> jax.Array:
    """Content codes as images of these classes and tasks have them: z ~ N(m_du, spread^2 C_du).

    With modes, from their mixture, its deviations from m_du times `spread`. u, d: [B], u = -1 where
    there is no class -> z: [B, Z]. Without moments, z ~ N(0, I): the codes that the generator was
    trained with.
    """
    components = codes["loadings"].shape[-1] if "loadings" in codes else 0
    noise = jax.random.normal(key, (len(d), code_size + components))
    if not codes:
        return noise
    cell = d, jnp.maximum(u, 0)
    mean = codes["mean"][cell]
    if "centres" not in codes:
        return mean + spread * _apart(codes, "", cell, noise)
    key_mode, key_noise = jax.random.split(jax.random.fold_in(key, 0))
    shares = jnp.log(codes["shares"][cell])
    mode, other = jax.random.categorical(key_mode, shares, shape=(2, len(d)))
    lent = jax.random.normal(key_noise, noise.shape)
    apart = codes["centres"][(*cell, mode)] - mean
    apart += jnp.sqrt(1.0 - modes.LENT) * _apart(codes, modes.INNER, (*cell, mode), noise)
    # In the mean over the others this is the part of the covariance that a mode is lent.
    apart += jnp.sqrt(modes.LENT) * _apart(codes, modes.INNER, (*cell, other), lent)
    return mean + spread * apart


def mixture(
    codes: Mapping[str, np.ndarray], d: int, u: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The normals from which the codes of a cell are drawn, one where there are no modes.

    codes: NumPy arrays -> shares [M], means [M, Z], covariances [M, Z, Z]. What modes lend each
    other counts with its mean.
    """
    if "centres" not in codes:
        return np.ones(1), codes["mean"][d, u][None], covariance(codes, d, u)[None]
    shares, own = codes["shares"][d, u], covariance(modes.covariances_of(codes), d, u)
    lent = np.tensordot(shares, own, 1)
    return shares, codes["centres"][d, u], (1.0 - modes.LENT) * own + modes.LENT * lent


def _apart(codes: Codes, form: str, place: tuple[jax.Array, ...], noise: jax.Array) -> jax.Array:
    """Normal numbers with the covariances at these places: [B, Z + R] or, whole, [B, Z] -> [B, Z].

    form: what the names of the covariances begin with; place: indices, [B] each.
    """
    if form + "factor" in codes:
        return jnp.einsum("bij,bj->bi", codes[form + "factor"][place], noise)
    loadings, variance = codes[form + "loadings"][place], codes[form + "variance"][place]
    size = variance.shape[-1]
    spanned = jnp.einsum("bij,bj->bi", loadings, noise[:, size:])
    return spanned + jnp.sqrt(variance) * noise[:, :size]


def update_codes(
    codes: Codes,
    z: jax.Array,
    u: jax.Array,
    d: jax.Array,
    classed: jax.Array,
    decay: float,
    after: jax.Array | float = 0.0,
) -> Codes:
    """Moves the moments of each cell by `decay` for each of its examples in the batch.

    z: [B, Z]; u, d: [B]; classed: [B] bool, whether the example's task has classes. An example of
    a task without classes counts for the task's first cell. Of a task with classes, an example
    without a label counts only where there is one column. Takes the time of at most B cells.
    after: a number that is computed from all else that reads `codes`, so that nothing does any more
    when they move.
    """
    if not codes:
        return codes
    n, columns, _ = codes["mean"].shape
    num_cells = n * columns
    moments = {name: a.reshape(num_cells, *a.shape[2:]) for name, a in codes.items()}
    counts = (u >= 0) | ~classed | (columns == 1)
    cell = jnp.where(counts, d * columns + jnp.maximum(u, 0), num_cells)
    moments = cells.of_some(
        moments, cell, lambda own, members: _moved(own, z, members, decay), after
    )
    return {name: a.reshape(codes[name].shape) for name, a in moments.items()}


def _moved(moments: Codes, z: jax.Array, members: jax.Array, decay: float) -> Codes:
    """The moments of K cells after a batch.

    z: [B, Z]; members: [K, B], 1 where an example is of a cell.
    """
    mean = moments["mean"]
    count = jnp.sum(members, axis=-1, keepdims=True)  # [K, 1]
    weight = members / jnp.maximum(count, 1.0)
    rate = 1.0 - decay**count
    # The old normal and that of the batch are mixed, the batch's share being `rate`. Second moments
    # are taken about the old mean: about 0 they would be large, and rounding of their difference
    # could leave a covariance that is not positive definite.
    shift = jnp.einsum("kb,bi->ki", weight, z) - mean
    apart = z[None] - mean[:, None]  # [K, B, Z]
    moved = covariances.moved(moments, weight, apart, shift, rate)
    if "centres" in moments:
        moved |= modes.moved(moments, z, members, decay)
    return {"mean": mean + rate * shift, **moved}
