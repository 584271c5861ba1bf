"""Which images are set apart by checksums."""

import zlib

import numpy as np
import pytest
from conftest import small_config

from lgaa_jax.data import held_out, loading
from lgaa_jax.data.stored import checksums


@pytest.mark.parametrize(
    ("checksums", "expected"),
    [
        ([3, 20, 7, 30], [0, 1, 0, 1]),
        ([3, 2, 7], [0, 1, 0]),  # none is divisible: the lowest
        ([20, 40, 30], [1, 0, 1]),  # all are: the highest is spared
        ([5, 5], [1, 0]),
        ([10, 10], [1, 0]),
        ([10], [0]),
        ([7], [0]),
    ],
)
def test_one_in_ten_is_set_apart_and_at_least_one_and_not_all(checksums, expected):
    chosen = held_out.chosen(np.array(checksums, np.int64))
    np.testing.assert_array_equal(chosen, np.array(expected, bool))


def test_the_validation_images_are_a_tenth_of_each_class_by_their_pixels():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (600, 4, 4, 1), np.uint8)
    labels = np.repeat([0, 1, 2], [400, 198, 2])
    chosen = held_out.validation(checksums(images), labels)
    by_hand = np.array([zlib.crc32(x.tobytes()) % 10 == 0 for x in images])
    np.testing.assert_array_equal(chosen[labels < 2], by_hand[labels < 2])
    assert chosen[labels == 2].sum() == 1
    order = rng.permutation(len(images))
    moved = held_out.validation(checksums(images[order]), labels[order])
    np.testing.assert_array_equal(moved, chosen[order])


def test_a_run_that_validates_neither_learns_from_those_images_nor_meets_the_test_set():
    whole = loading.load(small_config())
    for share, seed in (("all", 0), ("0.1", 1)):
        changes = {"eval.split": "validation", "labels": share, "seed": seed}
        for task, old in zip(loading.load(small_config(**changes)), whole, strict=True):
            chosen = held_out.validation(checksums(old.train.images), old.train.truth)
            np.testing.assert_array_equal(task.test.images, old.train.images[chosen])
            np.testing.assert_array_equal(task.test.labels, old.train.truth[chosen])
            np.testing.assert_array_equal(task.train.images, old.train.images[~chosen])
            assert task.classes == old.classes
            assert 0.05 < chosen.mean() < 0.15
