"""Pillow: opening image files, and what is read of each. The one module that opens them.

formats      every still format that Pillow decodes by itself; of several frames or pages the first
orientation  the only thing that is read of EXIF
size         at most `MOST_PIXELS`; of an animation no frame but the first is decoded
time         at most `SECONDS` for each image of a folder
depth        16-bit grey loses its lower 8 bits; floating point is taken as 0 to 255

A damaged file makes Pillow raise whatever its decoder stumbles over: here all of it becomes one
reason, a BrokenImageError.
"""

import contextlib
import dataclasses
import functools
import logging
import os
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from lgaa_jax.data.patience import Threads, TooLongError
from lgaa_jax.data.stored import Images
from lgaa_jax.errors import UserError

Fit = Callable[[Image.Image], np.ndarray]  # to uint8 [size, size, channels]

# They need another program, a library or a decoder that Pillow does not have.
NOT_STILL = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
# Of one image, a bound on memory and time: a file of a few bytes may claim any size.
MOST_PIXELS = 80_000_000
# Of one image, a bound on time: a JPEG file of a megabyte can hold thousands of scans. The largest
# that is sound takes a few seconds.
SECONDS, MOST_SLOW = 60.0, 4  # and how many may take longer: each of them keeps a thread at work
FULL = {"16-bit": 65535, "floating-point": 255}  # the value of white in deep images
ORIENTATION = 0x0112  # EXIF's tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


# What Pillow logs of a damaged file is the reason that is given for it.
logging.getLogger("PIL").setLevel(logging.CRITICAL)


class BrokenImageError(ValueError):
    """An image that cannot be used, with the reason on one line."""

    def __init__(self, error: Exception):
        reason = getattr(error, "strerror", None) or str(error)  # strerror: without the path
        if isinstance(error, UnidentifiedImageError):
            reason = "no image that Pillow knows"
        if not reason or not isinstance(error, OSError | ValueError | SyntaxError):
            reason = f"{type(error).__name__} {reason}"
        super().__init__(textwrap.shorten(reason.encode(errors="backslashreplace").decode(), 200))
        passing = isinstance(error, MemoryError | TooLongError)
        self.lasting = not passing and not getattr(error, "errno", None)


class Facts(NamedTuple):
    """What is told of an image that can be used."""

    animated: bool  # it has more than one frame or page
    depth: str  # a key of `FULL`, or "": 8-bit
    peak: float  # highest value of one that is not 8-bit


@dataclasses.dataclass(frozen=True)
class Decoded:
    """What is read of a list of image files."""

    images: Images  # uint8 [n, size, size, channels]: those that can be used, in their order
    facts: list[Facts]  # of each of them; of images that stay on disk, where there is one to tell
    broken: dict[int, str]  # why each of the others cannot, by its place in the list
    lasting: bool  # False: another try may go better, as after an error of the disk


@functools.cache
def formats() -> list[str]:
    """Names of the formats that are read, in the order in which Pillow tries them."""
    Image.preinit()  # the common ones first
    Image.init()
    return [name for name in Image.ID if name not in NOT_STILL]


@functools.cache
def suffixes() -> frozenset[str]:
    """Suffixes of the files that are read, in small letters with the dot."""
    known = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in known if name in {*formats(), "MPO"})  # as JPEG


@contextlib.contextmanager
def opened(file: Path | BinaryIO) -> Iterator[Image.Image]:
    """Opens and decodes an image for the block; what is raised in it becomes a BrokenImageError."""
    try:
        with Image.open(file, formats=formats()) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width}x{image.height} pixels are too many")
            image.load()
            yield image
    except Exception as error:  # decoders raise what they stumble over: TypeError, struct.error ...
        raise BrokenImageError(error) from error


def decode(files: Sequence[Path], fit: Fit) -> Decoded:
    """Reads all files, and brings the images that can be used to uint8 by `fit`."""

    def read(file: Path) -> tuple[np.ndarray, Facts] | BrokenImageError:
        try:
            return _read(file, fit)
        except BrokenImageError as error:
            return error

    images, facts, broken, lasting = np.empty((0, 1, 1, 1), np.uint8), list[Facts](), {}, True
    slow: list[Path] = []
    # Pillow decodes without Python's lock, so that threads do; one array, filled as they come.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd files that Pillow reads all the same
        for i, result in enumerate(Threads(read, files, SECONDS, os.cpu_count() or 1)):
            if isinstance(result, TooLongError):
                result, slow = BrokenImageError(result), [*slow, files[i]]
                if len(slow) > MOST_SLOW:
                    raise UserError(_too_slow(slow))
            if isinstance(result, BrokenImageError):
                broken[i], lasting = str(result), lasting and result.lasting
                continue
            if not facts:
                images = np.empty((len(files), *result[0].shape), np.uint8)
            images[len(facts)] = result[0]
            facts.append(result[1])
    return Decoded(images[: len(facts)], facts, broken, lasting)


def _too_slow(files: Sequence[Path]) -> str:
    """Of images that take too long."""
    return (
        f"{files[0]} and {len(files) - 1} more images take longer than {SECONDS:g} s each to "
        "decode; remove them from the folder."
    )


def _read(file: Path, fit: Fit) -> tuple[np.ndarray, Facts]:
    with opened(file) as image:
        return fitted(image, fit)


def fitted(image: Image.Image, fit: Fit) -> tuple[np.ndarray, Facts]:
    """What `fit` makes of an image, the right way up and in 8 bits, and what is told of it."""
    # What Pillow calls the frames of a PSD file are its layers; it opens as all of them.
    animated = getattr(image, "is_animated", False) and image.format != "PSD"
    turn = TURNS.get(_orientation(image))
    depth, peak = "", 0.0
    if image.mode.startswith("I") or image.mode == "F":
        depth = "floating-point" if image.mode == "F" else "16-bit"
        peak = float(np.nanmax(np.asarray(image)))
        image = _eight_bits(image, depth)
    return fit(image if turn is None else image.transpose(turn)), Facts(animated, depth, peak)


def _orientation(image: Image.Image) -> int:
    """EXIF's word on how the image is to be turned; 1, as it is, where it says nothing sound."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF raises anything, and the pixels are sound
        return 1


def _eight_bits(image: Image.Image, depth: str) -> Image.Image:
    """A deep grey image in 8 bits, which Pillow would clip; with alpha where one level has none."""
    values = np.nan_to_num(np.asarray(image)).clip(0, FULL[depth])
    grey = Image.fromarray((values // (FULL[depth] / 255)).astype(np.uint8))
    clear = image.info.get("transparency")
    if not isinstance(clear, int):
        return grey
    return Image.merge(
        "LA", (grey, Image.fromarray(np.where(values == clear, 0, 255).astype("u1")))
    )
