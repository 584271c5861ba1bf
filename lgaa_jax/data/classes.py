"""The classes of a folder's images, and which images are for testing where no folder says so.

classes  Each folder in a split, or in the folder itself, with the images at any depth below it; in
         natural order (2 before 10, capitals as small letters). Without such folders: unlabelled.
         A class that occurs in the test split only is left out.
split    An image is for testing by the checksum of its path, one in ten of each class, or of an
         unlabelled folder (held_out.py).
"""

import collections
import dataclasses
import os
import re
import zlib
from collections.abc import Iterable, Sequence

import numpy as np

from lgaa_jax.data import held_out
from lgaa_jax.data.listing import Entry, printable
from lgaa_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class File:
    """An image file with its split and class."""

    entry: Entry
    test: bool
    label: str | None  # name of its class, as it can be printed


def natural(name: str) -> tuple[list[str | int], str]:
    """The key that sorts names as a reader does: 2 before 10, b before C."""
    parts = re.split("([0-9]+)", name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def class_names(files: Iterable[File]) -> tuple[str, ...]:
    """The classes that occur, in the order of their labels."""
    return tuple(sorted({file.label for file in files if file.label is not None}, key=natural))


def in_splits(images: Sequence[Entry], train: str, test: str) -> list[File]:
    """The images below the folders `train` and `test`, both with a slash at the end."""
    return [
        File(entry, base == test, _label(entry.name.removeprefix(base)))
        for entry in images
        for base in (train, test)
        if entry.name.startswith(base)
    ]


def by_checksum(images: Sequence[Entry], base: str) -> list[File]:
    """The images below the folder `base`, each class split by the checksums of its paths."""
    labels = {entry.name: _label(entry.name.removeprefix(base)) for entry in images}
    names = collections.defaultdict(list)
    for name, label in labels.items():
        names[label].append(name)
    tests = set().union(*map(_test_names, names.values()))
    return [File(entry, entry.name in tests, labels[entry.name]) for entry in images]


def _label(inner: str) -> str | None:
    label, below, _ = inner.partition("/")
    return printable(label) if below else None


def _test_names(names: Sequence[str]) -> set[str]:
    """Which images of a class are for testing."""
    ordered = sorted(names)  # in case that checksums are equal
    checksums = np.array([zlib.crc32(os.fsencode(name)) for name in ordered], np.int64)
    return {ordered[i] for i in np.flatnonzero(held_out.chosen(checksums))}


def check_mixed(files: Sequence[File], where: str) -> None:
    """Raises UserError where some images lie in folders and some beside them."""
    inside = [file.entry.name for file in files if file.label is not None]
    beside = [file.entry.name for file in files if file.label is None]
    if inside and beside:
        raise UserError(
            f"{where} holds images in folders ({printable(inside[0])}) and beside them "
            f"({printable(beside[0])}); make each folder a class, or leave all images in one."
        )


def without_test_only(files: Sequence[File]) -> tuple[list[File], list[str]]:
    """Leaves out the classes that have no training image, and says so in a note."""
    trained = {file.label for file in files if not file.test}
    lost = [file for file in files if file.label not in trained]
    names = ", ".join(class_names(lost))
    notes = [f"left out: {counted(len(lost))} of classes that are in test only: {names}"]
    return [file for file in files if file.label in trained], notes * bool(lost)


def counted(count: int) -> str:
    """`1 image`, `2 images`."""
    return f"{count} image{'s' * (count != 1)}"
