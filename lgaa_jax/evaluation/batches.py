"""A program that is run on many examples: in batches of few sizes, on the device one at a time."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from lgaa_jax.data.stored import Images
from lgaa_jax.training.devices import ONE_DEVICE, Layout

FEW = 16  # up to so many examples, batches are no larger than this


def batch_size(n: int, most: int) -> int:
    """The size of the batches in which n examples are taken; most: that of many."""
    return min(FEW, most) if n <= FEW else most


def in_batches(
    program: Callable[..., Any], most: int, *columns: Images, layout: Layout = ONE_DEVICE
) -> Any:
    """What a program makes of columns [n, ...], a batch of their rows at a time, on the host.

    program: from arrays [B, ...] to a tree of arrays [B, ...]; most: as in `batch_size`; layout:
    of the devices that divide a batch. The last batch is filled up, so that all are of one size. Of
    images on disk one batch is read at a time.
    """
    n = len(columns[0])
    size = layout.round_up(batch_size(n, most))
    parts = (
        layout.put([filled(c[i : i + size], size) for c in columns]) for i in range(0, n, size)
    )
    return collected((program(*part) for part in parts), n, layout)


def collected(results: Iterable[Any], n: int, layout: Layout = ONE_DEVICE) -> Any:
    """The first n rows of trees of arrays [B, ...], one below the other, on the host.

    Each result is fetched and let go before the next is asked for. The whole is made once, and
    not put together of parts, which would take twice the memory.
    """
    whole, start = None, 0
    for result in map(layout.fetch, results):
        if whole is None:
            whole = jax.tree.map(lambda rows: np.empty((n, *rows.shape[1:]), rows.dtype), result)
        for target, rows in zip(jax.tree.leaves(whole), jax.tree.leaves(result), strict=True):
            target[start : start + len(rows)] = rows[: n - start]
        start += len(jax.tree.leaves(result)[0])
    return whole


def filled(batch: np.ndarray, size: int) -> np.ndarray:
    """The batch filled up with copies of its first row."""
    return np.concatenate([batch, np.repeat(batch[:1], size - len(batch), axis=0)])
