"""Patches, doubling and pooling against NumPy, and their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lgaa_jax.networks.resampling import double, from_patches, mean_pool, to_patches


def images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_a_patch_holds_the_pixels_of_its_square_row_by_row():
    x = images(2, 4, 6, 3)
    patches = to_patches(jnp.asarray(x), 2)
    assert patches.shape == (2, 2, 3, 12)
    np.testing.assert_array_equal(patches[1, 1, 2], x[1, 2:4, 4:6].ravel())


@pytest.mark.parametrize(("size", "channels"), [(2, 1), (2, 3), (4, 3)])
def test_patches_are_undone_exactly(size, channels):
    x = images(2, 8, 12, channels)
    np.testing.assert_array_equal(from_patches(to_patches(jnp.asarray(x), size), size), x)


def test_patches_that_do_not_fill_the_image_are_refused():
    with pytest.raises(ValueError, match=r"2x2 pixels do not fill images of shape \(1, 5, 4, 1\)"):
        to_patches(jnp.zeros((1, 5, 4, 1)), 2)


def test_doubling_repeats_pixels_and_pooling_takes_their_mean():
    x = images(2, 4, 6, 3)
    doubled = double(jnp.asarray(x))
    np.testing.assert_array_equal(doubled, x.repeat(2, 1).repeat(2, 2))
    np.testing.assert_allclose(
        mean_pool(jnp.asarray(x)), x.reshape(2, 2, 2, 3, 2, 3).mean((2, 4)), rtol=1e-6, atol=1e-7
    )
    np.testing.assert_allclose(mean_pool(doubled), x, rtol=1e-6)


def plain_double(x):
    return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)


def plain_mean_pool(x):
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))


def test_first_and_second_derivatives_equal_those_of_plain_functions():
    x = jnp.asarray(images(2, 4, 4, 2))

    def facts(up, down):
        def loss(x):
            return jnp.sum(jnp.sin(up(jnp.sin(down(x)))) ** 2)

        def penalty(x):
            return jnp.sum(jnp.square(jax.grad(loss)(x)))

        return jax.jit(lambda x: (jax.grad(loss)(x), jax.grad(penalty)(x)))(x)

    for ours, theirs in zip(
        facts(double, mean_pool), facts(plain_double, plain_mean_pool), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
