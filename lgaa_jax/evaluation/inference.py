"""What the networks say of images, and the reconstructions that follow from it.

`encode`, `class_logits`, `domain_logits` and `decode` are the programs that evaluation, pictures,
the model API and exports share. Each is compiled by itself, so that all of them get the same bits
for a batch, which parts of larger programs would not: XLA fuses and rounds each program as a whole.

params: parameters by network, as `TrainState.evaluated` has them; a program needs its own alone.
Sizes: B images, H x W x C, Z content code, U classes, N tasks.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from lgaa_jax.data.images import to_unit
from lgaa_jax.data.stored import Images
from lgaa_jax.evaluation.batches import in_batches
from lgaa_jax.networks.nets import Nets, Params
from lgaa_jax.training.batch import Array
from lgaa_jax.training.devices import ONE_DEVICE, Layout
from lgaa_jax.training.sampling import has_classes, one_hot


@jax.jit(static_argnums=0)
def encode(nets: Nets, params: Params, images: jax.Array) -> jax.Array:
    """The mean of q(z given x). images: [B, H, W, C] uint8 -> [B, Z]."""
    return nets.apply("encoder", params, to_unit(images))[0]


@jax.jit(static_argnums=0)
def class_logits(nets: Nets, params: Params, images: jax.Array) -> jax.Array:
    """Logits of q(u given x), where there are classes. images: [B, H, W, C] uint8 -> [B, U]."""
    return nets.apply("class", params, to_unit(images))


@jax.jit(static_argnums=0)
def domain_logits(nets: Nets, params: Params, z: jax.Array) -> jax.Array:
    """Logits of q(d given z). z: [B, Z] -> [B, N]."""
    return nets.apply("domain", params, z)


@jax.jit(static_argnums=0)
def decode(nets: Nets, params: Params, z: jax.Array, u: jax.Array, d: jax.Array) -> jax.Array:
    """G(z, u, d). z: [B, Z]; u: [B, U]; d: [B, N] -> [B, H, W, C] in [-1, 1]."""
    return nets.apply("generator", params, z, u, d)


def task_logits(nets: Nets, params: Params, images: Array) -> jax.Array:
    """`domain_logits` of what `encode` says of images: [B, H, W, C] uint8 -> [B, N]."""
    return domain_logits(nets, params, encode(nets, params, images))


def infer(nets: Nets, params: Params, images: Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Mean of q(z|x) [B, Z], argmax of q(u|x) [B] (-1 when U = 0) and of q(d|z) [B], int32.

    images: [B, H, W, C] uint8.
    """
    z = encode(nets, params, images)
    u = jnp.full(len(images), -1, jnp.int32)
    if nets.class_model is not None:
        u = _argmax(class_logits(nets, params, images))
    return z, u, _argmax(domain_logits(nets, params, z))


@jax.jit(static_argnums=0)
def codes(
    nets: Nets, class_mask: jax.Array, u: jax.Array, d: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The class and task codes by which an image is reconstructed: [B, U] and [B, N].

    u is 0 where d is a task without classes. class_mask: [N, U]; u, d: [B], as `infer` gives them.
    """
    given = jnp.where(has_classes(class_mask, d), u, -1)
    return one_hot(given, nets.num_classes), one_hot(d, nets.num_tasks)


def reconstruct(
    nets: Nets, params: Params, class_mask: Array, images: Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """G(mean of q(z|x), argmax of q(u|x), argmax of q(d|z)): no sampling, so it is repeatable.

    class_mask: as in `codes`; images: [B, H, W, C] uint8 -> reconstruction [B, H, W, C] in [-1, 1],
    class [B] (-1 when U = 0), task [B].
    """
    z, u, d = infer(nets, params, images)
    return decode(nets, params, z, *codes(nets, class_mask, u, d)), u, d


def infer_all(
    nets: Nets, params: Params, images: Images, size: int, layout: Layout = ONE_DEVICE
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`infer` of all images [n, H, W, C] in batches of `size`, on the host."""
    return in_batches(functools.partial(infer, nets, params), size, images, layout=layout)


@jax.jit
def _argmax(logits: jax.Array) -> jax.Array:
    return jnp.argmax(logits, axis=-1).astype(jnp.int32)
