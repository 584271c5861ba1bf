"""What the inference models say of images, and the reconstructions that follow from it."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from lgaa_jax.data.images import to_unit
from lgaa_jax.data.loading import Split
from lgaa_jax.networks.nets import Nets
from lgaa_jax.training.sampling import generate, has_classes
from lgaa_jax.training.state import TrainState


def infer(nets: Nets, state: TrainState, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean of q(z|x) [B, Z] and argmax of q(u|x) [B] (-1 when U = 0). x: [B, H, W, C]."""
    z, _ = nets.apply("encoder", state.params, x)
    u = jnp.full(len(x), -1, jnp.int32)
    if nets.class_model is not None:
        u = jnp.argmax(nets.apply("class", state.params, x), axis=-1).astype(jnp.int32)
    return z, u


def reconstruct(
    nets: Nets, state: TrainState, x: jax.Array, class_mask: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """G(mean of q(z|x), argmax of q(u|x), argmax of q(d|z)): no sampling, so it is repeatable.

    The class code is 0 where that argmax is a task without classes. x: [B, H, W, C] in [-1, 1];
    class_mask: [N, U] -> reconstruction [B, H, W, C], class [B] (-1 when U = 0), task [B].
    """
    z, u = infer(nets, state, x)
    d = jnp.argmax(nets.apply("domain", state.params, z), axis=-1)
    given = jnp.where(has_classes(class_mask, d), u, -1)
    return generate(nets, state.sampling_generator, z, given, d), u, d


def padded(split: Split, size: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Batches of `size` examples: images, labels and a mask [size], all of one shape.

    The last batch is filled up with copies of the first example, which the mask leaves out.
    """
    for start in range(0, len(split.images), size):
        index = np.arange(start, start + size)
        mask = index < len(split.images)
        index = np.where(mask, index, 0)
        yield split.images[index], split.labels[index], mask


def infer_split(
    nets: Nets, state: TrainState, split: Split, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """`infer` for all images of a split, in batches of `size`: [n, Z] and [n], on the host."""
    parts = []
    for x, _, mask in padded(split, size):
        z, u = jax.device_get(_infer(nets, state, x))
        parts.append((z[mask], u[mask]))
    z, u = (np.concatenate(column) for column in zip(*parts, strict=True))
    return z, u


@jax.jit(static_argnums=0)
def _infer(nets: Nets, state: TrainState, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    return infer(nets, state, to_unit(images))
