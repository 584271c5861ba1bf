"""Decoded folders on disk, so that the next start need not decode them again.

Three files: NAME.npy has the images, NAME.crc32 a checksum of each, for those who read them one by
one, and NAME.json the rest of what was decoded and the checksum of all images.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from lgaa_jax.data import columns
from lgaa_jax.data.decoding import Decoded, Facts
from lgaa_jax.data.stored import checksums
from lgaa_jax.files import read_json, write_json
from lgaa_jax.seals import array_checksum, opened, sealed


class Record(NamedTuple):
    """All that is kept of a folder but its images."""

    facts: list[Facts]  # as in `Decoded`
    broken: dict[int, str]
    checksum: str  # of the images


class Place(NamedTuple):
    """Where the images lie in a file."""

    path: Path
    shape: tuple[int, ...]  # [n, H, W, C]
    start: int  # bytes before the first


def read(kept: Path, count: int) -> Decoded | None:
    """What `keep` kept of `count` files; None if it is not there or is damaged."""
    found = record(kept)
    if found is None:
        return None
    try:
        images = np.load(kept.with_suffix(".npy"), allow_pickle=False)
        whole = array_checksum(images) == found.checksum
    except (OSError, ValueError, EOFError, MemoryError):  # which a damaged header asks for
        return None
    whole = whole and len(images) == count - len(found.broken)
    return Decoded(images, found.facts, found.broken, lasting=True) if whole else None


def record(kept: Path) -> Record | None:
    """What is kept beside the images; None if it is not there or is damaged."""
    content = opened(read_json(kept.with_suffix(".json")))
    if content is None:
        return None
    facts = [Facts(*image) for image in content["facts"]]
    broken = {int(place): why for place, why in content["broken"].items()}
    return Record(facts, broken, content["checksum"])


def place(kept: Path) -> tuple[Place, np.ndarray] | None:
    """Where the images are, and CRC-32 of each, uint32 [n]; None: not there, or not whole."""
    path, sums = kept.with_suffix(".npy"), columns.read(kept.with_suffix(".crc32"))
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            start = file.tell()
            whole = path.stat().st_size == start + int(np.prod(shape))
    except (OSError, ValueError, EOFError):
        return None
    if not whole or dtype != np.uint8 or sums is None or len(sums) != shape[0]:
        return None
    return Place(path, shape, start), sums


class Writer:
    """Keeps images that come a part at a time; what an error of the disk ends is told once."""

    def __init__(self, kept: Path, most: int):
        """most: as many images may come."""
        self.sums = np.empty(0, np.uint32)  # CRC-32 of each image that came
        self._kept, self._most = kept, most
        self._shape: tuple[int, ...] = (1, 1, 1)
        self._sha = hashlib.sha256()
        self._partial = kept.with_suffix(f".{os.getpid()}.npy")
        self._works = True

    def add(self, images: np.ndarray) -> None:
        """Takes images, uint8 [k, H, W, C], after those that came before."""
        first = not len(self.sums)
        self.sums = np.concatenate([self.sums, checksums(images)])
        self._shape = images.shape[1:]

        def write() -> None:
            if first:
                self._kept.parent.mkdir(parents=True, exist_ok=True)
                self._require_room(self._most * images[0].nbytes)
            with self._partial.open("wb" if first else "ab") as file:
                if first:
                    self._head(file, self._most)
                file.write(np.ascontiguousarray(images).data)

        self._sha.update(np.ascontiguousarray(images).data)
        self._attempt(write)

    def finish(self, facts: Sequence[Facts], broken: Mapping[int, str]) -> bool:
        """Keeps all images that came, with the rest; returns whether that could be done."""
        content = {"facts": facts, "broken": {str(i): why for i, why in broken.items()}}
        content["checksum"] = self._sha.hexdigest()

        def write() -> None:
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            with self._partial.open("r+b" if len(self.sums) else "wb") as file:
                self._head(file, len(self.sums))  # now that their number is known
            columns.write(self._kept.with_suffix(".crc32"), self.sums)
            write_json(self._kept.with_suffix(".json"), sealed(content))
            self._partial.replace(self._kept.with_suffix(".npy"))

        self._attempt(write)
        return self._works

    def drop(self) -> None:
        """Removes what is not finished."""
        with contextlib.suppress(OSError):
            self._partial.unlink()

    def _head(self, file: Any, n: int) -> None:
        # NumPy leaves room in it for a larger n, so that it is as long for every n.
        described = {"descr": "|u1", "fortran_order": False, "shape": (n, *self._shape)}
        np.lib.format.write_array_header_1_0(file, described)

    def _require_room(self, size: int) -> None:
        if size > shutil.disk_usage(self._kept.parent).free // 2:
            raise OSError(0, f"{size / 1e9:.3g} GB are more than half of what is free")

    def _attempt(self, action: Callable[[], None]) -> None:
        if not self._works:
            return
        try:
            action()
        except OSError as error:
            self._works = False
            self.drop()
            logging.warning(
                "decoded images cannot be kept in %s (%s); name another data.cache_dir, or they "
                "are decoded at every start.",
                self._kept.parent,
                error.strerror,
            )


@contextlib.contextmanager
def writer(kept: Path, most: int) -> Iterator[Writer]:
    """A Writer for the block, which leaves nothing half done behind."""
    made = Writer(kept, most)
    try:
        yield made
    finally:
        made.drop()


def keep(kept: Path, decoded: Decoded) -> None:
    """Keeps what was decoded, unless another try may go better.

    Where it cannot be kept, that is logged, and a run is only slower.
    """
    if not decoded.lasting:
        return
    with writer(kept, len(decoded.images)) as made:
        if len(decoded.images):
            made.add(np.asarray(decoded.images))
        made.finish(decoded.facts, decoded.broken)
