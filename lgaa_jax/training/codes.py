"""The moments of the codes: of each class of each task, the mean and covariance of its z.

This module alone knows how they are laid out. A cell is a task and a class; a task without classes
has its first cell, column 0. `TrainState.codes` holds "mean" [N, max(U, 1), Z] and the covariance,
or nothing where z is sampled from N(0, I) whatever u and d are. The covariance is either whole,
"factor" [N, max(U, 1), Z, Z], its Cholesky factor, or of R principal components and a diagonal:
V V^T + diag(v), "loadings" V [N, max(U, 1), Z, R] and "variance" v [N, max(U, 1), Z].

With M > 1 modes, what is drawn is a mixture of M normals: "centres" [N, max(U, 1), M, Z], the part
that each has, "shares" [N, max(U, 1), M], and the covariance about the centres that they have in
common, in the same form as the whole one: "inner_factor", or "inner_loadings" and "inner_variance".
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Codes = dict[str, jax.Array]
CELLS = 100  # the most cells whose covariances are whole where no rank is named
RANK = 8  # R of more cells
JITTER = 1e-6  # added to the variances of codes, against rounding
LEAST = 1e-4  # part of a code's variance that no component takes
SPARE = 0.125  # of its even share, below which a mode is put elsewhere
INNER = "inner_"


def init_codes(
    num_tasks: int, num_classes: int, code_size: int, rank: int, modes: int = 1
) -> Codes:
    """The moments of the prior in every cell.

    rank: R; not below `code_size`: covariances are whole; 0: they are up to `CELLS`, else `RANK`.
    modes: M.
    """
    cells = num_tasks, max(num_classes, 1)
    eye = jnp.eye(code_size)
    rank = rank or (code_size if num_tasks * cells[1] <= CELLS else RANK)
    if rank >= code_size:
        form = {"factor": jnp.tile(eye, (*cells, 1, 1))}
    else:
        # Components begin with half a variance each: from 0 they would never move.
        loadings = jnp.sqrt(0.5) * eye[:, :rank]
        form = {
            "loadings": jnp.tile(loadings, (*cells, 1, 1)),
            "variance": jnp.tile(1.0 - jnp.sum(jnp.square(loadings), axis=-1), (*cells, 1)),
        }
    codes = {"mean": jnp.zeros((*cells, code_size)), **form}
    if modes > 1:
        # One has all, and the others are put where there are codes as these come.
        codes["centres"] = jnp.zeros((*cells, modes, code_size))
        codes["shares"] = jnp.zeros((*cells, modes)).at[..., 0].set(1.0)
        codes |= {INNER + name: jnp.copy(a) for name, a in form.items()}
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
    noise *= spread
    cell = d, jnp.maximum(u, 0)
    mean, form = codes["mean"][cell], INNER if "centres" in codes else ""
    root = codes[form + ("loadings" if components else "factor")][cell]
    apart = jnp.einsum("bij,bj->bi", root, noise[:, -root.shape[-1] :])
    if components:
        apart += jnp.sqrt(codes[form + "variance"][cell]) * noise[:, :code_size]
    if "centres" in codes:
        shares = jnp.log(codes["shares"][cell])
        mode = jax.random.categorical(jax.random.fold_in(key, 0), shares)
        apart += spread * (codes["centres"][(*cell, mode)] - mean)
    return mean + apart


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
    cells = n * columns
    moments = {name: a.reshape(cells, *a.shape[2:]) for name, a in codes.items()}
    counts = (u >= 0) | ~classed | (columns == 1)
    cell = jnp.where(counts, d * columns + jnp.maximum(u, 0), cells)
    if cells <= len(z):
        # Few cells: all of them, without a gather and a scatter.
        moments = _moved(moments, z, jax.nn.one_hot(cell, cells, axis=0), decay)
    else:
        # The cells of the batch, at most one an example. The places left over are `cells`, which is
        # past the last: what is computed of them is dropped.
        own = jnp.unique(cell, size=len(z), fill_value=cells)
        # Adds 0, unless training is lost. Without it XLA sees no order between what reads the
        # moments and what writes them, and copies all of them twice a step (jax 0.10.2, CPU).
        own += jnp.isnan(after)
        members = (own[:, None] == cell[None]).astype(z.dtype)
        moved = _moved({name: a[own] for name, a in moments.items()}, z, members, decay)
        moments = {name: a.at[own].set(moved[name], mode="drop") for name, a in moments.items()}
    return {name: a.reshape(codes[name].shape) for name, a in moments.items()}


def _moved(moments: Codes, z: jax.Array, members: jax.Array, decay: float) -> Codes:
    """The moments of K cells after a batch; a cell without members keeps its own.

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
    move = _whole if "factor" in moments else _of_components
    moved = move(moments, weight, apart, shift, rate)
    if "centres" in moments:
        own = jnp.argmax(members, axis=0)
        mode = _nearest(moments["centres"], z, own)
        moved |= _modes(moments, z, mode, members, decay)
        # About the centres, where the means are 0 but for what the centres have still to move.
        residual = jnp.tile(z - moments["centres"][own, mode], (len(mean), 1, 1))
        form = {n.removeprefix(INNER): a for n, a in moments.items() if n.startswith(INNER)}
        inner = move(form, weight, residual, jnp.zeros_like(shift), rate)
        moved |= {INNER + name: a for name, a in inner.items()}
    for name, a in moved.items():
        met = rate.reshape(-1, *[1] * (a.ndim - 1)) > 0
        moved[name] = jnp.where(met, a, moments[name])
    return {"mean": mean + rate * shift, **moved}


