"""Image grids as PNG files."""

import os
import pathlib

import numpy as np
import PIL.Image

_GREY = 128  # of the lines in a grid: seen on black and on white images


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


def save_png(path: str | os.PathLike, array: np.ndarray):
    """Writes a picture, uint8 [H, W, 1 or 3], as PNG; makes the folder when it is missing."""
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(path, format="PNG")
