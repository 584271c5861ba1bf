"""What codes tell, each against another way to compute it."""

import types

import numpy as np
import pytest
import scipy.stats

from lgaa_jax.explore import codes, novelty, paths
from lgaa_jax.model.tasks import LearnedTask

Z = 5
RNG = np.random.default_rng(0)
FACTOR = np.tril(RNG.normal(size=(2, 3, Z, Z)), -1) + RNG.uniform(1, 2, (2, 3, 1, Z)) * np.eye(Z)
MEAN = RNG.normal(size=(2, 3, Z))
POINTS = RNG.normal(size=(7, Z)).astype(np.float32)


def model(moments, **methods):
    learned = (LearnedTask("a", (0, 2), ("x", "y", "z")), LearnedTask("b", (), ()))
    return types.SimpleNamespace(
        state=types.SimpleNamespace(codes=moments), learned=learned, **methods
    )


@pytest.mark.parametrize("whole", [True, False])
def test_the_density_of_codes_is_that_of_the_mixture_of_learned_cells(whole):
    """Task a has the classes 0 and 2, and task b has none: its first cell."""
    cells = [(0, 0), (0, 2), (1, 0)]
    variance, loadings = FACTOR.diagonal(axis1=-2, axis2=-1), FACTOR[..., :2]
    form = {"factor": FACTOR} if whole else {"loadings": loadings, "variance": variance}
    root, own = (FACTOR, 0 * variance) if whole else (loadings, variance)
    normals = [
        scipy.stats.multivariate_normal(MEAN[cell], root[cell] @ root[cell].T + np.diag(own[cell]))
        for cell in cells
    ]
    expected = np.log(np.mean([normal.pdf(POINTS) for normal in normals], axis=0))
    got = codes.log_density(model({"mean": MEAN, **form}), POINTS)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("whole", [True, False])
def test_the_density_of_codes_with_modes_is_that_of_all_their_normals(whole):
    """Each has a fifth of its covariance from all of its cell, by their shares."""
    cells, shares = [(0, 0), (0, 2), (1, 0)], RNG.dirichlet(np.ones(4), (2, 3))
    factor, centres = RNG.normal(size=(2, 3, 4, Z, Z)), RNG.normal(size=(2, 3, 4, Z))
    variance = RNG.uniform(1, 2, (2, 3, 4, Z)) * (not whole)
    own = factor @ factor.swapaxes(-1, -2) + variance[..., None] * np.eye(Z)
    if whole:
        moments = {"factor": FACTOR, "inner_factor": factor}
    else:
        moments = {"loadings": FACTOR[..., :2], "variance": np.ones((2, 3, Z))}
        moments |= {"inner_loadings": factor, "inner_variance": variance}
    moments |= {"mean": MEAN, "centres": centres, "shares": shares}
    expected = 0.0
    for cell in cells:
        lent = sum(share * c for share, c in zip(shares[cell], own[cell], strict=True))
        for share, centre, c in zip(shares[cell], centres[cell], own[cell], strict=True):
            normal = scipy.stats.multivariate_normal(centre, 0.8 * c + 0.2 * lent)
            expected += share * normal.pdf(POINTS) / 3
    got = codes.log_density(model(moments), POINTS)
    np.testing.assert_allclose(got, np.log(expected), rtol=1e-6)


def test_without_moments_the_density_is_that_of_the_prior():
    expected = scipy.stats.multivariate_normal(np.zeros(Z)).logpdf(POINTS)
    np.testing.assert_allclose(codes.log_density(model({}), POINTS), expected, rtol=1e-6)


def test_the_nearest_codes_are_those_of_least_distance():
    among = RNG.normal(size=(30, Z))
    distance = np.linalg.norm(POINTS[:, None] - among, axis=-1)
    np.testing.assert_array_equal(
        codes.nearest(POINTS, among, 4), np.argsort(distance, axis=1)[:, :4]
    )


def test_the_effect_of_a_dimension_is_how_far_it_moves_the_pixels():
    """Pixels that are a known function: the effect of each dimension follows by hand."""
    weight = np.array([0.0, 10.0, 20.0, 5.0, 1.0])

    def images_of(z, u, d):
        return (100 + z * weight).reshape(-1, Z, 1, 1)

    images = np.zeros((3, Z, 1, 1), np.uint8)
    rows = (np.zeros((3, Z), np.float32), np.zeros((3, 0)), np.zeros((3, 2)))
    fake = model({}, images_of=images_of, codes_of=lambda images: rows)
    expected = 2 * 1.5 * weight / 255 / np.sqrt(Z)
    np.testing.assert_allclose(codes.effects(fake, images, 1.5), expected, rtol=1e-5)


@pytest.mark.parametrize("method", ["PCA", "t-SNE"])
def test_codes_that_lie_apart_lie_apart_in_the_plane(method):
    apart = np.concatenate([RNG.normal(size=(40, Z)), 50 + RNG.normal(size=(40, Z))])
    plane = codes.plane(apart.astype(np.float32), method)
    assert plane.shape == (80, 2)
    first, second = plane[:40], plane[40:]
    spread = max(np.linalg.norm(p - p.mean(0), axis=1).max() for p in (first, second))
    assert np.linalg.norm(first.mean(0) - second.mean(0)) > spread


def test_auroc_counts_the_pairs_in_order():
    known, unknown = RNG.integers(0, 6, 50) / 5, RNG.integers(2, 8, 40) / 5
    pairs = unknown[:, None] - known[None]
    expected = np.mean((pairs > 0) + 0.5 * (pairs == 0))
    np.testing.assert_allclose(novelty.auroc(known, unknown), expected)


def test_what_is_new_is_reconstructed_worse_and_lies_where_codes_are_thin():
    images = RNG.integers(0, 256, (7, 2, 2, 1), np.uint8)
    fake = model({}, reconstruct=lambda x, floats: x // 2 / 255, encode=lambda x: POINTS[: len(x)])
    got = novelty.scores(fake, images)
    error = np.square((images - images // 2.0) / 255).mean((1, 2, 3))
    np.testing.assert_allclose(got["reconstruction_error"], error, rtol=0.02)
    np.testing.assert_allclose(got["code_density"], -codes.log_density(fake, POINTS))
    found = novelty.detection(fake, images[:4] // 4, images[4:])
    assert found["reconstruction_error"] == 1.0


def test_grids_of_new_images_have_a_column_for_each_class_and_each_task():
    """Of a generator that shows task, label and number of an image."""

    def generate(n, task, label=9):
        shown = [100 * (task == "b") + 10 * label + i for i in range(n)]
        return np.array(shown, np.uint8).reshape(n, 1, 1, 1)

    def known(task):
        return {0: "x", 2: "z"} if task == "a" else {}

    fake = model({}, generate=generate, classes=known, tasks=["a", "b"])
    assert paths.classes(fake, "a", 3)[..., 0, 0, 0].tolist() == [[0, 20], [1, 21], [2, 22]]
    without = paths.classes(fake, "b", 2)
    assert without.shape == (2, 10, 1, 1, 1)
    assert np.unique(without).size == 20  # no image twice
    assert paths.tasks(fake, 2)[..., 0, 0, 0].tolist() == [[90, 190], [91, 191]]
