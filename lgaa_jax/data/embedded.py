"""Two of the image sets that need no download: `digits` and `letters`.

digits   scikit-learn's 1,797 handwritten digits of 8x8, white on black. 1,297 train and 500 test
         images: a fixed permutation, cut once.
letters  The capitals A-J (label 0 = A) in 22 fonts that Matplotlib bundles, white on black, 32x32.
         Each font shows each letter several times, each time slightly rotated, sheared, scaled and
         shifted, and always inside the frame. The test set is drawn from fonts that training
         never shows, each with relatives among the training fonts: 1,920 train, 600 test images.

Both return (train, test), each (images uint8 [n, h, w], labels int32 [n]); same on every call.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from lgaa_jax.data import lettering

Arrays = tuple[np.ndarray, np.ndarray]  # images uint8 [n, h, w], labels int32 [n]

TRAIN_FONTS = (
    "DejaVuSans",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-BoldItalic",
    "STIXGeneral",
    "STIXGeneralBolIta",
    "cmb10",
    "cmmi10",
    "cmss10",
    "cmti10",
    "cmtt10",
)
TEST_FONTS = (
    "DejaVuSans-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSerif-Italic",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "cmr10",
)
TRAIN_COPIES = 12  # drawings of one letter in one training font
TEST_COPIES = 10

DIGITS_TRAIN = 1297

MAX_SHIFT = 6  # canvas pixels


def digits() -> tuple[Arrays, Arrays]:
    """Returns (train, test) of scikit-learn's digits, [n, 8, 8], its 0..16 stretched to 0..255."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    images = np.round(raw.images * (255 / 16)).astype(np.uint8)
    labels = raw.target.astype(np.int32)
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[:DIGITS_TRAIN], order[DIGITS_TRAIN:]
    return (images[train], labels[train]), (images[test], labels[test])


def letters() -> tuple[Arrays, Arrays]:
    """Returns (train, test) of the letters A-J, [n, 32, 32]; no font is in both."""
    train = _draw_fonts(TRAIN_FONTS, TRAIN_COPIES, np.random.default_rng(1))
    test = _draw_fonts(TEST_FONTS, TEST_COPIES, np.random.default_rng(2))
    return train, test


def _draw_fonts(fonts: Sequence[str], copies: int, rng: np.random.Generator) -> Arrays:
    """Draws every letter `copies` times in each font: (uint8 [n, 32, 32], int32 [n])."""
    images, labels = [], []
    for font in fonts:
        for label, letter in enumerate(lettering.LETTERS):
            glyph, half = lettering.glyph(font, letter)
            images += [_warp(glyph, half, rng) for _ in range(copies)]
            labels += [label] * copies
    return np.stack(images), np.array(labels, np.int32)


def _warp(letter: Image.Image, half: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rotates, shears, scales and shifts a letter within the frame; returns uint8 [32, 32]."""
    angle, shear = rng.uniform(-0.12, 0.12), rng.uniform(-0.12, 0.12)  # radians, ratio
    mapped = lettering.linear(angle, shear, rng.uniform(0.85, 1.1))
    room = lettering.CANVAS / 2 - lettering.MARGIN
    extent = lettering.extent(half, mapped)
    shrink = min(1, room / extent.max())
    shift = rng.uniform(-1, 1, 2) * np.minimum(MAX_SHIFT, room - shrink * extent)
    return lettering.moved(letter, shrink * mapped, shift)
