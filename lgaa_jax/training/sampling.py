"""Images sampled from a generator: first classes, then codes, then G(z, u, d)."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lgaa_jax.data.images import to_uint8
from lgaa_jax.networks.nets import Nets
from lgaa_jax.training.codes import Codes, sample_codes
from lgaa_jax.training.devices import ONE_DEVICE, Layout

CHUNK = 250  # images sampled at once outside of a training step
AGAIN = 1 << 20  # what the keys of further draws are folded with; before it come chunks

Pullback = Callable[[jax.Array], tuple[dict[str, Any]]]  # from dL/dx to dL/dparameters of G


def one_hot(index: jax.Array, size: int) -> jax.Array:
    """[B] int32 -> [B, size] float32, also for size 0. An index below 0 gives zeros."""
    return jax.nn.one_hot(index, size, dtype=jnp.float32)


def has_classes(class_mask: jax.Array, d: jax.Array) -> jax.Array:
    """Whether the tasks d have classes. class_mask: [N, U]; d: [B] -> [B] bool."""
    return jnp.any(class_mask, axis=-1)[d]


def sample_classes(key: jax.Array, d: jax.Array, class_mask: jax.Array) -> jax.Array:
    """A class for each of the tasks d, uniform over those that it has; -1 where it has none.

    d: [B]; class_mask: [N, U] -> [B] int32.
    """
    if not class_mask.shape[1]:
        return jnp.full(d.shape, -1, jnp.int32)
    u = jax.random.categorical(key, jnp.log(class_mask[d].astype(jnp.float32)))
    return jnp.where(has_classes(class_mask, d), u, -1).astype(jnp.int32)


def generate(
    nets: Nets, generator: dict[str, Any], z: jax.Array, u: jax.Array, d: jax.Array
) -> jax.Array:
    """G for class and task indices. z: [B, Z]; u, d: [B] -> x: [B, H, W, C] in [-1, 1]."""
    codes = one_hot(u, nets.num_classes), one_hot(d, nets.num_tasks)
    return nets.apply("generator", {"generator": generator}, z, *codes)


def sample_images(
    nets: Nets,
    source: dict[str, Any],
    key_z: jax.Array,
    key_u: jax.Array,
    d: jax.Array,
    class_mask: jax.Array,
    spread: float,
    place: Callable[[Any], Any],
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Images of the tasks d: [n], each of a random class of its task (docs/fidelity.md, "replay").

    source: generator and codes, as `TrainState.replay` holds them; spread: of the codes; place:
    puts rows where their images are to be made, rows of zeros among them. Returns x: [n, H, W, C]
    in [-1, 1], u: [n] int32, the classes sampled, and d, n as `place` makes it.
    """
    u = sample_classes(key_u, d, class_mask)
    z = sample_codes(key_z, source["codes"], u, d, nets.code_size, spread)
    z, u, d = place((z, u, d))
    return generate(nets, source["generator"], z, u, d), u, d


def sample_fake(
    nets: Nets,
    generator: dict[str, Any],
    codes: Codes,
    key: jax.Array,
    u: jax.Array,
    d: jax.Array,
    class_mask: jax.Array,
    spread: float = 1.0,
) -> tuple[jax.Array, Pullback, jax.Array]:
    """G(z, u, d) at a batch's classes and tasks, with its vector-Jacobian product.

    u, d: [B]; an example without a class gets one of its task's, if that has any; spread: of the
    codes. Returns x: [B, H, W, C], the pullback to G's parameters, and u: [B].
    """
    key_z, key_u = jax.random.split(key)
    u = jnp.where(u >= 0, u, sample_classes(key_u, d, class_mask))
    z = sample_codes(key_z, codes, u, d, nets.code_size, spread)
    fake, pullback = jax.vjp(lambda params: generate(nets, params, z, u, d), generator)
    return fake, pullback, u


def sample_task(
    nets: Nets,
    source: dict[str, Any],
    key: jax.Array,
    task: int,
    n: int,
    class_mask: jax.Array,
    spread: float = 1.0,
    layout: Layout = ONE_DEVICE,
    turn: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """`n` images of one task, a pure function of its arguments; `source` as in `sample_images`.

    turn: above 0: other images, of the same classes. Returns host arrays x: [n, H, W, C] uint8 and
    u: [n] int32, the classes sampled.
    """

    def chunk(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        key_z, key_u = jax.random.split(key)
        keys = turned(key_z, turn), key_u
        return _sample_chunk(nets, source, keys, jnp.int32(task), class_mask, spread, layout)

    x, u = in_chunks(chunk, key, n, layout)
    return x, u


@functools.partial(jax.jit, static_argnums=(0, 5, 6))
def _sample_chunk(
    nets: Nets,
    source: dict[str, Any],
    keys: tuple[jax.Array, jax.Array],
    task: jax.Array,
    class_mask: jax.Array,
    spread: float,
    layout: Layout,
) -> tuple[jax.Array, jax.Array]:
    d = jnp.full(CHUNK, task)
    x, u, _ = sample_images(nets, source, *keys, d, class_mask, spread, layout.split_padded)
    return to_uint8(x)[:CHUNK], u[:CHUNK]


def turned(key: jax.Array, turn: int) -> jax.Array:
    """The key with which codes are drawn at this turn; it is `key` itself at the first, 0."""
    return jax.random.fold_in(jax.random.fold_in(key, AGAIN), turn) if turn else key


def in_chunks(
    chunk: Callable[[jax.Array], tuple[jax.Array, ...]],
    key: jax.Array,
    n: int,
    layout: Layout = ONE_DEVICE,
) -> tuple[np.ndarray, ...]:
    """`n` examples on the host, from as many calls of `chunk(key)` as that takes.

    Each call gives `CHUNK` examples and has a key of its own.
    """
    keys = (jax.random.fold_in(key, i) for i in range(-(-n // CHUNK)))
    parts = [layout.fetch(chunk(key_i)) for key_i in keys]
    return tuple(np.concatenate(column)[:n] for column in zip(*parts, strict=True))
