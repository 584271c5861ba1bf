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


@pytest.mark.parametrize("tasks", [3, 20])
@pytest.mark.parametrize("classes", [1, 2])
def test_moments_of_codes_move_for_the_classes_and_tasks_in_the_batch_only(classes, tasks):
    """With one column, as where there are no classes, rows without a label count too.

    With two, task 0 has no classes: its rows count for the first of them. With 20 tasks there are
    more cells than rows.
    """
    rng = np.random.default_rng(0)
    cells = tasks, classes
    factor = np.tril(rng.normal(size=(*cells, 5, 5)), -1) + np.eye(5)
    codes = {"mean": rng.normal(size=(*cells, 5)), "factor": factor}
    z, d = rng.normal(size=(8, 5)), np.array([0, 2, 2, 0, 2, 2, 2, 2])
    d = np.where(d > 0, tasks - 1, 0)  # the last cells, too
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


def test_of_many_cells_those_of_the_batch_move_as_where_all_are_computed(key):
    """Rows of no class make a batch as large as there are cells, and count for none of them."""
    rng = np.random.default_rng(0)
    n, classes, size, decay = 9, 4, 5, 0.9
    factor = np.tril(rng.normal(size=(n, classes, size, size)), -1) + np.eye(size)
    mean = rng.normal(size=(n, classes, size))
    codes = {"mean": jnp.float32(mean), "factor": jnp.float32(factor)}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        z, more = np.float32(rng.normal(size=(8, size))), n * classes - 8
        u, d = rng.integers(-1, classes, 8), rng.integers(0, n, 8)
        u[0], d[0] = (classes - 1, n - 1) if seed else (-1, n - 1)
        classed = np.ones(n * classes, bool)
        few = update_codes(codes, z, u, d, jnp.asarray(classed[:8]), decay)
        pad = [np.pad(a, [(0, more), *[(0, 0)] * (a.ndim - 1)], constant_values=-1) for a in (z, u)]
        every = update_codes(codes, *pad, np.pad(d, (0, more)), jnp.asarray(classed), decay)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), few, every
        )
        still = np.ones((n, classes), bool)
        still[d[u >= 0], u[u >= 0]] = False
        assert_equal(*({k: np.asarray(v)[still] for k, v in c.items()} for c in (few, codes)))
        assert (few["mean"][~still] != codes["mean"][~still]).any(-1).all()


def test_what_a_batch_costs_does_not_grow_with_the_cells():
    """By the operations that XLA counts; the moments themselves are changed in place."""

    def operations(n):
        shapes = {"mean": (n, 10, 16), "factor": (n, 10, 16, 16)}
        codes = {name: jax.ShapeDtypeStruct(shape, "float32") for name, shape in shapes.items()}
        z = jax.ShapeDtypeStruct((8, 16), "float32")
        u, classed = (jax.ShapeDtypeStruct((8,), dtype) for dtype in ("int32", "bool"))
        update = jax.jit(update_codes, static_argnums=5, donate_argnums=0)
        program = update.lower(codes, z, u, u, classed, 0.9).compile()
        return program.cost_analysis()["flops"], program.memory_analysis().temp_size_in_bytes

    (few, small), (many, large) = operations(5), operations(500)
    assert many == few
    assert large < small + 500 * 10 * 16 * 16  # bytes: less than a fourth of one copy
