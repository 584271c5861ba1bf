"""Every test example counts once, whatever the batch size; the metrics agree with NumPy."""

import numpy as np
import pytest
from conftest import NUM_CLASSES, NUM_TASKS

from lgaa_jax.data.images import to_unit
from lgaa_jax.data.split import Split
from lgaa_jax.evaluation import inference, split_metrics

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (11, 16, 16, 1), np.uint8)
LABELS = RNG.integers(0, NUM_CLASSES, 11).astype(np.int32)
SPLIT = Split(IMAGES, LABELS, LABELS)
UNLABELLED = Split(IMAGES, np.full(11, -1, np.int32), LABELS)
COLOURED = RNG.integers(0, 256, (11, 16, 16, 3), np.uint8)
DOMAINS = np.arange(NUM_TASKS) == 1  # the images are of task 1


@pytest.fixture(scope="module")
def evaluate(system, initial):
    """`split_metrics.evaluate` of the initial state, in batches of four."""

    def evaluated(domains=DOMAINS, split=SPLIT, size=4):
        return split_metrics.evaluate(
            system.nets, initial.evaluated, system.spec.class_mask, domains, split, size
        )

    return evaluated


def test_the_means_agree_with_numpy_over_the_whole_set(system, initial, evaluate):
    got = evaluate()
    x_rec, u, d = inference.reconstruct(
        system.nets, initial.evaluated, system.spec.class_mask, SPLIT.images
    )
    error = (SPLIT.images / 255.0 - (np.asarray(x_rec) + 1) / 2) ** 2
    mse = error.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(got["mse"], mse.mean(), rtol=1e-5)
    np.testing.assert_allclose(got["psnr"], (-10 * np.log10(mse)).mean(), rtol=1e-5)
    assert got["accuracy"] == pytest.approx((np.asarray(u) == SPLIT.labels).mean())
    assert got["domain_accuracy"] == pytest.approx((np.asarray(d) == 1).mean())
    assert -1 <= got["ssim"] <= 1


def test_an_image_may_be_of_any_task_with_its_set(evaluate):
    """Where a set was met as tasks 0 and 2, either is right."""

    def accuracy(*tasks):
        return evaluate(np.isin(np.arange(NUM_TASKS), tasks))["domain_accuracy"]

    each = [accuracy(task) for task in range(NUM_TASKS)]
    assert sum(each) == pytest.approx(1.0)
    assert accuracy(0, 2) == pytest.approx(each[0] + each[2])


def test_an_image_of_a_task_without_classes_is_reconstructed_without_a_class(
    system, initial, monkeypatch
):
    """The generator is replaced by one that shows the codes of class and task."""
    monkeypatch.setattr(inference, "decode", lambda nets, params, z, u, d: (u, d))
    shown = []
    for row in range(NUM_TASKS):
        mask = system.spec.class_mask.at[row].set(False)
        (of_class, of_task), u, d = inference.reconstruct(
            system.nets, initial.evaluated, mask, SPLIT.images
        )
        given = np.where(np.any(of_class, axis=-1), np.argmax(of_class, axis=-1), -1)
        np.testing.assert_array_equal(given, np.where(d == row, -1, u))
        np.testing.assert_array_equal(np.argmax(of_task, axis=-1), d)
        assert (u >= 0).all()  # what the class model says counts, whatever the task is taken for
        shown += given.tolist()
    assert -1 in shown


@pytest.mark.parametrize("size", [1, 5, 11, 32])
def test_the_batch_size_does_not_matter(evaluate, size):
    assert evaluate(size=size) == pytest.approx(evaluate(), rel=1e-4)


def test_an_unlabelled_set_has_no_accuracy(evaluate):
    assert set(evaluate(split=UNLABELLED)) == {"domain_accuracy", "mse", "psnr", "ssim"}


def test_a_set_of_one_image_has_all_metrics(evaluate):
    got = evaluate(split=SPLIT.take(np.arange(1)))
    assert set(got) == {"accuracy", "domain_accuracy", "mse", "psnr", "ssim"}
    assert np.isfinite(list(got.values())).all()


