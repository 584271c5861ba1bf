"""The image set `letter_factors`: letters that six known factors determine, for disentanglement.

The capitals A-J in one font, white on black, 32x32. A letter is sheared, rotated, scaled and put in
its place by values that are chosen independently of each other, so that no factor tells anything of
another one. The class is the letter (label 0 = A). The training and the test set share no
combination of values, and are the same on every call.

In this font all letters are about as wide, and the I has serifs: of a mere stroke, a rotation could
not be told from a shear.
"""

import numpy as np

from lgaa_jax.data import lettering
from lgaa_jax.data.embedded import Arrays

FONT = "DejaVuSansMono-Bold"
FACTORS: dict[str, np.ndarray] = {  # the values of each factor, evenly spaced
    "class": np.arange(len(lettering.LETTERS)),
    "rotation": np.linspace(-0.35, 0.35, 8),  # radians, clockwise
    "shear": np.linspace(-0.3, 0.3, 6),
    "scale": np.linspace(0.5, 0.8, 5),
    "x": np.linspace(-9, 9, 8),  # canvas pixels from the middle, a third of an image's
    "y": np.linspace(-9, 9, 8),
}
NAMES = tuple(FACTORS)
TRAIN, TEST = 4000, 3000  # images


def values() -> tuple[np.ndarray, np.ndarray]:
    """Which value each factor has, (train, test): int32 [n, 6], from 0, in the order of `NAMES`."""
    sizes = tuple(len(own) for own in FACTORS.values())
    rng = np.random.default_rng(3)
    chosen = rng.choice(np.prod(sizes), TRAIN + TEST, replace=False)
    places = np.stack(np.unravel_index(chosen, sizes), axis=-1).astype(np.int32)
    return places[:TRAIN], places[TRAIN:]


def letter_factors() -> tuple[Arrays, Arrays]:
    """Returns (train, test), each (images uint8 [n, 32, 32], labels int32 [n])."""
    glyphs = [lettering.glyph(FONT, letter)[0] for letter in lettering.LETTERS]

    def drawn(places: np.ndarray) -> np.ndarray:
        label, *rest = (own[place] for own, place in zip(FACTORS.values(), places, strict=True))
        rotation, shear, scale, x, y = rest
        mapped = lettering.linear(rotation, shear, scale)
        return lettering.moved(glyphs[label], mapped, np.array([x, y]))

    train, test = ((np.stack([drawn(row) for row in rows]), rows[:, 0]) for rows in values())
    return train, test
