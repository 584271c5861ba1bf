"""What a model computes beside evaluation/inference.py, jitted; a program for each batch size."""

import jax
import jax.numpy as jnp

from lgaa_jax.data.images import to_uint8
from lgaa_jax.networks.nets import Nets
from lgaa_jax.training.codes import Codes, sample_codes
from lgaa_jax.training.covariances import covariance
from lgaa_jax.training.sampling import one_hot

eight_bits = jax.jit(to_uint8)


@jax.jit(static_argnums=0)
def sample(
    nets: Nets, moments: Codes, key: jax.Array, u: jax.Array, d: jax.Array, spread: float
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """z as images of these classes and tasks have it, and the codes u and d themselves.

    moments: those of the codes; u, d: [B], u = -1 where there is no class; spread: of the codes ->
    [B, Z], [B, U] and [B, N].
    """
    z = sample_codes(key, moments, u, d, nets.code_size, spread)
    return z, one_hot(u, nets.num_classes), one_hot(d, nets.num_tasks)


@jax.jit
def carried(
    codes: Codes,
    z: jax.Array,
    u: jax.Array,
    d: jax.Array,
    to_u: jax.Array,
    to_d: jax.Array,
) -> jax.Array:
    """Codes at the same place among the codes of another class and task: m' + L' L^-1 (z - m).

    z: [B, Z]; u, d: their classes and tasks, to_u, to_d: the others, [B] each. L is the Cholesky
    factor of the covariance of a cell's codes (training/covariances.py).
    """
    mean = codes["mean"]
    factor, to_factor = (
        jnp.linalg.cholesky(covariance(codes, *cell)) for cell in ((d, u), (to_d, to_u))
    )
    apart = (z - mean[d, u])[..., None]
    alike = jax.scipy.linalg.solve_triangular(factor, apart, lower=True)[..., 0]
    return mean[to_d, to_u] + jnp.einsum("bij,bj->bi", to_factor, alike)
