"""By what the data of a task are known again."""

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from lgaa_jax.data.loading import Task
from lgaa_jax.data.stored import Images, Stored

SAMPLE = 1000  # images of a split that are compared where not all are


def fingerprint(task: Task) -> dict[str, Any]:
    """Numbers of training and test images, and checksums of images and of all true labels.

    Of the images as they are trained on: a file that was written anew with the same pixels is the
    same. `sample` is of some of them, spread evenly; `images`, of all, is left out where they stay
    on disk. What a run may know of the labels follows from its config. CRC-32, which takes a third
    of the time of SHA-256: a change that it misses by chance is one in four billion.
    """
    splits = task.train, task.test
    found: dict[str, Any] = {"training": len(task.train.images), "test": len(task.test.images)}
    found["sample"] = _checksum(sample(split.images) for split in splits)
    if not any(isinstance(split.images, Stored) for split in splits):
        found["images"] = _checksum(split.read() for split in splits)
    found["labels"] = _checksum(split.truth for split in splits)
    return found


def sample(images: Images) -> np.ndarray:
    """At most `SAMPLE` of the images, spread evenly."""
    n = len(images)
    return images[np.arange(n) if n <= SAMPLE else np.linspace(0, n - 1, SAMPLE).astype(np.int64)]


def _checksum(arrays: Iterator[np.ndarray]) -> str:
    crc = 0
    for array in arrays:
        crc = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, crc)
    return f"{crc:08x}"
