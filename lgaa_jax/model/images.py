"""Images as users have them, brought to the form that a model was trained with.

An image is an array [H, W] or [H, W, C] with C 1 (grey), 3 (RGB) or 4 (with transparency), a Pillow
image, or the path of an image file. Arrays are uint8, or floats from 0 to 1. Several images are an
array with one axis more, or a list.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lgaa_jax.data.decoding import BrokenImageError, fitted, opened
from lgaa_jax.data.images import Form
from lgaa_jax.errors import UserError
from lgaa_jax.files import expand

CHANNELS = (1, 3, 4)
KINDS = "an array, a Pillow image or a path"


def is_one(images: Any) -> bool:
    """Whether this is one image, not several. Raises UserError where it is neither."""
    if isinstance(images, str | os.PathLike | Image.Image):
        return True
    if isinstance(images, list | tuple):
        return False
    shape = getattr(images, "shape", None)
    if shape is None:
        raise UserError(
            f"images cannot be a {type(images).__name__}; give {KINDS}, or a list of them."
        )
    one = len(shape) == 2 or (len(shape) == 3 and shape[-1] in CHANNELS)
    if not one and not (len(shape) == 3 or (len(shape) == 4 and shape[-1] in CHANNELS)):
        raise UserError(
            f"images cannot have the shape {tuple(shape)}; give [H, W], [H, W, C] or [n, H, W, C] "
            "with C 1, 3 or 4."
        )
    return one


def batches(images: Any, form: Form, size: int) -> Iterator[np.ndarray]:
    """The images in the form `form`: uint8 [at most `size`, form.size, form.size, form.channels].

    Each batch is made when it is asked for. Raises UserError where there is none, or where one
    cannot be used.
    """
    several: Sequence[Any] = [images] if is_one(images) else images
    if not len(several):
        raise UserError("there are no images; give at least one.")
    for start in range(0, len(several), size):
        yield _formed(several[start : start + size], form, start)


def _formed(images: Sequence[Any], form: Form, start: int) -> np.ndarray:
    """A batch. start: the number of its first image, for what is said of one."""
    wanted = (form.size, form.size, form.channels)
    if getattr(images, "shape", ())[1:] == wanted:
        return _eight_bits(np.asarray(images), start)
    return np.stack([_one(image, form, start + i) for i, image in enumerate(images)])


def _one(image: Any, form: Form, number: int) -> np.ndarray:
    """One image of any kind in the form of a model."""
    try:
        if isinstance(image, str | os.PathLike):
            with opened(Path(expand(image))) as file:
                return fitted(file, form.fit)[0]
        if isinstance(image, Image.Image):
            return fitted(image, form.fit)[0]
        pixels = _pixels(image, number)
        if pixels.shape == (form.size, form.size, form.channels):
            return pixels  # in this form already, whatever data.crop says
        return form.fit(Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))
    except (BrokenImageError, UserError) as error:
        where = f"{os.fspath(image)!r}" if isinstance(image, str | os.PathLike) else f"{number}"
        raise UserError(f"image {where} cannot be used: {error}") from error


def _pixels(image: Any, number: int) -> np.ndarray:
    """An array of one image as uint8 [H, W, C]."""
    if not hasattr(image, "shape"):
        raise UserError(f"it is a {type(image).__name__}; give {KINDS}")
    array = np.asarray(image)
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[-1] not in CHANNELS or 0 in array.shape:
        raise UserError(f"its shape is {array.shape}; give [H, W] or [H, W, C] with C 1, 3 or 4")
    return _eight_bits(array, number)


def _eight_bits(array: np.ndarray, number: int) -> np.ndarray:
    """Values of pixels as uint8. number: of the first image, for what is said of them."""
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise UserError(
            f"from image {number} on, pixels are {array.dtype}; give uint8, or floats from 0 to 1"
        )
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):  # nan is in neither
        raise UserError(
            f"from image {number} on, pixels are floats from {low:g} to {high:g}; give them from 0 "
            "to 1, or as uint8"
        )
    return np.round(array * 255).astype(np.uint8)
