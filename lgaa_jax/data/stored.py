"""Images that stay on disk: indexed like an array, and read when they are asked for."""

import dataclasses
import zlib
from collections.abc import Iterator
from typing import Protocol

import numpy as np

CHUNK = 1000  # images that are read at once where all of them are


class Rows(Protocol):
    """A set of images of one shape, each of which can be read by itself."""

    @property
    def shape(self) -> tuple[int, ...]:
        """[n, H, W, C], as an array of them all would have it."""

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The images at `rows`, int [k]: uint8 [k, H, W, C]."""

    def checksums(self) -> np.ndarray:
        """CRC-32 of the pixels of each image: uint32 [n]."""


@dataclasses.dataclass(frozen=True, eq=False)
class Stored:
    """Some images of a set that lies on disk, in the order of `rows`.

    `images[key]` is an array, for whatever key an array of images takes, and reads these images and
    no others; `take` reads none.
    """

    source: Rows
    rows: np.ndarray  # int32 [n], which of the source's

    @property
    def shape(self) -> tuple[int, ...]:
        """[n, H, W, C]."""
        return (len(self.rows), *self.source.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | np.integer | slice | np.ndarray) -> np.ndarray:
        rows = np.asarray(self.rows[key])
        images = self.source.read(rows.ravel())
        return images.reshape(*rows.shape, *self.shape[1:])

    def take(self, chosen: slice | np.ndarray) -> "Stored":
        """The images that are chosen, by indices or a mask."""
        return Stored(self.source, self.rows[chosen])

    def checksums(self) -> np.ndarray:
        """CRC-32 of the pixels of each image: uint32 [n]."""
        return self.source.checksums()[self.rows]


Images = np.ndarray | Stored  # uint8 [n, H, W, C]


def stored(source: Rows) -> Stored:
    """All images of a set."""
    return Stored(source, np.arange(source.shape[0], dtype=np.int32))


def taken(images: Images, chosen: slice | np.ndarray) -> Images:
    """The images that are chosen, by indices or a mask; of those on disk none is read."""
    return images.take(chosen) if isinstance(images, Stored) else images[chosen]


def chunks(images: Images) -> Iterator[np.ndarray]:
    """All images in their order, some at a time."""
    yield from (images[start : start + CHUNK] for start in range(0, len(images), CHUNK))


def checksums(images: Images) -> np.ndarray:
    """CRC-32 of the pixels of each image: uint32 [n]."""
    if isinstance(images, Stored):
        return images.checksums()
    found = np.empty(len(images), np.uint32)
    for i, image in enumerate(images):
        found[i] = zlib.crc32(np.ascontiguousarray(image).data)
    return found
