"""Luma, chroma and its deviation, against Pillow and against NumPy over whole sets."""

import numpy as np
import PIL.Image
import pytest

from lgaa_jax.evaluation import colour

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (600, 8, 6, 3), np.uint8)  # more than two chunks
GREY = np.repeat(IMAGES[..., :1], 3, axis=-1)


def test_luma_and_chroma_are_those_of_jpeg():
    expected = np.asarray(PIL.Image.fromarray(IMAGES[0]).convert("YCbCr"), np.float64)
    cb, cr = colour.chroma(np.float64(IMAGES[0]))
    got = np.stack([colour.luma(np.float64(IMAGES[0])), cb + 128, cr + 128], axis=-1)
    np.testing.assert_allclose(got, expected, atol=1.0)  # Pillow has whole levels


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_grey_has_exactly_no_chroma(dtype):
    cb, cr = colour.chroma(GREY.astype(dtype) / dtype(255))
    assert not cb.any()
    assert not cr.any()


def test_the_deviation_is_that_over_all_pixels_of_the_set():
    # Tinted, so that the means of Cb and Cr are not 0.
    tinted = np.uint8(IMAGES * np.array([1.0, 0.7, 0.2]))
    r, g, b = np.moveaxis(np.float64(tinted), -1, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    expected = np.sqrt(((b - y) / 1.772).var() + ((r - y) / 1.402).var()) / 255
    assert colour.deviation_of(tinted) == pytest.approx(expected, rel=1e-12)
    assert colour.deviation_of(GREY) == 0


def test_one_colour_everywhere_deviates_by_nothing():
    assert colour.deviation_of(np.full((3, 4, 4, 3), (200, 30, 90), np.uint8)) < 1e-7


def test_there_is_no_ratio_to_a_set_without_colour():
    assert colour.ratio(0.3, 0.4) == {"chroma": pytest.approx(0.75)}
    assert colour.ratio(0.3, 0.0) == {}
    assert colour.ratio(0.3, 1e-8) == {}  # what rounding leaves of grey
