"""Sums over the pixels of an image, and what norms and biases need of them, fast on CPU.

XLA's CPU compiler makes slow code of a sum over the pixels of [B, H, W, C]; here it is taken in two
stages. For GPU and TPU it is that of `jax.numpy`.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax

SUM_PARTS = 4  # that an image is cut into for `channel_sum`; with many more it is slow again


def channel_sum(x: jax.Array) -> jax.Array:
    """Sum over the pixels of each channel of an image. [B, H, W, C] -> [B, C], float32 or wider."""
    x = x.astype(wide(x.dtype))
    return lax.platform_dependent(x, cpu=fast_channel_sum, default=plain_channel_sum)


@jax.custom_vjp
def scale_shift(x: jax.Array, scale: jax.Array, shift: jax.Array) -> jax.Array:
    """x * scale + shift with a factor and a summand for each image and channel.

    x: [B, H, W, C]; scale, shift: [B, C] -> the shape and dtype of x, rounded once where scale and
    shift are wider. Gradients sum by `channel_sum`.
    """
    return (x * scale[:, None, None] + shift[:, None, None]).astype(x.dtype)


@jax.custom_vjp
def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """x: [B, H, W, C] + bias: [C]; the gradient sums by `channel_sum`."""
    return x + bias[None, None, None]


def plain_channel_sum(x: jax.Array) -> jax.Array:
    """`channel_sum` by `jax.numpy`."""
    return x.sum((1, 2))


def fast_channel_sum(x: jax.Array) -> jax.Array:
    """`channel_sum` in two stages, of which XLA vectorises the first over whole rows."""
    b, h, w, c = x.shape
    parts = math.gcd(h * w, SUM_PARTS)
    return x.reshape(b, parts, -1).sum(1).reshape(b, -1, c).sum(1)


def wide(dtype: jnp.dtype) -> jnp.dtype:
    """What sums over pixels are taken in."""
    return jnp.promote_types(dtype, jnp.float32)


def _scale_shift_grads(
    residuals: tuple[jax.Array, jax.Array], g: jax.Array
) -> tuple[jax.Array, ...]:
    x, scale = residuals
    g = g.astype(scale.dtype)
    of_x = (g * scale[:, None, None]).astype(x.dtype)
    of_scale, of_shift = (channel_sum(a).astype(scale.dtype) for a in (g * x, g))
    return of_x, of_scale, of_shift


scale_shift.defvjp(
    lambda x, scale, shift: (scale_shift(x, scale, shift), (x, scale)), _scale_shift_grads
)
add_bias.defvjp(
    lambda x, bias: (add_bias(x, bias), None),
    lambda _, g: (g, channel_sum(g).sum(0).astype(g.dtype)),
)
