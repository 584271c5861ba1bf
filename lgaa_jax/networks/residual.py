"""The residual family of networks: they learn colour and detail fast.

Pre-activation blocks (He et al. 2016) with per-example normalisation inside them and nowhere else:
the streams that the skips carry, from the pixels and to them, keep brightness and colour, which a
norm takes out. No convolution of theirs runs at full resolution: they see an image as 2x2 patches.
The class model is of another kind, below.

Sizes: B rows, H x W x C images, Z content code, U classes, N tasks. `channels` are those of the
maps, from the smallest, `BOTTOM` pixels high, to the largest, half as high as the image.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from lgaa_jax.networks import ops
from lgaa_jax.networks.layers import ClassNetwork, Conv, dense, head, normalisation
from lgaa_jax.networks.resampling import double, from_patches, mean_pool, to_patches

BOTTOM = 4  # height and width of the smallest map
PATCH = 2
FAN_IN = nn.initializers.lecun_uniform()  # of a normal, XLA takes far longer to compile the draw
FAN_IN_RELU = nn.initializers.he_uniform()
ZEROS = nn.initializers.zeros


def num_maps(size: int) -> int:
    """Maps of the networks for images of this height: 2 for 16 pixels, 3 for 32, 4 for 64."""
    return (size // (PATCH * BOTTOM)).bit_length()


def smooth(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Weights of the convolution that makes patches, [3, 3, I, PATCH^2 C]: a bilinear doubling.

    Drawn apart, the pixels of a patch would have colours of their own, a grid that training takes
    hundreds of steps to remove. So they begin as one projection to C colours, interpolated.
    """
    *_, inputs, outputs = shape
    colours = FAN_IN(key, (inputs, outputs // PATCH**2), dtype)
    # Of the three pixels around it, what the first and the second half of a pixel take.
    row = jnp.array([[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]], dtype)
    return jnp.einsum("ay,bx,ic->yxiabc", row, row, colours).reshape(shape)


class Block(nn.Module):
    """x + two convolutions, each after norm and SiLU; the last one begins at zero.

    resize: "double" or "halve" changes height and width by two; "": they stay.
    """

    features: int
    norm: str
    resize: str = ""
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x: [B, H, W, C] -> [B, H', W', features]."""
        conv = functools.partial(Conv, dtype=self.dtype)
        stride = 2 if self.resize == "halve" else 1
        h = nn.silu(normalisation(self.norm, x.shape[-1])(x))
        h = conv(self.features, stride=stride, kernel_init=FAN_IN)(h)
        h = nn.silu(normalisation(self.norm, self.features)(h))
        # Doubled as late as may be: all before it costs a quarter.
        h = double(h) if self.resize == "double" else h
        h = conv(self.features, kernel_init=ZEROS)(h)
        skip = mean_pool(x) if self.resize == "halve" else x
        if skip.shape[-1] != self.features:
            skip = conv(self.features, kernel=1, kernel_init=FAN_IN)(skip)
        return h + (double(skip) if self.resize == "double" else skip)


class Trunk(nn.Module):
    """From the image's patches to the smallest map: the body of encoder and critic."""

    channels: tuple[int, ...]
    norm: str
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x: [B, H, W, C] -> [B, BOTTOM^2 channels[0]]."""
        largest, *rest = self.channels[::-1]
        x = Conv(largest, dtype=self.dtype, kernel_init=FAN_IN)(to_patches(x, PATCH))
        for features in rest:
            x = Block(features, self.norm, "halve", self.dtype)(x)
        return nn.silu(x).reshape(x.shape[0], -1)


class Generator(nn.Module):
    """G(z, u, d): doublings from the smallest map to the image's patches."""

    image_shape: tuple[int, int, int]
    channels: tuple[int, ...]
    norm: str
    dtype: str = "float32"

    @nn.compact
    def __call__(self, z: jax.Array, u: jax.Array, d: jax.Array) -> jax.Array:
        """z: [B, Z]; u: [B, U]; d: [B, N] -> x: [B, H, W, C] in [-1, 1]."""
        first, *rest = self.channels
        codes = jnp.concatenate([z, u, d], axis=-1)
        x = dense(BOTTOM**2 * first, self.dtype, FAN_IN)(codes)
        x = Block(first, self.norm, dtype=self.dtype)(x.reshape(x.shape[0], BOTTOM, BOTTOM, first))
        for features in rest:
            x = Block(features, self.norm, "double", self.dtype)(x)
        x = nn.silu(x.astype(jnp.float32))
        pixels = Conv(PATCH**2 * self.image_shape[-1], kernel_init=smooth)(x)
        return jnp.tanh(from_patches(pixels, PATCH))


class Encoder(nn.Module):
    """q(z given x): mean and standard deviation of a diagonal normal."""

    code_size: int
    channels: tuple[int, ...]
    norm: str
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """x: [B, H, W, C] -> mean, std: [B, Z] each, std > 0."""
        h = Trunk(self.channels, self.norm, self.dtype)(x)
        mean, deviation = (head(self.code_size, FAN_IN)(h) for _ in range(2))
        return mean, nn.softplus(deviation)


class Critic(nn.Module):
    """D(x): one real number. The norms are of each image: the gradient penalty allows them.

    With `projection` it is D(x, u, d): a vector of the codes is compared with the features of the
    image, here by the mean and not the sum of the products (Miyato and Koyama 2018).
    """

    channels: tuple[int, ...]
    norm: str
    projection: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, *codes: jax.Array) -> jax.Array:
        """x: [B, H, W, C]; codes: u [B, U] and d [B, N] if `projection`, else none -> [B]."""
        h = Trunk(self.channels, self.norm, self.dtype)(x)
        score = head(1, FAN_IN)(h)[:, 0]
        if not self.projection:
            return score
        vector = head(h.shape[-1], FAN_IN)(jnp.concatenate(codes, axis=-1))
        return score + jnp.mean(vector * h, axis=-1)


class ClassModel(ClassNetwork):
    """q(u given x): logits over the classes.

    Strokes a pixel wide count here, so its first convolution is at full resolution, and pooled only
    where images are higher than `full`. Blocks without norms, pooled between them.
    """

    full: int = 16

    head_init = staticmethod(FAN_IN)

    def body(self, x: jax.Array) -> jax.Array:
        """x: [B, H, W, C] -> features [B, F]."""
        conv = functools.partial(Conv, dtype=self.dtype, kernel_init=FAN_IN_RELU)
        x, channels = nn.relu(conv(self.width, kernel=5)(x)), self.width
        if x.shape[1] > self.full:
            x, channels = ops.max_pool(x), 2 * self.width
        while True:
            h = nn.relu(conv(channels)(x))
            skip = conv(channels, kernel=1)(x) if x.shape[-1] != channels else x
            x = nn.relu(skip + Conv(channels, dtype=self.dtype, kernel_init=ZEROS)(h))
            if x.shape[1] <= BOTTOM:
                break
            x, channels = ops.max_pool(x), min(2 * channels, 4 * self.width)
        return x.reshape(x.shape[0], -1)
