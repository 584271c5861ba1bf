"""Building blocks of the networks: convolutions, normalisation, what those of both families share.

Parameters are float32. The field `dtype` of a layer is what it computes in and returns; a norm
returns the dtype of its input and computes in float32 or wider.
"""

import math
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from lgaa_jax.networks import ops, sums

WEIGHT_INIT = nn.initializers.normal(0.02)
CONV_STAGES = 4  # stride-2 convolutions of the encoder and the critic
GROUP_CHANNELS = 8  # channels that share one mean and variance under group norm


class Conv(nn.Module):
    """SAME convolution with a square kernel; see `ops.conv`."""

    features: int
    kernel: int = 3
    stride: int = 1
    dtype: str = "float32"
    kernel_init: nn.initializers.Initializer = WEIGHT_INIT

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x: [B, H, W, C] -> [B, H / stride, W / stride, features]."""
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, kernel, bias = (a.astype(self.dtype) for a in (x, kernel, bias))
        return sums.add_bias(ops.conv(x, kernel, self.stride), bias)


class ConvUp(nn.Module):
    """3x3 transposed convolution of stride 2; see `ops.conv_transpose`."""

    features: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x: [B, H, W, C] -> [B, 2H, 2W, features]."""
        kernel = self.param("kernel", WEIGHT_INIT, (3, 3, x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, kernel, bias = (a.astype(self.dtype) for a in (x, kernel, bias))
        return sums.add_bias(ops.conv_transpose(x, kernel), bias)


class Affine(nn.Module):
    """A scale and a shift per channel: what the published "batch norm" computes."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x: [B, H, W, C] -> the same shape."""
        scale = self.param("scale", nn.initializers.ones, x.shape[-1:])
        bias = self.param("bias", nn.initializers.zeros, x.shape[-1:])
        each_image = (x.shape[0], x.shape[-1])
        return sums.scale_shift(x, *(jnp.broadcast_to(a, each_image) for a in (scale, bias)))


class GroupNorm(nn.Module):
    """Group norm (Wu and He 2018) of each image by itself: that of Flax, several times as fast.

    Sums run over the pixels of each channel first and over the channels of a group last. To the
    image itself only one product and one sum are applied.
    """

    groups: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x: [B, H, W, C] -> the same shape."""
        b, h, w, c = x.shape
        scale = self.param("scale", nn.initializers.ones, (c,))
        bias = self.param("bias", nn.initializers.zeros, (c,))

        def group_mean(values: jax.Array) -> jax.Array:
            total = sums.channel_sum(values).reshape(b, self.groups, -1)
            return total.mean(2, keepdims=True) / (h * w)

        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        mean = group_mean(wide)
        # Rounding may leave a variance below 0 where all pixels are alike.
        variance = jnp.maximum(group_mean(jnp.square(wide)) - jnp.square(mean), 0.0)
        rate = jax.lax.rsqrt(variance + 1e-6) * scale.reshape(1, self.groups, -1)
        shift = bias.reshape(1, self.groups, -1) - mean * rate
        return sums.scale_shift(x, *(a.reshape(b, c) for a in (rate, shift)))


def normalisation(kind: str, channels: int) -> nn.Module:
    """Normalisation of each example by itself.

    Statistics of a batch would tell real and replayed examples apart.
    """
    if kind == "affine":
        return Affine()
    return GroupNorm(math.gcd(channels, max(1, channels // GROUP_CHANNELS)))


def dense(
    features: int, dtype: str, kernel_init: nn.initializers.Initializer = WEIGHT_INIT
) -> nn.Dense:
    """A dense layer, by default with the published initialisation."""
    return nn.Dense(features, dtype=dtype, kernel_init=kernel_init)


def head(features: int, kernel_init: nn.initializers.Initializer = WEIGHT_INIT) -> nn.Dense:
    """The last layer before a loss: float32, whatever the layers before it compute in."""
    return dense(features, "float32", kernel_init)


def leaky_relu(x: jax.Array) -> jax.Array:
    """Leaky ReLU of slope 0.2."""
    return nn.leaky_relu(x, 0.2)


class Trunk(nn.Module):
    """Four stride-2 convolutions and a dense layer: the body of encoder and critic."""

    width: int
    norm: str
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x: [B, H, W, C] -> [B, 16 width]."""
        for stage in range(CONV_STAGES):
            features = self.width * 2**stage
            x = Conv(features, stride=2, dtype=self.dtype)(x)
            x = leaky_relu(normalisation(self.norm, features)(x))
        x = x.reshape(x.shape[0], -1)
        return leaky_relu(dense(16 * self.width, self.dtype)(x))


class ClassNetwork(nn.Module):
    """q(u given x): logits over the classes, read off features of the image.

    A subclass has `body`, the layers that make the features.
    """

    num_classes: int
    width: int
    dropout: float
    dtype: str = "float32"
    head_init: ClassVar[nn.initializers.Initializer] = staticmethod(WEIGHT_INIT)

    def body(self, x: jax.Array) -> jax.Array:
        """x: [B, H, W, C] -> features [B, F]."""
        raise NotImplementedError

    @nn.compact
    def __call__(
        self, x: jax.Array, train: bool = False, features: bool = False
    ) -> jax.Array | tuple[jax.Array, jax.Array]:
        """x: [B, H, W, C] -> logits [B, U], with `features` also what they are read off, [B, F].

        `train` needs a "dropout" key.
        """
        x = self.body(x)
        dropped = nn.Dropout(self.dropout, deterministic=not train)(x)
        logits = head(self.num_classes, self.head_init)(dropped)
        return (logits, x.astype(jnp.float32)) if features else logits
