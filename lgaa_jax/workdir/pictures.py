"""Image grids as PNG files, and the names of those files."""

import io
import re
import unicodedata
import zlib
from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from lgaa_jax.files import PathLike, write_bytes

_GREY = 128  # of the lines in a grid: seen on black and on white images
_LETTER, _HEADING = 11, 96  # pixels: size of the letters of a heading, and its longest side
_LONGEST = 80  # bytes of a stem: a file system takes 255 for a name, and more is added to a stem


def grid(images: np.ndarray, names: Sequence[str] = (), cell: int = 32, gap: int = 2) -> np.ndarray:
    """One picture of rows and columns of images, with `gap` grey pixels between and around.

    images: uint8 [rows, cols, H, W, C], C 1 or 3. Small ones are enlarged by a whole factor
    until the shorter side has `cell` pixels. names: of the columns, written above them, or none.
    Returns uint8 [height, width, C].
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
    picture = np.pad(picture, ((0, gap), (0, gap), (0, 0)), constant_values=_GREY)
    if not names:
        return picture
    strip = _headings(names, w * factor + gap, picture.shape[1])
    return np.concatenate([np.repeat(strip[..., None], c, axis=2), picture])


def _headings(names: Sequence[str], column: int, width: int) -> np.ndarray:
    """Names in black on white above columns of `column` pixels; all on end where one is wider.

    Returns uint8 [height, width].
    """
    words = [_written(" ".join(name.split())) for name in names]
    if any(word.width > column - 4 for word in words):
        words = [word.rotate(90, expand=True) for word in words]
    height = max(word.height for word in words) + 4
    strip = PIL.Image.new("L", (width, height), 255)
    for i, word in enumerate(words):
        strip.paste(word, (i * column + (column - word.width) // 2, height - word.height - 2))
    return np.asarray(strip)


def _written(name: str) -> PIL.Image.Image:
    """The name as a picture one line high, cut where it is too long."""
    text = name.encode(errors="replace").decode()  # a name may hold bytes that are no text
    font = PIL.ImageFont.load_default(_LETTER)
    if font.getlength(text) > _HEADING:
        text = next(
            t for n in range(len(text), -1, -1) if font.getlength(t := text[:n] + "...") <= _HEADING
        )
    size = max(1, round(font.getlength(text))), round(font.getbbox("Ag")[3]) + 1
    word = PIL.Image.new("L", size, 255)
    PIL.ImageDraw.Draw(word).text((0, 0), text, fill=0, font=font)
    return word


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
