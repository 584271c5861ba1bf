"""The moments of the codes: of each class of each task, the mean and covariance of its z.

This module, covariances.py and modes.py alone know how they are laid out. A cell is a task and a
class; a task without classes has its first cell, column 0. `TrainState.codes` holds "mean"
[N, max(U, 1), Z] and the covariance, or nothing where z is sampled from N(0, I) whatever u and d
are. The covariance is either whole, "factor" [N, max(U, 1), Z, Z], its Cholesky factor, or of R
principal components and a diagonal: V V^T + diag(v), "loadings" V [N, max(U, 1), Z, R] and
"variance" v [N, max(U, 1), Z].

With M > 1 modes, what is drawn is a mixture of M normals: "centres" [N, max(U, 1), M, Z], the part
that each has, "shares" [N, max(U, 1), M], and the covariance about the centres that they have in
common, in the same form as the whole one: "inner_factor", or "inner_loadings" and "inner_variance".
"""

import jax
import jax.numpy as jnp

from lgaa_jax.training import covariances, modes
from lgaa_jax.training.covariances import standard

Codes = dict[str, jax.Array]
CELLS = 100  # the most cells whose covariances are whole where no rank is named
RANK = 8  # R of more cells
INNER = "inner_"


def init_codes(
    num_tasks: int, num_classes: int, code_size: int, rank: int, num_modes: int = 1
) -> Codes:
    """The moments of the prior in every cell.

    rank: R; not below `code_size`: covariances are whole; 0: they are up to `CELLS`, else `RANK`.
    num_modes: M.
    """
    cells = num_tasks, max(num_classes, 1)
    rank = rank or (code_size if num_tasks * cells[1] <= CELLS else RANK)
    form = standard(cells, code_size, rank)
    codes = {"mean": jnp.zeros((*cells, code_size)), **form}
    if num_modes > 1:
        # One has all, and the others are put where there are codes as these come.
        codes["centres"] = jnp.zeros((*cells, num_modes, code_size))
        codes["shares"] = jnp.zeros((*cells, num_modes)).at[..., 0].set(1.0)
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
    moved = covariances.moved(moments, weight, apart, shift, rate)
    if "centres" in moments:
        own = jnp.argmax(members, axis=0)
        mode = modes.nearest(moments["centres"], z, own)
        moved |= modes.moved(moments, z, mode, members, decay)
        # About the centres, where the means are 0 but for what the centres have still to move.
        residual = jnp.tile(z - moments["centres"][own, mode], (len(mean), 1, 1))
        form = {n.removeprefix(INNER): a for n, a in moments.items() if n.startswith(INNER)}
        inner = covariances.moved(form, weight, residual, jnp.zeros_like(shift), rate)
        moved |= {INNER + name: a for name, a in inner.items()}
    for name, a in moved.items():
        met = rate.reshape(-1, *[1] * (a.ndim - 1)) > 0
        moved[name] = jnp.where(met, a, moments[name])
    return {"mean": mean + rate * shift, **moved}
