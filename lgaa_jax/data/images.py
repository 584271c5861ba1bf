"""What every image goes through, to uint8 [size, size, channels] (config.data):

  channels  grey to RGB repeats the channel; RGB to grey is the Rec. 601 luma.
  ground    what is transparent shows data.background: white, grey or black.
  square    the middle square of one that is not, or the middle crop x crop pixels (data.crop).
  size      up to 4 pixels too small: zeros around it (28x28 to 32x32 keeps every pixel), the odd
            one below and to the right. Otherwise Pillow's BILINEAR, which widens its triangle on
            reduction: BOX would weigh pixels unevenly at ratios like 28/16.

Networks see them as float32 in [-1, 1]: `to_unit`.
"""

import dataclasses
from typing import TypeVar

import jax
import numpy as np
from PIL import Image

from lgaa_jax.errors import UserError

Array = TypeVar("Array", np.ndarray, jax.Array)
MAX_PADDING = 4  # pixels that an image may lack in height and width to be padded, not resized
BACKGROUNDS = {"white": (255, 255, 255), "grey": (128, 128, 128), "black": (0, 0, 0)}


def fit(
    image: Image.Image, size: int, channels: int, crop: int = 0, background: str = "white"
) -> np.ndarray:
    """Brings a Pillow image to uint8 [size, size, channels], by the rules above.

    crop: 0 takes the largest square. Raises UserError where the image is smaller.
    background: a key of `BACKGROUNDS`.
    """
    if crop > min(image.size):
        raise UserError(f"{image.width}x{image.height} pixels, data.crop asks for {crop}")
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, BACKGROUNDS[background])
        image = Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    mode = "L" if channels == 1 else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    side = crop or min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    if image.size != (side, side):
        image = image.crop((left, top, left + side, top + side))
    if 0 < size - side <= MAX_PADDING:
        before = (size - side) // 2
        image = image.crop((-before, -before, size - before, size - before))  # zeros outside
    elif side != size:
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(size, size, channels)


@dataclasses.dataclass(frozen=True)
class Form:
    """What the images of a task are brought to, as in `fit`."""

    size: int
    channels: int
    crop: int
    background: str

    def fit(self, image: Image.Image) -> np.ndarray:
        """Brings a Pillow image to this form."""
        return fit(image, self.size, self.channels, self.crop, self.background)

    def fit_of(self, task: str, image: Image.Image) -> np.ndarray:
        """`fit` of an image of this task, which the error names. Raises UserError."""
        try:
            return self.fit(image)
        except UserError as error:
            raise UserError(f"task {task!r} has an image of {error}; lower data.crop.") from None


def to_unit(images: Array) -> Array:
    """Maps uint8 0..255 to float32 in [-1, 1]; NumPy or JAX arrays."""
    return images.astype("float32") / 127.5 - 1


def to_unsigned(x: Array) -> Array:
    """Maps [-1, 1] to [0, 1], the range in which images are compared."""
    return 0.5 * (x + 1.0)


def to_uint8(x: Array) -> Array:
    """Undoes `to_unit`: rounds to the nearest level; values outside [-1, 1] are clipped."""
    return ((x + 1) * 127.5).round().clip(0, 255).astype("uint8")
