"""Grids: a column per class, the images asked for in it, and nothing where there is none."""

import dataclasses

import numpy as np
import pytest
from conftest import NUM_CLASSES, assert_equal

from lgaa_jax.data.loading import Task
from lgaa_jax.data.split import Split
from lgaa_jax.evaluation import grids

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (11, 16, 16, 1), np.uint8)
LABELS = np.array([0, 1, 3, 1, 0, 3, 3, 1, 0, 1, 2], np.int32)
SPLIT = Split(IMAGES, LABELS, LABELS)
UNLABELLED = Split(IMAGES, np.full(11, -1, np.int32), LABELS)
TASK = Task("toy", SPLIT, SPLIT, (0, 1, 3), NUM_CLASSES, "toy")
MASK = np.ones((3, 4), bool)


def test_grids_have_a_column_per_class_and_are_repeatable(system, initial, key):
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 1], [0, 0, 0, 0]], bool)
    pictures = [grids.generated_grid(system.nets, initial, key, mask, 1, 2, 4) for _ in range(2)]
    assert_equal(*pictures)
    assert (pictures[0].shape, pictures[0].dtype) == ((2, 3, 16, 16, 1), np.uint8)
    without = grids.generated_grid(system.nets, initial, key, mask, 2, 2, 4)
    assert without.shape == (2, 10, 16, 16, 1)
    still = grids.generated_grid(system.nets, initial, key, mask, 1, 2, 4, spread=0.0)
    assert_equal(*still)  # rows of the mean codes
    real, reconstructed = grids.reconstruction_grids(system.nets, initial, mask, TASK, 2, 4)
    assert real.shape == reconstructed.shape == (2, 3, 16, 16, 1)
    assert (real[:, 0] == IMAGES[[0, 4]]).all()
    unlabelled = Task("toy", UNLABELLED, UNLABELLED, (), 0, "toy")
    columns = grids.reconstruction_grids(system.nets, initial, mask, unlabelled, 2, 4)[0].shape[1]
    assert columns == 10


def test_a_class_without_test_images_has_empty_cells(system, initial):
    test = SPLIT.take(LABELS != 1)
    task = dataclasses.replace(TASK, test=test)
    real, reconstructed = grids.reconstruction_grids(system.nets, initial, MASK, task, 2, 4)
    for cells in (real, reconstructed):
        assert (cells[:, 1] == grids.EMPTY).all()
        assert (cells[:, [0, 2]] != grids.EMPTY).any(axis=(2, 3, 4)).all()
    np.testing.assert_array_equal(real[:, 0], test.images[test.labels == 0][:2])
    np.testing.assert_array_equal(real[:, 2], test.images[test.labels == 3][:2])


@pytest.mark.parametrize("labelled", [True, False])
def test_no_test_image_is_shown_twice(system, initial, labelled):
    """Three test images, of classes 0, 1 and 3; the other cells stay empty."""
    test = (SPLIT if labelled else UNLABELLED).take(np.arange(3))
    task = dataclasses.replace(TASK, test=test, classes=(0, 1, 3) if labelled else ())
    real, _ = grids.reconstruction_grids(system.nets, initial, MASK, task, 2, 4)
    assert real.shape == (2, 3 if labelled else 10, 16, 16, 1)
    np.testing.assert_array_equal(real[0, :3], IMAGES[:3])
    assert (real[1] == grids.EMPTY).all()
    assert (real[0, 3:] == grids.EMPTY).all()
