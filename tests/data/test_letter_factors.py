"""The letters with known factors: the factors are those of the images, and come with them."""

import numpy as np
import pytest
from conftest import small_config

from lgaa_jax.data import letter_factors, lettering, loading


@pytest.fixture(scope="module")
def drawn():
    """The images, labels and factors of both splits, one below the other."""
    splits = letter_factors.letter_factors()
    images, labels = (np.concatenate(column) for column in zip(*splits, strict=True))
    return images, labels, np.concatenate(letter_factors.values())


def moments(image):
    """Centre of mass (x, y) of an image and the covariance of where its light is, in pixels."""
    weight = image / image.sum()
    places = np.stack(np.meshgrid(*map(np.arange, image.shape[::-1]))) + 0.5
    mean = (places * weight).sum((1, 2))
    apart = places - mean[:, None, None]
    return mean, np.einsum("iyx,jyx,yx->ij", apart, apart, weight)


def test_an_image_has_the_moments_that_its_factors_give_it(drawn):
    """Rotation, shear, scale and place by hand: the map of a letter maps its moments."""
    images, _, factors = drawn
    for image, places in zip(images[::100], factors[::100], strict=True):
        value = {n: v[i] for (n, v), i in zip(letter_factors.FACTORS.items(), places, strict=True)}
        c, s = np.cos(value["rotation"]), np.sin(value["rotation"])
        mapped = value["scale"] * np.array(
            [[c, c * value["shear"] - s], [s, s * value["shear"] + c]]
        )
        letter = lettering.LETTERS[value["class"]]
        mean, covariance = moments(np.asarray(lettering.glyph(letter_factors.FONT, letter)[0]))
        middle = lettering.CANVAS / 2
        expected = middle + mapped @ (mean - middle) + [value["x"], value["y"]]
        got_mean, got_covariance = moments(image)
        np.testing.assert_allclose(3 * got_mean, expected, atol=0.15)
        np.testing.assert_allclose(
            9 * got_covariance, mapped @ covariance @ mapped.T, rtol=0.06, atol=2.5
        )


def test_no_factor_tells_anything_of_another_and_no_image_occurs_twice(drawn):
    images, labels, factors = drawn
    assert len(np.unique(factors, axis=0)) == len(images) == 7000
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)
    np.testing.assert_array_equal(labels, factors[:, 0])
    assert factors.min(0).tolist() == [0] * 6
    assert (factors.max(0) + 1).tolist() == [len(v) for v in letter_factors.FACTORS.values()]
    assert np.abs(np.corrcoef(factors.T) - np.eye(6)).max() < 0.05


def test_letters_stay_in_the_frame(drawn):
    frame = np.ones((32, 32), bool)
    frame[1:-1, 1:-1] = False
    assert drawn[0][:, frame].max() == 0


@pytest.mark.parametrize(
    "changes", [{}, {"labels": "none"}, {"labels": "0.1"}, {"eval.split": "validation"}]
)
def test_a_task_has_the_factors_of_each_of_its_images(drawn, changes):
    """Whatever part of the set it takes."""
    images, _, factors = drawn
    (task,) = loading.load(
        small_config(tasks="letter_factors[2,5]", **changes, **{"data.size": 32})
    )
    assert task.factor_names == ("class", "rotation", "shear", "scale", "x", "y")
    of_image = {image.tobytes(): row for image, row in zip(images, factors, strict=True)}
    for split in (task.train, task.test):
        assert set(split.truth.tolist()) == {2, 5}
        np.testing.assert_array_equal(split.truth, split.factors[:, 0])
        expected = [of_image[image.tobytes()] for image in split.images]
        np.testing.assert_array_equal(split.factors, expected)


def test_other_sets_have_no_factors():
    (task,) = loading.load(small_config(tasks="digits"))
    assert (task.factor_names, task.train.factors, task.test.factors) == ((), None, None)
