"""The moments of the codes: what moves them, and codes that have them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_equal

from lgaa_jax.training.codes import sample_codes, update_codes


def test_codes_have_the_moments_of_their_class_and_task(key):
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(2, 3, 4)).astype(np.float32)
    factor = np.tril(rng.normal(size=(2, 3, 4, 4))).astype(np.float32)
    codes = {"mean": mean, "factor": factor}
    i = jnp.arange(60_000)
    z = sample_codes(key, codes, i % 3, i % 2, 4)
    for first in range(6):
        cell = first % 2, first % 3
        covariance = factor[cell] @ factor[cell].T
        errors = np.sqrt(covariance.diagonal() / 10_000)  # standard errors of the means
        assert (np.abs(z[first::6].mean(0) - mean[cell]) < 5 * errors).all()
        scale = 10_000 * np.outer(errors, errors)
        assert (np.abs(np.cov(z[first::6].T) - covariance) / scale < 0.08).all()


@pytest.mark.parametrize("classes", [1, 2])
def test_moments_of_codes_move_for_the_classes_and_tasks_in_the_batch_only(classes):
    """With one column, as where there are no classes, rows without a label count too.

    With two, task 0 has no classes: its rows count for the first of them.
    """
    rng = np.random.default_rng(0)
    cells = 3, classes
    factor = np.tril(rng.normal(size=(*cells, 5, 5)), -1) + np.eye(5)
    codes = {"mean": rng.normal(size=(*cells, 5)), "factor": factor}
    z, d = rng.normal(size=(8, 5)), np.array([0, 2, 2, 0, 2, 2, 2, 2])
    u = np.array([-1, 1, 0, -1, 0, 1, 1, -1]) if classes == 2 else np.full(8, -1)
    classed = jnp.bool_((d != 0) & (classes == 2))
    before = jax.tree.map(jnp.float32, codes)
    moved = update_codes(before, jnp.float32(z), u, d, classed, 0.9)
    for cell in np.ndindex(cells):
        own = (u == cell[1]) | (~classed & (cell[1] == 0))
        rows = z[(d == cell[0]) & own]
        if not len(rows):
            assert_equal(*({k: v[cell] for k, v in c.items()} for c in (before, moved)))
            continue
        # Averages of z and of its outer product; the covariance is what is left of the second.
        keep, mean = 0.9 ** len(rows), codes["mean"][cell]
        square = factor[cell] @ factor[cell].T + np.outer(mean, mean)
        mean = keep * mean + (1 - keep) * rows.mean(0)
        square = keep * square + (1 - keep) * rows.T @ rows / len(rows)
        np.testing.assert_allclose(moved["mean"][cell], mean, rtol=1e-5, atol=1e-6)
        f = np.asarray(moved["factor"][cell])
        np.testing.assert_array_equal(f, np.tril(f))
        np.testing.assert_allclose(f @ f.T, square - np.outer(mean, mean), rtol=1e-4, atol=1e-5)
    assert update_codes({}, z, u, d, classed, 0.9) == {}
