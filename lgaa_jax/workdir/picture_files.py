"""Where the grids of a run lie, and what its tasks are called beside them."""

import re
import unicodedata
import zlib
from collections.abc import Sequence
from pathlib import Path

from lgaa_jax.data.folders import is_folder

FOLDER = "images"  # of a workdir, where its pictures are
SEQUENCE = "sequence.png"  # the one there of all tasks after all tasks
GRID_ROWS = 8  # of images in each grid
EXPLORE_FOLDER = "explore"  # folder among the pictures, of --mode=explore
_LONGEST = 80  # bytes of a stem: a file system takes 255 for a name, and more is added to a stem


def folder_after(workdir: Path, names: Sequence[str], task: int) -> Path:
    """Where the grids after `task` are. names: of all tasks."""
    return workdir / FOLDER / f"{task}_after_{stems(names)[task]}"


def grid_path(workdir: Path, names: Sequence[str], task: int, index: int, kind: str) -> Path:
    """The grid of the task `index` after `task`; kind: real, reconstructed or generated."""
    return folder_after(workdir, names, task) / f"{stems(names)[index]}_{kind}.png"


def short_names(names: Sequence[str]) -> list[str]:
    """The tasks' names, of folders without most of their paths."""
    pairs = zip(names, stems(names), strict=True)
    return [stem if is_folder(name) else name for name, stem in pairs]


def stems(names: Sequence[str]) -> list[str]:
    """What the names of the tasks' files begin with, in order; no two alike, in lower case either.

    mnist[0-4] is mnist_0-4, mnist[2]#3 is mnist_2-3, and of a folder the last two names of its path
    count. A stem that an earlier task has, or one that is too long, ends in a checksum of the
    task's name. Tasks that are added at the end change no stem of those before them.
    """
    taken: dict[str, str] = {}  # stem by its form in which a file system may compare names
    for name in names:
        stem = _readable(name)
        if len(stem.encode()) > _LONGEST or _compared(stem) in taken:
            stem = _with_checksum(stem, name)
        while _compared(stem) in taken:
            stem = _with_checksum(stem, stem)
        taken[_compared(stem)] = stem
    return list(taken.values())


def _readable(name: str) -> str:
    """The letters, digits and hyphens of a task's name, "_" for all else."""
    if name.startswith("folder:"):
        name = "_".join(name.removeprefix("folder:").rstrip("/").split("/")[-2:])
    name = unicodedata.normalize("NFC", name)
    parts = (re.sub(r"[^\w-]+", "_", part).strip("_-") for part in name.split("#"))
    return "-".join(filter(None, parts)) or "task"


def _with_checksum(stem: str, name: str) -> str:
    """The stem, cut where it is too long, and eight digits that tell the name from others."""
    checksum = f"-{zlib.crc32(name.encode(errors='surrogateescape')):08x}"
    return stem.encode()[: _LONGEST - len(checksum)].decode(errors="ignore") + checksum


def _compared(stem: str) -> str:
    return unicodedata.normalize("NFKC", stem).casefold()
