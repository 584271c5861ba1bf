"""Capital letters drawn with the fonts that Matplotlib bundles, white on black.

A letter is drawn in the middle of a canvas three times as large as the image, moved there, and
reduced at the end, which makes its edges smooth.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LETTERS = "ABCDEFGHIJ"
SIDE = 32  # pixels of a finished letter
CANVAS = 3 * SIDE
FONT_SIZE = 90  # canvas pixels per em
MARGIN = 5  # canvas pixels that stay black on every side


def glyph(font: str, letter: str) -> tuple[Image.Image, np.ndarray]:
    """Draws one letter in the middle of the canvas; returns it with half its (width, height)."""
    import matplotlib  # slow to import, and only the letters need it

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"
    typeface = ImageFont.truetype(path, FONT_SIZE, layout_engine=ImageFont.Layout.BASIC)
    left, top, right, bottom = typeface.getbbox(letter)
    canvas = Image.new("L", (CANVAS, CANVAS))
    corner = ((CANVAS - left - right) / 2, (CANVAS - top - bottom) / 2)
    ImageDraw.Draw(canvas).text(corner, letter, fill=255, font=typeface)
    return canvas, np.array([right - left, bottom - top]) / 2


def linear(angle: float, shear: float, scale: float) -> np.ndarray:
    """The map [2, 2] that shears, then rotates by `angle` (radians), and scales."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ np.array([[1, shear], [0, 1]]) * scale


def extent(half: np.ndarray, mapped: np.ndarray) -> np.ndarray:
    """Half the width and height, in canvas pixels, of the box of a letter that was mapped."""
    return np.abs(mapped) @ half


def moved(letter: Image.Image, mapped: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The letter mapped about the middle of the canvas, then shifted: uint8 [SIDE, SIDE].

    mapped: [2, 2]; shift: to the right and down, in canvas pixels.
    """
    # Pillow asks for the map from output to input: in = inverse (out - centre - shift) + centre.
    inverse = np.linalg.inv(mapped)
    offset = CANVAS / 2 - inverse @ (CANVAS / 2 + shift)
    coefficients = np.column_stack([inverse, offset]).ravel().tolist()
    warped = letter.transform(
        letter.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
    )
    return np.asarray(warped.reduce(CANVAS // SIDE))
