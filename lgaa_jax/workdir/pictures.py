"""Image grids as PNG files, and tables of grids."""

import io
from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from lgaa_jax.files import PathLike, write_bytes

_CELL, _GAP = 32, 2  # pixels: the least side of an image in a grid, and between the images
_SPACE = 8  # pixels between the grids of a table
_GREY = 128  # of the lines in a grid: seen on black and on white images
_LETTER = 11  # pixels: size of the letters of a name
_HEADING, _SIDE = 96, 144  # pixels: how long a name may be above a column, and beside a row


def grid(
    images: np.ndarray, names: Sequence[str] = (), cell: int = _CELL, gap: int = _GAP
) -> np.ndarray:
    """One picture of rows and columns of images, with `gap` grey pixels between and around.

    images: uint8 [rows, cols, H, W, C], C 1 or 3. Small ones are enlarged by a whole factor
    until the shorter side has `cell` pixels. names: of the columns, written above them, or none.
    Returns uint8 [height, width, C].
    """
    if images.ndim != 5 or images.shape[-1] not in (1, 3) or images.dtype != np.uint8:
        form = f"{images.dtype} {images.shape}"
        raise ValueError(f"a grid takes uint8 [rows, cols, H, W, 1 or 3], not {form}")
    rows, cols, h, w, c = images.shape
    factor = _enlarged(h, w, cell)
    images = images.repeat(factor, axis=2).repeat(factor, axis=3)
    around = ((0, 0), (0, 0), (gap, 0), (gap, 0), (0, 0))  # above and left; the rest is added last
    cells = np.pad(images, around, constant_values=_GREY).swapaxes(1, 2)
    picture = cells.reshape(rows * (h * factor + gap), cols * (w * factor + gap), c)
    picture = np.pad(picture, ((0, gap), (0, gap), (0, 0)), constant_values=_GREY)
    if not names:
        return picture
    strip = _headings(names, w * factor + gap, picture.shape[1])
    return np.concatenate([np.repeat(strip[..., None], c, axis=2), picture])


def cut(
    picture: np.ndarray, rows: int, shape: tuple[int, int, int], cell: int = _CELL, gap: int = _GAP
) -> np.ndarray:
    """The images in a picture that `grid` made, with names or without: the inverse of `grid`.

    shape: of an image, [H, W, C]. Returns uint8 [rows, cols, H, W, C].
    """
    h, w, c = shape
    factor = _enlarged(h, w, cell)
    high, wide = h * factor + gap, w * factor + gap
    cols = (picture.shape[1] - gap) // wide
    picture = picture[-gap - rows * high : -gap, :-gap]  # what stands above are the names
    cells = picture.reshape(rows, high, cols, wide, c)
    return cells[:, gap::factor, :, gap::factor].swapaxes(1, 2)


def columns(path: PathLike, shape: tuple[int, int, int]) -> int:
    """How many columns of images, [H, W, C] each, are in the file of a picture that `grid` made."""
    with PIL.Image.open(path) as picture:
        width = picture.width
    return (width - _GAP) // (shape[1] * _enlarged(*shape[:2], _CELL) + _GAP)


def _enlarged(h: int, w: int, cell: int) -> int:
    """The factor that brings the shorter side of an image to `cell` pixels or more."""
    return max(1, -(-cell // min(h, w)))


def table(
    blocks: Sequence[Sequence[np.ndarray | None]], rows: Sequence[str], columns: Sequence[str]
) -> np.ndarray:
    """One white picture of rows and columns of grids, with a name beside each row and column.

    blocks: the images of each grid, as `grid` takes them; None leaves its place empty. All of one
    channel count. Returns uint8 [height, width, C].
    """
    grids = [[None if block is None else grid(block) for block in line] for line in blocks]
    given = [g for line in grids for g in line if g is not None]
    high, wide = (max(g.shape[axis] for g in given) + _SPACE for axis in (0, 1))
    head = _headings(columns, wide, wide * len(columns))
    side = _sides(rows, high)
    (above, width), left = head.shape, side.shape[1]
    picture = np.full((above + len(side), left + width, given[0].shape[2]), 255, np.uint8)
    picture[:above, left:] = head[..., None]
    picture[above:, :left] = side[..., None]
    for i, line in enumerate(grids):
        for j, g in enumerate(line):
            if g is not None:
                y, x = above + i * high, left + j * wide + (wide - g.shape[1]) // 2
                picture[y : y + g.shape[0], x : x + g.shape[1]] = g
    return picture


def _sides(names: Sequence[str], row: int) -> np.ndarray:
    """Names in black on white beside rows of `row` pixels. Returns uint8 [height, width]."""
    words = [_written(" ".join(name.split()), _SIDE) for name in names]
    width = max(word.width for word in words) + 2 * _SPACE
    strip = PIL.Image.new("L", (width, row * len(names)), 255)
    for i, word in enumerate(words):
        middle = i * row + (row - _SPACE - word.height) // 2
        strip.paste(word, (width - _SPACE - word.width, middle))
    return np.asarray(strip)


def _headings(names: Sequence[str], column: int, width: int) -> np.ndarray:
    """Names in black on white above columns of `column` pixels; all on end where one is wider.

    Returns uint8 [height, width].
    """
    longest = max(_HEADING, column - 4)
    words = [_written(" ".join(name.split()), longest) for name in names]
    if any(word.width > column - 4 for word in words):
        words = [word.rotate(90, expand=True) for word in words]
    height = max(word.height for word in words) + 4
    strip = PIL.Image.new("L", (width, height), 255)
    for i, word in enumerate(words):
        strip.paste(word, (i * column + (column - word.width) // 2, height - word.height - 2))
    return np.asarray(strip)


def _written(name: str, longest: int) -> PIL.Image.Image:
    """The name as a picture one line high, cut where it is longer than `longest` pixels."""
    text = name.encode(errors="replace").decode()  # a name may hold bytes that are no text
    font = PIL.ImageFont.load_default(_LETTER)
    if font.getlength(text) > longest:
        text = next(
            t for n in range(len(text), -1, -1) if font.getlength(t := text[:n] + "...") <= longest
        )
    size = max(1, round(font.getlength(text))), round(font.getbbox("Ag")[3]) + 1
    word = PIL.Image.new("L", size, 255)
    PIL.ImageDraw.Draw(word).text((0, 0), text, fill=0, font=font)
    return word


def save_png(path: PathLike, array: np.ndarray) -> None:
    """Writes a picture, uint8 [H, W, 1 or 3], as PNG, at once or not at all."""
    write_bytes(path, png(array))


def png(array: np.ndarray) -> bytes:
    """A picture, uint8 [H, W, 1 or 3], as the content of a PNG file."""
    encoded = io.BytesIO()
    picture = PIL.Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
    picture.save(encoded, format="PNG")
    return encoded.getvalue()


def read_png(path: PathLike) -> np.ndarray:
    """The picture that `save_png` wrote, uint8 [H, W, 1 or 3]."""
    with PIL.Image.open(path) as picture:
        array = np.asarray(picture)
    return array[..., None] if array.ndim == 2 else array


def sound_png(path: PathLike) -> bool:
    """Whether a picture is there and whole, by the checksums that a PNG file has."""
    try:
        with PIL.Image.open(path) as picture:
            picture.verify()
    except Exception:  # decoders raise what they stumble over
        return False
    return True