def made_of(images, monkeypatch, made, size=4):
    """The metrics of an autoencoder that makes `made(x)` of images x in [-1, 1]."""

    def reconstruct(nets, params, class_mask, batch):
        return made(to_unit(batch)), *(np.zeros(len(batch), np.int32),) * 2

    monkeypatch.setattr(split_metrics, "reconstruct", reconstruct)
    split = Split(images, LABELS, LABELS)
    return split_metrics.evaluate(None, None, None, DOMAINS, split, size)


def test_an_exact_reconstruction_counts_as_100_db(monkeypatch):
    """Its own PSNR is infinite, and so would be the mean over the set."""
    got = made_of(IMAGES, monkeypatch, lambda x: x)
    assert (got["mse"], got["psnr"]) == (0.0, 100.0)
    assert got["ssim"] == pytest.approx(1.0)


def paler(x):
    """Less of everything, and a tint that differs from image to image."""
    tint = x[:, :1, :1] * np.float32([0.1, 0.2, -0.1]).reshape(1, 1, 1, 3)
    return 0.5 * x + tint


@pytest.mark.parametrize("size", [1, 4, 32])
def test_the_metrics_of_colour_agree_with_numpy_over_the_whole_set(monkeypatch, size):
    got = made_of(COLOURED, monkeypatch, paler, size)
    ycc, shown = [], paler(np.float64(COLOURED) / 127.5 - 1)
    for levels in (np.float64(COLOURED), 127.5 * (shown + 1)):
        r, g, b = np.moveaxis(levels, -1, 0)
        y = 0.299 * r + 0.587 * g + 0.114 * b
        ycc.append(np.stack([y, (b - y) / 1.772, (r - y) / 1.402], axis=-1))
    real, rec = ycc
    for name, channels in (("psnr_luma", slice(0, 1)), ("psnr_chroma", slice(1, 3))):
        mse = np.square((real - rec)[..., channels]).mean(axis=(1, 2, 3))
        expected = np.mean(10 * np.log10(255**2 / mse))
        np.testing.assert_allclose(got[name], expected, rtol=1e-5)
    deviations = [np.sqrt(x[..., 1].var() + x[..., 2].var()) for x in (rec, real)]
    np.testing.assert_allclose(got["chroma"], deviations[0] / deviations[1], rtol=1e-5)


def test_the_images_themselves_have_all_of_their_colour_and_grey_ones_none(monkeypatch):
    exact = made_of(COLOURED, monkeypatch, lambda x: x)
    assert (exact["chroma"], exact["psnr_luma"], exact["psnr_chroma"]) == (1.0, 100.0, 100.0)
    grey = made_of(COLOURED, monkeypatch, lambda x: x[..., :1].repeat(3, axis=-1))
    assert grey["chroma"] == 0.0
    assert 5 < grey["psnr_chroma"] < 50


def test_grey_images_of_three_channels_have_no_colour_to_compare_with(monkeypatch):
    got = made_of(IMAGES.repeat(3, axis=-1), monkeypatch, paler)
    assert {"psnr_luma", "psnr_chroma"} < set(got)
    assert "chroma" not in got


@pytest.mark.parametrize("size", [4, 32])
def test_what_is_inferred_of_a_set_is_what_each_image_gives(system, initial, size):
    z, u, d = inference.infer_all(system.nets, initial.evaluated, SPLIT.images, size)
    x, params = to_unit(SPLIT.images), initial.params
    mean, _ = system.nets.apply("encoder", params, x)
    np.testing.assert_allclose(z, mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(u, system.nets.apply("class", params, x).argmax(-1))
    np.testing.assert_array_equal(d, system.nets.apply("domain", params, mean).argmax(-1))


def test_ssim_of_equal_images_is_one_and_psnr_follows_its_definition():
    import dm_pix

    x = np.float32(SPLIT.images / 255)
    np.testing.assert_allclose(dm_pix.ssim(x, x), np.ones(11), rtol=1e-5)
    noisy = np.clip(x + 0.1, 0, 1)
    expected = -10 * np.log10(((x - noisy) ** 2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(dm_pix.psnr(x, noisy), expected, rtol=1e-4)
