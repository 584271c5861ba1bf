"""Image grids as PNG files, and the names of those files."""

import io
import re
import unicodedata
import zlib
from collections.abc import Sequence

import numpy as np
import PIL.Image

from lgaa_jax.files import PathLike, write_bytes

_GREY = 128  # of the lines in a grid: seen on black and on white images
_LONGEST = 80  # bytes of a stem: a file system takes 255 for a name, and more is added to a stem


def grid(images: np.ndarray, cell: int = 32, gap: int = 2) -> np.ndarray:
    """One picture of rows and columns of images, with `gap` grey pixels between and around.

    images: uint8 [rows, cols, H, W, C], C 1 or 3. Small ones are enlarged by a whole factor
    until the shorter side has `cell` pixels. Returns uint8 [height, width, C].
    """
    if images.ndim != 5 or images.shape[-1] not in (1, 3) or images.dtype != np.uint8:
        form = f"{images.dtype} {images.shape}"
        raise ValueError(f"a grid takes uint8 [rows, cols, H, W, 1 or 3], not {form}")
    rows, cols, h, w, c = images.shape
    factor = max(1, -(-cell // min(h, w)))
    images = images.repeat(factor, axis=2).repeat(factor, axis=3)
    around = ((0, 0), (0, 0), (gap, 0), (gap, 0), (0, 0))  # above and left; the rest is added last
    cells = np.pad(images, around, constant_values=_GREY).swapaxes(1, 2)
    picture = cells.reshape(rows * (h * factor + gap), cols * (w * factor + gap), c)
    return np.pad(picture, ((0, gap), (0, gap), (0, 0)), constant_values=_GREY)


def save_png(path: PathLike, array: np.ndarray) -> None:
    """Writes a picture, uint8 [H, W, 1 or 3], as PNG, at once or not at all."""
    encoded = io.BytesIO()
    picture = PIL.Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
    picture.save(encoded, format="PNG")
    write_bytes(path, encoded.getvalue())


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
