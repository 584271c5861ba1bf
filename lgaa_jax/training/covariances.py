"""Both forms of the covariances of codes, and how they move: whole, or components and a diagonal.

Sizes: K cells, B examples, Z content code, R components.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Moments = dict[str, jax.Array]  # "factor", or "loadings" and "variance"
JITTER = 1e-6  # added to the variances of codes, against rounding
LEAST = 1e-4  # part of a code's variance that no component takes


def standard(cells: tuple[int, ...], code_size: int, rank: int) -> Moments:
    """Identities. rank: R; not below `code_size`: whole ones."""
    eye = jnp.eye(code_size)
    if rank >= code_size:
        return {"factor": jnp.tile(eye, (*cells, 1, 1))}
    # Components begin with half a variance each: from 0 they would never move.
    loadings = jnp.sqrt(0.5) * eye[:, :rank]
    return {
        "loadings": jnp.tile(loadings, (*cells, 1, 1)),
        "variance": jnp.tile(1.0 - jnp.sum(jnp.square(loadings), axis=-1), (*cells, 1)),
    }


def covariance(codes: Mapping[str, Any], d: Any, u: Any) -> Any:
    """C_du of cells, of NumPy where the arrays are. d, u: [...] or whole numbers -> [..., Z, Z].

    It is that of all codes of a cell, whatever its modes.
    """
    if "factor" in codes:
        factor = codes["factor"][d, u]
        return factor @ factor.swapaxes(-1, -2)
    loadings, variance = codes["loadings"][d, u], codes["variance"][d, u]
    size = variance.shape[-1]
    eye = np.eye(size, dtype=variance.dtype).reshape(*[1] * (variance.ndim - 1), size, size)
    return loadings @ loadings.swapaxes(-1, -2) + variance[..., None] * eye


def moved(
    moments: Moments,
    weight: jax.Array,
    apart: jax.Array,
    shift: jax.Array,
    rate: jax.Array,
) -> Moments:
    """The covariances of K cells and of a batch, mixed; the batch's share is `rate`, [K, 1].

    weight: [K, B], of each example, their sum 1 or 0; apart: [K, B, Z], what it is apart from the
    old mean; shift: [K, Z], by how much the mean of the batch is.
    """
    move = _whole if "factor" in moments else _of_components
    return move(moments, weight, apart, shift, rate)


def _whole(
    moments: Moments, weight: jax.Array, apart: jax.Array, shift: jax.Array, rate: jax.Array
) -> Moments:
    """The Cholesky factors of the mixed covariances."""
    factor, rate = moments["factor"], rate[..., None]
    scatter = jnp.einsum("kb,kbi,kbj->kij", weight, apart, apart)
    outer = jnp.einsum("ki,kj->kij", shift, shift)
    mixed = jnp.einsum("kil,kjl->kij", factor, factor)
    mixed += rate * (scatter - mixed - rate * outer) + JITTER * jnp.eye(shift.shape[-1])[None]
    # Here and not in `sample_codes`: replay samples in a branch of lax.cond, and there XLA's CPU
    # executor never comes back from the call of LAPACK (jax 0.10.2).
    return {"factor": jnp.linalg.cholesky(mixed)}


def _of_components(
    moments: Moments, weight: jax.Array, apart: jax.Array, shift: jax.Array, rate: jax.Array
) -> Moments:
    """One step of subspace iteration towards the principal components of the mixed covariance C.

    With M = C less the old diagonal part: V' V'^T = M V (V^T M V)^-1 V^T M, which is the best
    approximation of M within the span of M V (Nystroem). The diagonal takes what is left of C's.
    """
    loadings, variance, rate_ = moments["loadings"], moments["variance"], rate[..., None]
    scatter = jnp.einsum("kb,kbi->ki", weight, jnp.square(apart)) - rate * jnp.square(shift)
    old = variance + jnp.sum(jnp.square(loadings), axis=-1)
    total = old + rate * (scatter - old) + JITTER
    # M V, without a Z x Z matrix.
    inner = jnp.einsum("kir,kis->krs", loadings, loadings)
    of_batch = jnp.einsum(
        "kb,kbi,kbr->kir", weight, apart, jnp.einsum("kbi,kir->kbr", apart, loadings)
    )
    of_shift = shift[..., None] * jnp.einsum("ki,kir->kr", shift, loadings)[:, None]
    image = jnp.einsum("kir,krs->kis", loadings, inner)
    # `JITTER` here too: components of codes that do not vary would come to 0, and be lost.
    image += rate_ * (of_batch - image - rate_ * of_shift) + JITTER * loadings
    gram = jnp.einsum("kir,kis->krs", loadings, image)
    size = jnp.trace(gram, axis1=-2, axis2=-1)[:, None, None]
    root = jnp.linalg.cholesky(gram + JITTER * size * jnp.eye(gram.shape[-1])[None])
    solved = jax.scipy.linalg.solve_triangular(root, image.swapaxes(-1, -2), lower=True)
    taken = jnp.sum(jnp.square(solved), axis=-2)
    # Rounding and `JITTER` aside, no component takes more than there is.
    return {
        "loadings": solved.swapaxes(-1, -2),
        "variance": jnp.maximum(total - taken, LEAST * total),
    }
