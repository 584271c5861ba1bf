"""Changes of an image's height and width that lose or invent nothing a convolution must undo.

Patches are exact: pixels become channels and back. Doubling repeats each pixel and pooling takes
means; each is the other's derivative, up to a factor, so derivatives of every order are one of the
two, and of these XLA's CPU compiler writes fast loops. Forward mode does not pass through.
"""

import jax
import jax.numpy as jnp


def to_patches(x: jax.Array, size: int) -> jax.Array:
    """Each square of `size` x `size` pixels as the channels of one.

    x: [B, H, W, C] -> [B, H / size, W / size, size^2 C]. ValueError where squares do not fit.
    """
    b, h, w, c = x.shape
    if h % size or w % size:
        raise ValueError(f"patches of {size}x{size} pixels do not fill images of shape {x.shape}")
    x = x.reshape(b, h // size, size, w // size, size, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // size, w // size, size * size * c)


def from_patches(x: jax.Array, size: int) -> jax.Array:
    """Undoes `to_patches`. [B, H, W, size^2 C] -> [B, size H, size W, C]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, size, size, c // size**2)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h * size, w * size, -1)


@jax.custom_vjp
def double(x: jax.Array) -> jax.Array:
    """Each pixel four times. x: [B, H, W, C] -> [B, 2H, 2W, C]."""
    b, h, w, c = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None], (b, h, 2, w, 2, c))
    return x.reshape(b, 2 * h, 2 * w, c)


@jax.custom_vjp
def mean_pool(x: jax.Array) -> jax.Array:
    """Mean of each 2x2 pixels. x: [B, H, W, C], H and W even -> [B, H / 2, W / 2, C]."""
    columns = x[:, :, ::2] + x[:, :, 1::2]
    return 0.25 * (columns[:, ::2] + columns[:, 1::2])


double.defvjp(lambda x: (double(x), None), lambda _, g: (4.0 * mean_pool(g),))
mean_pool.defvjp(lambda x: (mean_pool(x), None), lambda _, g: (0.25 * double(g),))
