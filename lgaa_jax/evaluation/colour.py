"""Colour as it is measured: luma and chroma of images (ITU-R BT.601), and how far chroma deviates.

Luma Y is in the range of the images, 0 to a peak. Chroma, the channels Cb and Cr, is from -peak/2
to peak/2, without the offset that image files add.
"""

from collections.abc import Mapping

import numpy as np

from lgaa_jax.data.images import Array

RED, GREEN, BLUE = 0.299, 0.587, 0.114  # the shares of luma
MOMENTS = ("cb", "cr", "square")
# Of the range, a 40th of a grey level: real images that deviate by less are grey. A compiled
# program may leave some 1e-8 of rounding as the chroma of grey, and a ratio to that says nothing.
LEAST = 1e-4
CHUNK = 250  # images whose chroma is in memory at once


def luma(x: Array) -> Array:
    """Y. x: [..., 3] float -> [...]."""
    return RED * x[..., 0] + GREEN * x[..., 1] + BLUE * x[..., 2]


def chroma(x: Array) -> tuple[Array, Array]:
    """Cb and Cr: B - Y and R - Y, each scaled to the same range. x: [..., 3] float -> two [...]."""
    r, g, b = x[..., 0], x[..., 1], x[..., 2]
    # Y is not computed first: of differences of the channels, grey has 0, but for rounding.
    cb = (RED * (b - r) + GREEN * (b - g)) / (2 * (1 - BLUE))
    cr = (GREEN * (r - g) + BLUE * (r - b)) / (2 * (1 - RED))
    return cb, cr


def moments(x: Array) -> dict[str, Array]:
    """`MOMENTS`: of each image the means over its pixels of Cb, Cr and Cb^2 + Cr^2.

    x: [B, H, W, 3] float -> [B] each. Their means over a set are what `deviation` takes.
    """
    cb, cr = chroma(x)
    values = zip(MOMENTS, (cb, cr, cb**2 + cr**2), strict=True)
    return {name: value.mean((1, 2)) for name, value in values}


def deviation(mean: Mapping[str, float]) -> float:
    """Root of the sum of the variances of Cb and Cr over all pixels and images of a set."""
    return float(np.sqrt(max(mean["square"] - mean["cb"] ** 2 - mean["cr"] ** 2, 0.0)))


def deviation_of(images: np.ndarray) -> float:
    """`deviation` of a set of images in [0, 1]. images: [n, H, W, 3] uint8."""
    chunks = (images[i : i + CHUNK] for i in range(0, len(images), CHUNK))
    parts = [moments(chunk.astype(np.float64) / 255) for chunk in chunks]
    return deviation({m: float(np.concatenate([p[m] for p in parts]).mean()) for m in MOMENTS})


def ratio(of: float, to: float) -> dict[str, float]:
    """{"chroma": a deviation over that of the real images}; empty where those are grey.

    Both are of images in [0, 1].
    """
    return {"chroma": of / to} if to >= LEAST else {}
