"""Grids of images as a page carries them: as many rows as its size allows, in the text itself."""

import base64
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lgaa_jax.report.written import Written
from lgaa_jax.workdir import pictures
from lgaa_jax.workdir.picture_files import GRID_ROWS

# Bytes of pixels that the grids of a section may have together; in a page they take about as much.
MOST_BYTES = 2_000_000
MOST_COLUMNS = 10  # that are filled with further rows where there are few
FEW_COLUMNS = 5  # of a grid where not even one row of all columns has room
GAP = 1  # pixels between images, which the page enlarges


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is shown of each grid."""

    rows: int
    columns: int


@dataclasses.dataclass(frozen=True)
class Picture:
    """source: the picture itself, as a data URI; text: what it shows, in words."""

    source: str
    width: int
    height: int
    text: str


@dataclasses.dataclass(frozen=True)
class Moment:
    """What is shown from one stop to another, both counted from 0, along the sequence."""

    first: int
    last: int
    picture: Picture | None
    note: str


@dataclasses.dataclass(frozen=True)
class Strip:
    """Grids of one kind or strategy along the sequence, with its name."""

    title: str
    moments: Sequence[Moment]


@dataclasses.dataclass(frozen=True)
class Card:
    """The grids of one task; columns: the names of its classes above them, or none."""

    title: str
    columns: Sequence[str]
    strips: Sequence[Strip]


def fitting(paths: Sequence[Path], shape: tuple[int, int, int], most_rows: int) -> Size:
    """How many rows and columns of each of these grids have room, given an image's [H, W, C]."""
    columns = [pictures.columns(path, shape) for path in paths]
    row = int(np.prod(shape)) * max(1, sum(beside(count) * count for count in columns))
    rows = min(most_rows, MOST_BYTES // row)
    return Size(rows, max(columns, default=0)) if rows else Size(1, FEW_COLUMNS)


def beside(columns: int) -> int:
    """How many rows of a grid stand beside each other in the page, where it has few columns."""
    return max(n for n in (1, 2, 4, 8) if n == 1 or n * columns <= MOST_COLUMNS)


def folded(cells: np.ndarray) -> np.ndarray:
    """A grid with rows moved beside others, as `beside` says. cells: [rows, columns, ...]."""
    rows = len(cells) // beside(cells.shape[1])
    return np.concatenate(
        [cells[i : i + rows] for i in range(0, rows * beside(cells.shape[1]), rows)], axis=1
    )


def chosen(count: int, most: int) -> list[int]:
    """At most so many of the columns, spread evenly."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()


def picture(path: Path, shape: tuple[int, int, int], size: Size, text: str) -> Picture:
    """The grid in a file, as much of it as `size` says."""
    cells = pictures.cut(pictures.read_png(path), GRID_ROWS, shape)
    cells = folded(cells[:, chosen(cells.shape[1], size.columns)])[: size.rows]
    return embedded(pictures.png(pictures.grid(cells, cell=1, gap=GAP)), text)


def embedded(content: bytes, text: str) -> Picture:
    """A PNG file in the text of a page."""
    width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))  # of its header
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return Picture(source, width, height, text)


def headings(written: Written, index: int, size: Size) -> list[str]:
    """The names above the columns that are shown of a task's grids; none without classes."""
    names = written.columns(index)
    shown = [names[i] for i in chosen(len(names), size.columns)] if names else []
    return shown * beside(len(shown)) if shown else []


def described(kind: str, task: str, after: str, columns: Sequence[str]) -> str:
    """What a grid shows, for those who do not see it."""
    classes = f"; columns: {', '.join(dict.fromkeys(columns))}" if columns else ""
    return f"{kind} images of {task}, after {after}{classes}"
