"""Moved images, against SciPy."""

import jax
import numpy as np
import scipy.ndimage

from lgaa_jax.training.shifting import shifted


def test_images_are_moved_by_parts_of_a_pixel_each_by_itself(key):
    x = np.random.default_rng(0).uniform(-1, 1, (5, 7, 6, 2)).astype(np.float32)
    got = jax.jit(shifted, static_argnums=2)(key, x, 1.5)
    offsets = np.asarray(jax.random.uniform(key, (2, 5), minval=-1.5, maxval=1.5)).T
    assert len(set(offsets.ravel())) == 10
    for image, moved, offset in zip(x, got, offsets, strict=True):
        expected = scipy.ndimage.shift(image, (*-offset, 0), order=1, mode="nearest")
        np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_a_shift_of_nothing_changes_nothing(key):
    x = np.random.default_rng(0).uniform(-1, 1, (2, 4, 4, 1)).astype(np.float32)
    np.testing.assert_array_equal(shifted(key, x, 0.0), x)