def _nearest(centres: jax.Array, z: jax.Array, own: jax.Array) -> jax.Array:
    """The mode of each example, [B]: that of the nearest centre of its cell.

    centres: [K, M, Z]; z: [B, Z]; own: [B], the cell. By the codes' own distances: where they do
    not vary, whitened ones would be of noise.
    """
    return jnp.argmin(jnp.sum(jnp.square(z[:, None] - centres[own]), axis=-1), axis=-1)


def _modes(
    moments: Codes, z: jax.Array, mode: jax.Array, members: jax.Array, decay: float
) -> Codes:
    """Centres and shares after a batch, by online k-means.

    mode: [B], of each example. A mode that has hardly any codes is put at one of the batch, and has
    half the share of the mode which that was of.
    """
    centres, shares = moments["centres"], moments["shares"]
    modes = shares.shape[-1]
    of_mode = jax.nn.one_hot(mode, modes)
    counts = jnp.einsum("kb,bm->km", members, of_mode)
    sums = jnp.einsum("kb,bm,bi->kmi", members, of_mode, z)
    count = jnp.sum(counts, axis=-1, keepdims=True)
    # A mode has one in M of the codes: forgotten M times as fast, it moves with its cell.
    rate = 1.0 - decay ** (modes * counts[..., None])
    centres += rate * (sums / jnp.maximum(counts, 1.0)[..., None] - centres)
    shares += (1.0 - decay**count) * (counts / jnp.maximum(count, 1.0) - shares)
    weakest, example = jnp.argmin(shares, axis=-1), jnp.argmax(members, axis=-1)
    donor = mode[example]
    move = (jnp.min(shares, axis=-1) < SPARE / modes) & (weakest != donor)
    moved, halved = (move[:, None] & jax.nn.one_hot(i, modes, dtype=bool) for i in (weakest, donor))
    halved |= moved
    half = jnp.sum(jnp.where(halved, shares, 0.0), axis=-1, keepdims=True) / 2
    return {
        "centres": jnp.where(moved[..., None], z[example][:, None], centres),
        "shares": jnp.where(halved, half, shares),
    }


def _whole(
    moments: Codes, weight: jax.Array, apart: jax.Array, shift: jax.Array, rate: jax.Array
) -> Codes:
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
    moments: Codes, weight: jax.Array, apart: jax.Array, shift: jax.Array, rate: jax.Array
) -> Codes:
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
