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
    codes: Codes, z: jax.Array, u: jax.Array, d: jax.Array, classed: jax.Array, decay: float
) -> Codes:
    """Moves the moments of each cell by `decay` for each of its examples in the batch.

    z: [B, Z]; u, d: [B]; classed: [B] bool, whether the example's task has classes. An example of
    a task without classes counts for the task's first cell. Of a task with classes, an example
    without a label counts only where there is one column.
    """
    if not codes:
        return codes
    mean, factor = codes["mean"], codes["factor"]
    n, columns, size = mean.shape
    counts = (u >= 0) | ~classed | (columns == 1)
    cell = jnp.where(counts, d * columns + jnp.maximum(u, 0), -1)
    members = jax.nn.one_hot(cell, n * columns, axis=0).reshape(n, columns, len(z))
    count = jnp.sum(members, axis=-1, keepdims=True)  # [N, U, 1]
    weight = members / jnp.maximum(count, 1.0)
    rate = 1.0 - decay**count
    # The old normal and that of the batch are mixed, the batch's share being `rate`. Second moments
    # are taken about the old mean: about 0 they would be large, and rounding of their difference
    # could leave a covariance that is not positive definite.
    shift = jnp.einsum("nub,bi->nui", weight, z) - mean
    apart = z[None, None] - mean[:, :, None]  # [N, U, B, Z]
    scatter = jnp.einsum("nub,nubi,nubj->nuij", weight, apart, apart)
    outer = jnp.einsum("nui,nuj->nuij", shift, shift)
    rate_ = rate[..., None]
    covariance = jnp.einsum("nuik,nujk->nuij", factor, factor)
    covariance += (
        rate_ * (scatter - covariance - rate_ * outer) + JITTER * jnp.eye(size)[None, None]
    )
    # Here and not in `sample_codes`: replay samples in a branch of lax.cond, and there XLA's CPU
    # executor never comes back from the call of LAPACK (jax 0.10.2).
    moved = jnp.linalg.cholesky(covariance)
    return {"mean": mean + rate * shift, "factor": jnp.where(rate_ > 0, moved, factor)}
