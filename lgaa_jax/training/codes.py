"""The moments of the codes: of each class of each task, the mean and covariance of its z.

This module alone knows how they are laid out. A cell is a task and a class; a task without classes
has its first cell, column 0. `TrainState.codes` holds "mean" [N, max(U, 1), Z] and "factor"
[N, max(U, 1), Z, Z], the Cholesky factor of the covariance, or nothing where z is sampled from
N(0, I) whatever u and d are.
"""

import jax
import jax.numpy as jnp

Codes = dict[str, jax.Array]
JITTER = 1e-6  # added to the variances of codes, against rounding


def init_codes(num_tasks: int, num_classes: int, code_size: int) -> Codes:
    """The moments of the prior in every cell."""
    cells = num_tasks, max(num_classes, 1)
    factor = jnp.tile(jnp.eye(code_size), (*cells, 1, 1))
    return {"mean": jnp.zeros((*cells, code_size)), "factor": factor}


def sample_codes(
    key: jax.Array,
    codes: Codes,
    u: jax.Array,
    d: jax.Array,
    code_size: int,
    spread: float = 1.0,
) -> jax.Array:
    """Content codes as images of these classes and tasks have them: z ~ N(m_du, spread^2 C_du).

    u, d: [B], u = -1 where there is no class -> z: [B, Z]. Without moments, z ~ N(0, spread^2 I).
    """
    z = spread * jax.random.normal(key, (len(d), code_size))
    if not codes:
        return z
    cell = d, jnp.maximum(u, 0)
    return codes["mean"][cell] + jnp.einsum("bij,bj->bi", codes["factor"][cell], z)


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
    n, columns, size = codes["mean"].shape
    cells = n * columns
    mean, factor = codes["mean"].reshape(cells, size), codes["factor"].reshape(cells, size, size)
    counts = (u >= 0) | ~classed | (columns == 1)
    cell = jnp.where(counts, d * columns + jnp.maximum(u, 0), cells)
    if cells <= len(z):
        # Few cells: all of them, without a gather and a scatter.
        mean, factor = _moved(mean, factor, z, jax.nn.one_hot(cell, cells, axis=0), decay)
    else:
        # The cells of the batch, at most one an example. The places left over are `cells`, which is
        # past the last: what is computed of them is dropped.
        own = jnp.unique(cell, size=len(z), fill_value=cells)
        # Adds 0, unless training is lost. Without it XLA sees no order between what reads the
        # moments and what writes them, and copies all of them twice a step (jax 0.10.2, CPU).
        own += jnp.isnan(after)
        members = (own[:, None] == cell[None]).astype(z.dtype)
        moved = _moved(mean[own], factor[own], z, members, decay)
        mean = mean.at[own].set(moved[0], mode="drop")
        factor = factor.at[own].set(moved[1], mode="drop")
    return {
        "mean": mean.reshape(n, columns, size),
        "factor": factor.reshape(n, columns, size, size),
    }


def _moved(
    mean: jax.Array, factor: jax.Array, z: jax.Array, members: jax.Array, decay: float
) -> tuple[jax.Array, jax.Array]:
    """The moments of some cells after a batch; a cell without members keeps its own.

    mean: [K, Z]; factor: [K, Z, Z]; z: [B, Z]; members: [K, B], 1 where an example is of a cell.
    """
    count = jnp.sum(members, axis=-1, keepdims=True)  # [K, 1]
    weight = members / jnp.maximum(count, 1.0)
    rate = 1.0 - decay**count
    # The old normal and that of the batch are mixed, the batch's share being `rate`. Second moments
    # are taken about the old mean: about 0 they would be large, and rounding of their difference
    # could leave a covariance that is not positive definite.
    shift = jnp.einsum("kb,bi->ki", weight, z) - mean
    apart = z[None] - mean[:, None]  # [K, B, Z]
    scatter = jnp.einsum("kb,kbi,kbj->kij", weight, apart, apart)
    outer = jnp.einsum("ki,kj->kij", shift, shift)
    rate_ = rate[..., None]
    covariance = jnp.einsum("kil,kjl->kij", factor, factor)
    covariance += rate_ * (scatter - covariance - rate_ * outer) + JITTER * jnp.eye(len(z[0]))[None]
    # Here and not in `sample_codes`: replay samples in a branch of lax.cond, and there XLA's CPU
    # executor never comes back from the call of LAPACK (jax 0.10.2).
    moved = jnp.linalg.cholesky(covariance)
    return mean + rate * shift, jnp.where(rate_ > 0, moved, factor)
