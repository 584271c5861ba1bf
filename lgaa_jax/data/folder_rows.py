"""The images of a folder that stays on disk: decoded once, and then read one by one.

They are kept as `cache.py` keeps them, in the same files: a folder that was decoded in either way
is not decoded again in the other. Each image that is read is checked against its CRC-32. Where the
disk has no room for them, images are decoded each time that they are asked for.
"""

import dataclasses
import functools
import os
import weakref
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lgaa_jax.data import cache
from lgaa_jax.data.decoding import BrokenImageError, Decoded, Facts, Fit, decode, fitted, opened
from lgaa_jax.data.stored import CHUNK, Rows, stored
from lgaa_jax.errors import UserError

PLAIN = Facts(animated=False, depth="", peak=0.0)  # of most images, of which nothing is told


@dataclasses.dataclass(frozen=True, eq=False)
class KeptRows:
    """Decoded images in a file that `cache.py` has written."""

    place: cache.Place
    sums: np.ndarray  # uint32 [n], CRC-32 of each image

    @property
    def shape(self) -> tuple[int, ...]:
        """[n, H, W, C]."""
        return self.place.shape

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The images at `rows`, int [k]; raises UserError where one is damaged."""
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        size = int(np.prod(self.shape[1:]))
        for image, row in zip(images, rows.tolist(), strict=True):
            content = os.pread(self._file, size, self.place.start + row * size)
            if len(content) != size or zlib.crc32(content) != self.sums[row]:
                raise UserError(
                    f"{self.place.path} is damaged; delete it, and the same command decodes the "
                    "folder anew."
                )
            image[:] = np.frombuffer(content, np.uint8).reshape(image.shape)
        return images

    def checksums(self) -> np.ndarray:
        """CRC-32 of each image: uint32 [n]."""
        return self.sums

    @functools.cached_property
    def _file(self) -> int:
        # Not mapped into memory: the pages that were read would count as memory of the process.
        file = os.open(self.place.path, os.O_RDONLY)
        weakref.finalize(self, os.close, file)
        return file

    def __getstate__(self) -> dict[str, Any]:
        """Without the open file, for other processes."""
        return {name: value for name, value in self.__dict__.items() if name != "_file"}


@dataclasses.dataclass(frozen=True, eq=False)
class FileRows:
    """Image files, decoded each time."""

    files: list[Path]
    fit: Fit
    shape: tuple[int, ...]
    sums: np.ndarray  # as above, of when the folder was decoded

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The images at `rows`, int [k]; raises UserError where one cannot be read any more."""
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for i, row in enumerate(rows.tolist()):
            try:
                with opened(self.files[row]) as image:
                    images[i] = fitted(image, self.fit)[0]
            except BrokenImageError as error:
                raise UserError(
                    f"{self.files[row]} could be read when the run started, and now it cannot "
                    f"({error}); put it back, and the same command goes on."
                ) from error
        return images

    def checksums(self) -> np.ndarray:
        """CRC-32 of each image: uint32 [n]."""
        return self.sums


def read(kept: Path, files: Sequence[Path], fit: Fit) -> Decoded:
    """What `decoding.decode` says of all files, with images that stay on disk.

    kept: where `cache.py` keeps them; what it has is not decoded again, and no image of it read.
    """
    found, there = cache.record(kept), cache.place(kept)
    if found and there and len(there[1]) == len(files) - len(found.broken):
        return Decoded(stored(KeptRows(*there)), found.facts, found.broken, lasting=True)
    return _decode(kept, files, fit)


def _decode(kept: Path, files: Sequence[Path], fit: Fit) -> Decoded:
    """Decodes all files, some at a time, and keeps what comes of them."""
    facts, broken, lasting = list[Facts](), dict[int, str](), True
    shape: tuple[int, ...] = (1, 1, 1)
    with cache.writer(kept, len(files)) as writer:
        for start in range(0, len(files), CHUNK):
            part = decode(files[start : start + CHUNK], fit)
            broken |= {start + i: why for i, why in part.broken.items()}
            facts += [image for image in part.facts if image != PLAIN]
            lasting = lasting and part.lasting
            if len(part.images):
                shape = part.images.shape[1:]
                writer.add(np.asarray(part.images))
        there = cache.place(kept) if lasting and writer.finish(facts, broken) else None
        sums = writer.sums
    if there:
        rows: Rows = KeptRows(*there)
    else:
        sound = [file for i, file in enumerate(files) if i not in broken]
        rows = FileRows(sound, fit, (len(sound), *shape), sums)
    return Decoded(stored(rows), facts, broken, lasting)
