"""Images moved by parts of a pixel: what the class model learns from, so that places mean less."""

import jax
import jax.numpy as jnp


def shifted(key: jax.Array, x: jax.Array, most: float) -> jax.Array:
    """Each image moved by up to `most` pixels along each axis, evenly distributed.

    Between pixels it is interpolated linearly, and the border's pixels go on outside. x:
    [B, H, W, C] -> the same shape.
    """
    b, height, width, _ = x.shape
    rows, columns = jax.random.uniform(key, (2, b), x.dtype, -most, most)
    return jnp.einsum("biy,bjx,byxc->bijc", _weights(rows, height), _weights(columns, width), x)


def _weights(offset: jax.Array, size: int) -> jax.Array:
    """What each pixel of a line takes of each: [B] -> [B, size, size]."""
    places = jnp.arange(size, dtype=offset.dtype)
    source = jnp.clip(places[None] + offset[:, None], 0, size - 1)
    return jnp.maximum(0.0, 1.0 - jnp.abs(source[..., None] - places[None, None]))
