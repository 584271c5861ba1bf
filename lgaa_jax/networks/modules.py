"""The five networks, as Linen modules (Ye and Bors 2024; layers of the published code).

Sizes: B examples, H x W x C images, Z content code, U classes, N tasks. Nothing in them knows about
tasks, phases or optimisers. `dtype` is what the layers compute in; outputs are float32.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from lgaa_jax.networks import ops
from lgaa_jax.networks.layers import ClassNetwork, Conv, ConvUp, Trunk, dense, head, normalisation


class Generator(nn.Module):
    """G(z, u, d): doublings from a small map to the image."""

    image_shape: tuple[int, int, int]
    channels: tuple[int, ...]  # of the first map and after each doubling
    refined: int  # how many of the doublings, from the first, a convolution follows
    norm: str
    dtype: str = "float32"

    @nn.compact
    def __call__(self, z: jax.Array, u: jax.Array, d: jax.Array) -> jax.Array:
        """z: [B, Z]; u: [B, U]; d: [B, N] -> x: [B, H, W, C] in [-1, 1]."""
        first, *rest = self.channels
        size = self.image_shape[0] // 2 ** len(rest)
        x = dense(size**2 * first, self.dtype)(jnp.concatenate([z, u, d], axis=-1))
        x = x.reshape(x.shape[0], size, size, first)
        x = nn.relu(normalisation(self.norm, first)(x))
        for doubling, features in enumerate(rest):
            layers: list[nn.Module] = [ConvUp(features, dtype=self.dtype)]
            if doubling < self.refined:
                layers.append(Conv(features, dtype=self.dtype))
            for layer in layers:
                x = nn.relu(normalisation(self.norm, features)(layer(x)))
        return jnp.tanh(Conv(self.image_shape[-1], dtype=self.dtype)(x).astype(jnp.float32))


class Encoder(nn.Module):
    """q(z given x): mean and standard deviation of a diagonal normal."""

    code_size: int
    width: int
    norm: str
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """x: [B, H, W, C] -> mean, std: [B, Z] each, std > 0."""
        h = Trunk(self.width, self.norm, self.dtype)(x)
        return head(self.code_size)(h), nn.softplus(head(self.code_size)(h))


class Critic(nn.Module):
    """D(x): one real number; no normalisation but the affine, for the gradient penalty's sake."""

    width: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x: [B, H, W, C] -> [B]."""
        return head(1)(Trunk(self.width, "affine", self.dtype)(x))[:, 0]


class ClassModel(ClassNetwork):
    """q(u given x): logits over the classes; its features are the hidden layer, [B, 32 width]."""

    def body(self, x: jax.Array) -> jax.Array:
        """x: [B, H, W, C] -> features [B, F]."""
        for channels in (self.width, 2 * self.width):
            x = nn.relu(ops.max_pool(Conv(channels, kernel=5, dtype=self.dtype)(x)))
        return nn.relu(dense(32 * self.width, self.dtype)(x.reshape(x.shape[0], -1)))


class DomainModel(nn.Module):
    """q(d given z): logits over the tasks, read off the code and not the image."""

    num_tasks: int
    hidden: tuple[int, ...]
    dtype: str = "float32"

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        """z: [B, Z] -> logits [B, N]."""
        for features in self.hidden:
            z = nn.relu(dense(features, self.dtype)(z))
        return head(self.num_tasks)(z)
