"""What a model computes on the device, jitted; one program for each size of batch."""

import jax
import jax.numpy as jnp

from lgaa_jax.data.images import to_uint8, to_unit
from lgaa_jax.evaluation import inference
from lgaa_jax.networks.nets import Nets
from lgaa_jax.training.codes import Codes, sample_codes
from lgaa_jax.training.state import TrainState


@jax.jit(static_argnums=0)
def encode(nets: Nets, state: TrainState, images: jax.Array) -> jax.Array:
    """The mean of q(z given x). images: [B, H, W, C] uint8 -> [B, Z]."""
    return nets.apply("encoder", state.params, to_unit(images))[0]


@jax.jit(static_argnums=0)
def class_logits(nets: Nets, state: TrainState, images: jax.Array) -> jax.Array:
    """Logits of q(u given x). images: [B, H, W, C] uint8 -> [B, U], also for U = 0."""
    if nets.class_model is None:
        return jnp.zeros((len(images), 0))
    return nets.apply("class", state.params, to_unit(images))


@jax.jit(static_argnums=0)
def domain_logits(nets: Nets, state: TrainState, images: jax.Array) -> jax.Array:
    """Logits of q(d given the mean of q(z given x)). images: [B, H, W, C] uint8 -> [B, N]."""
    z = nets.apply("encoder", state.params, to_unit(images))[0]
    return nets.apply("domain", state.params, z)


@jax.jit(static_argnums=0)
def infer(nets: Nets, state: TrainState, images: jax.Array) -> jax.Array:
    """`encode`, `class_logits` and `domain_logits` side by side: [B, Z + U + N]."""
    parts = (program(nets, state, images) for program in (encode, class_logits, domain_logits))
    return jnp.concatenate(list(parts), axis=-1)


@jax.jit(static_argnums=0)
def reconstruct(
    nets: Nets, state: TrainState, images: jax.Array, class_mask: jax.Array
) -> jax.Array:
    """`inference.reconstruct` of uint8 images, as uint8: [B, H, W, C] twice."""
    return to_uint8(inference.reconstruct(nets, state, to_unit(images), class_mask)[0])


@jax.jit(static_argnums=0)
def decode(nets: Nets, state: TrainState, z: jax.Array, u: jax.Array, d: jax.Array) -> jax.Array:
    """G(z, u, d) as uint8. z: [B, Z]; u: [B, U]; d: [B, N] -> [B, H, W, C]."""
    return to_uint8(nets.apply("generator", {"generator": state.sampling_generator}, z, u, d))


@jax.jit(static_argnums=0)
def sample(nets: Nets, state: TrainState, key: jax.Array, u: jax.Array, d: jax.Array) -> jax.Array:
    """Images of classes and tasks, with codes as images of them have. u, d: [B] -> uint8."""
    z = sample_codes(key, state.codes, u, d, nets.code_size)
    codes = jax.nn.one_hot(u, nets.num_classes), jax.nn.one_hot(d, nets.num_tasks)
    return decode(nets, state, z, *codes)


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
    factor of the covariance of a cell's codes (training/codes.py).
    """
    mean, factor = codes["mean"], codes["factor"]
    apart = (z - mean[d, u])[..., None]
    alike = jax.scipy.linalg.solve_triangular(factor[d, u], apart, lower=True)[..., 0]
    return mean[to_d, to_u] + jnp.einsum("bij,bj->bi", factor[to_d, to_u], alike)
