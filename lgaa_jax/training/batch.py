"""A training batch: as it is handed to a step, and as the phases take it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lgaa_jax.data.images import to_unit

Array = jax.Array | np.ndarray


class Pool(NamedTuple):
    """Labelled images that batches are taken from, padded to one size; padding is never taken.

    Where images are streamed, the rows of K batches: [K, B] stands for [M].
    """

    x: Array  # [M, H, W, C] uint8
    u: Array  # [M] int32, -1: no label
    d: Array  # [M] int32, index of the task


class Batch(NamedTuple):
    """Examples for one step; those from `num_real` on are placeholders that replay fills.

    rate: what all learning rates of the step are multiplied by; None: nothing.
    """

    x: Array  # [B, H, W, C] uint8
    u: Array  # [B] int32, -1: no label
    d: Array  # [B] int32, index of the task
    num_real: Array  # [] int32
    rate: Array | None = None  # [] float32


class Examples(NamedTuple):
    """A batch as the phases take it, real and replayed examples together."""

    x: jax.Array  # [B, H, W, C] in [-1, 1]
    u: jax.Array  # [B] int32, -1: no label
    d: jax.Array  # [B] int32, index of the task
    soft: jax.Array  # [B, U] float32, q(u|x) of the frozen class model; zeros: no soft label


def as_examples(batch: Batch, num_classes: int) -> Examples:
    """The batch as it is, with nothing replayed and without soft labels."""
    x, u, d = (jnp.asarray(column) for column in batch[:3])
    return Examples(to_unit(x), u, d, jnp.zeros((len(u), num_classes)))
