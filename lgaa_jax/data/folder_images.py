"""The images of a folder: decoded once, and kept in `data.cache_dir`.

They come in memory, or stay on disk (folder_rows.py). They are kept under a name that depends on
the names, sizes and times of the files, on the version of Pillow and on all that an image goes
through.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL

from lgaa_jax.data import cache, folder_rows
from lgaa_jax.data.classes import File, counted, without_test_only
from lgaa_jax.data.decoding import FULL, Decoded, Facts, Fit, decode
from lgaa_jax.data.folders import Folder
from lgaa_jax.data.listing import printable
from lgaa_jax.data.stored import Images, taken
from lgaa_jax.errors import UserError

Labelled = tuple[Images, np.ndarray]  # uint8 [n, size, size, channels], labels int32 [n]
VERSION = 2  # of what an image goes through here and in `fit`; another one makes caches anew
NAMED = 5  # broken files that a message names
DARK = 16  # images whose values all lie below this part of their range load nearly black


class Loaded(NamedTuple):
    """The images of a folder; labels are -1 where there are none."""

    train: Labelled
    test: Labelled
    class_names: tuple[str, ...]  # in the order of their labels; () if unlabelled
    notes: tuple[str, ...]  # on how the folder is taken, and what is left out


def load(
    source: str,
    folder: Folder,
    fit: Fit,
    rules: Mapping,
    skip_broken: bool,
    kept_in: Path,
    stream: bool = False,
) -> Loaded:
    """Decodes the folder of a source `folder:PATH`, or reads what is kept of it in `kept_in`.

    fit: what each image goes through, described by `rules` for the name of what is kept; stream:
    whether the images stay on disk. Raises UserError with the files that cannot be read, unless
    `skip_broken` leaves them out.
    """
    broken = {file.entry.name: file.entry.problem for file in folder.files if file.entry.problem}
    files = [file for file in folder.files if not file.entry.problem]
    files.sort(key=lambda file: file.test)  # the training images first
    decoded = _decoded(folder.root, files, fit, rules, kept_in, stream)
    broken |= folder.unreadable | {files[i].entry.name: why for i, why in decoded.broken.items()}
    left_out = _broken(source, broken, len(folder.files) + len(folder.unreadable), skip_broken)
    files = [file for i, file in enumerate(files) if i not in decoded.broken]
    _check_splits(source, files)
    kept, test_only = without_test_only(files)
    _check_splits(source, kept)
    images, trained = decoded.images, {file.label for file in kept}
    if test_only:  # indexing copies the array
        images = taken(images, np.array([file.label in trained for file in files]))
    number = {None: -1} | {name: i for i, name in enumerate(folder.class_names)}
    labels = np.array([number[file.label] for file in kept], np.int32)
    first = sum(not file.test for file in kept)
    notes = (*folder.notes, *_facts(decoded.facts), *left_out, *test_only)
    train, test = (
        (taken(images, part), labels[part]) for part in (slice(first), slice(first, None))
    )
    return Loaded(train, test, folder.class_names, notes)


def _decoded(
    root: Path, files: list[File], fit: Fit, rules: Mapping, kept_in: Path, stream: bool
) -> Decoded:
    """All images of the files, and why each of the others cannot be used."""
    entries = [(file.entry.name, file.entry.stamp) for file in files]
    facts = [VERSION, PIL.__version__, str(root.resolve()), dict(rules), entries]
    kept = kept_in / hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
    if stream:
        return folder_rows.read(kept, [root / name for name, _ in entries], fit)
    decoded = cache.read(kept, len(files))
    if decoded is None:
        decoded = decode([root / name for name, _ in entries], fit)
        cache.keep(kept, decoded)
    return decoded


def _check_splits(source: str, files: list[File]) -> None:
    """Raises UserError where the images that can be used leave a split empty."""
    tests = sum(file.test for file in files)
    if tests in (0, len(files)):
        raise UserError(
            f"task {source!r}: of the images that can be used, {len(files) - tests} are for "
            f"training and {tests} for testing; mend or add some."
        )


def _broken(source: str, broken: Mapping[str, str], count: int, skip: bool) -> list[str]:
    """The note on what cannot be used. Raises UserError unless it may be left out."""
    if not broken:
        return []
    some = "; ".join(f"{printable(name)} ({why})" for name, why in list(broken.items())[:NAMED])
    some += f" and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
    if not skip or len(broken) == count:
        raise UserError(
            f"task {source!r}: {len(broken)} of {count} images cannot be used: {some}; mend or "
            "remove them, or leave them out with data.skip_broken=True."
        )
    return [f"left out: {counted(len(broken))} that cannot be used: {some}"]


def _facts(facts: list[Facts]) -> list[str]:
    """Notes on images that may look other than expected."""
    notes = []
    animated = sum(image.animated for image in facts)
    if animated:
        notes.append(f"{counted(animated)} with several frames or pages: the first is taken")
    for depth, full in FULL.items():
        peaks = [image.peak for image in facts if image.depth == depth]
        if peaks and max(peaks) <= full / DARK:
            notes.append(
                f"{counted(len(peaks))} of {depth} grey with no value above {max(peaks):g} of "
                f"{full}: they load nearly black; stretch them to the whole range"
            )
    return notes
