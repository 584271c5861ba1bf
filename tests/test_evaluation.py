"""Every test example counts once, whatever the batch size; the metrics agree with NumPy."""

import jax
import numpy as np
import pytest
from conftest import NUM_CLASSES, assert_equal

from lgaa_jax import evaluation
from lgaa_jax.data import Split, Task, to_unit

RNG = np.random.default_rng(0)
SPLIT = Split(
    RNG.integers(0, 256, (11, 16, 16, 1), np.uint8),
    RNG.integers(0, NUM_CLASSES, 11).astype(np.int32),
)
TASK = Task("toy", SPLIT, SPLIT, (0, 1, 3), NUM_CLASSES)


@pytest.fixture(scope="module")
def batch_sums(system):
    return evaluation.make_batch_sums(system.nets)


def test_the_means_agree_with_numpy_over_the_whole_set(system, s, batch_sums):
    got = evaluation.evaluate(batch_sums, s, 1, SPLIT, 4)
    reconstruct = jax.jit(lambda t, y: evaluation.reconstruct(system.nets, t, y))
    x_rec, u, d = reconstruct(s, to_unit(SPLIT.images))
    error = (SPLIT.images / 255.0 - (np.asarray(x_rec) + 1) / 2) ** 2
    mse = error.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(got["mse"], mse.mean(), rtol=1e-5)
    np.testing.assert_allclose(got["psnr"], (-10 * np.log10(mse)).mean(), rtol=1e-5)
    assert got["accuracy"] == pytest.approx((np.asarray(u) == SPLIT.labels).mean())
    assert got["domain_accuracy"] == pytest.approx((np.asarray(d) == 1).mean())
    assert -1 <= got["ssim"] <= 1


@pytest.mark.parametrize("size", [1, 5, 11, 32])
def test_the_batch_size_does_not_matter(s, batch_sums, size):
    got, expected = (evaluation.evaluate(batch_sums, s, 1, SPLIT, n) for n in (size, 4))
    assert got == pytest.approx(expected, rel=1e-4)


def test_padding_masks_what_it_adds():
    batches = list(evaluation.padded(SPLIT, 4))
    assert [int(mask.sum()) for *_, mask in batches] == [4, 4, 3]
    assert all(len(images) == 4 for images, *_ in batches)
    np.testing.assert_array_equal(np.concatenate([x[m] for x, _, m in batches]), SPLIT.images)


def test_an_unlabelled_set_has_no_accuracy(s, batch_sums):
    unlabelled = Split(SPLIT.images, np.full(11, -1, np.int32))
    got = evaluation.evaluate(batch_sums, s, 0, unlabelled, 4)
    assert set(got) == {"domain_accuracy", "mse", "psnr", "ssim"}


def test_ssim_of_equal_images_is_one_and_psnr_follows_its_definition():
    import dm_pix

    x = np.float32(SPLIT.images / 255)
    np.testing.assert_allclose(dm_pix.ssim(x, x), np.ones(11), rtol=1e-5)
    noisy = np.clip(x + 0.1, 0, 1)
    expected = -10 * np.log10(((x - noisy) ** 2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(dm_pix.psnr(x, noisy), expected, rtol=1e-4)


def test_grids_have_a_column_per_class_and_are_repeatable(system, s, key):
    grids = [evaluation.generated_grid(system.nets, s, key, 1, TASK, 2) for _ in range(2)]
    assert_equal(*grids)
    assert (grids[0].shape, grids[0].dtype) == ((2, 3, 16, 16, 1), np.uint8)
    real, reconstructed = evaluation.reconstruction_grids(system.nets, s, TASK, 2)
    assert real.shape == reconstructed.shape == (2, 3, 16, 16, 1)
    assert any((real[0, 0] == image).all() for image in SPLIT.images[SPLIT.labels == 0])
    unlabelled = Task("toy", SPLIT, Split(SPLIT.images, np.full(11, -1, np.int32)), (), 0)
    assert evaluation.reconstruction_grids(system.nets, s, unlabelled, 2)[0].shape[:2] == (2, 10)
