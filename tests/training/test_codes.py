"""The moments of the codes: what moves them, and codes that have them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_equal

from lgaa_jax.training.codes import covariance, init_codes, sample_codes, update_codes

RANKS = 0, 2


def moments(rank, *cells, size):
    """Drawn at random; rank 0: with the whole covariance."""
    rng = np.random.default_rng(0)
    codes = {"mean": rng.normal(size=(*cells, size))}
    if rank:
        codes["loadings"] = rng.normal(size=(*cells, size, rank))
        codes["variance"] = rng.uniform(0.5, 2, (*cells, size))
    else:
        codes["factor"] = np.tril(rng.normal(size=(*cells, size, size)), -1) + np.eye(size)
    return codes


def whole(codes, cell):
    """The covariance of a cell, by the definitions of both forms."""
    if "factor" in codes:
        return codes["factor"][cell] @ codes["factor"][cell].T
    return codes["loadings"][cell] @ codes["loadings"][cell].T + np.diag(codes["variance"][cell])


@pytest.mark.parametrize("rank", RANKS)
def test_codes_have_the_moments_of_their_class_and_task(key, rank):
    codes = moments(rank, 2, 3, size=4)
    i = jnp.arange(60_000)
    z = sample_codes(key, jax.tree.map(jnp.float32, codes), i % 3, i % 2, 4)
    for first in range(6):
        cell = first % 2, first % 3
        expected = whole(codes, cell)
        errors = np.sqrt(expected.diagonal() / 10_000)  # standard errors of the means
        assert (np.abs(z[first::6].mean(0) - codes["mean"][cell]) < 5 * errors).all()
        scale = 10_000 * np.outer(errors, errors)
        assert (np.abs(np.cov(z[first::6].T) - expected) / scale < 0.08).all()
        np.testing.assert_allclose(covariance(codes, *cell), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("rank", "tasks", "components"),
    [(2, 3, 2), (9, 3, None), (12, 200, None), (0, 100, None), (0, 101, 8), (3, 101, 3)],
)
def test_they_begin_as_the_prior(rank, tasks, components):
    """Where no rank is named, covariances are whole in runs that are not long."""
    codes = init_codes(tasks, 0, 9, rank)
    if components:
        assert codes["loadings"].shape == (tasks, 1, 9, components)
    else:
        assert codes["factor"].shape == (tasks, 1, 9, 9)
    np.testing.assert_array_equal(codes["mean"], np.zeros((tasks, 1, 9)))
    for task in (0, tasks - 1):
        np.testing.assert_allclose(covariance(codes, task, 0), np.eye(9), atol=1e-6)


@pytest.mark.parametrize("tasks", [3, 20])
@pytest.mark.parametrize("classes", [1, 2])
@pytest.mark.parametrize("rank", RANKS)
def test_moments_of_codes_move_for_the_classes_and_tasks_in_the_batch_only(rank, classes, tasks):
    """With one column, as where there are no classes, rows without a label count too.

    With two, task 0 has no classes: its rows count for the first of them. With 20 tasks there are
    more cells than rows.
    """
    rng = np.random.default_rng(1)
    cells = tasks, classes
    codes = moments(rank, *cells, size=5)
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
        square = whole(codes, cell) + np.outer(mean, mean)
        mean = keep * mean + (1 - keep) * rows.mean(0)
        square = keep * square + (1 - keep) * rows.T @ rows / len(rows)
        np.testing.assert_allclose(moved["mean"][cell], mean, rtol=1e-5, atol=1e-6)
        expected = square - np.outer(mean, mean)
        after = whole(jax.tree.map(np.asarray, moved), cell)
        if rank:  # the diagonal is that of all, and components what a span of two vectors has
            np.testing.assert_allclose(after.diagonal(), expected.diagonal(), rtol=1e-4)
            span, m = codes["loadings"][cell], expected - keep * np.diag(codes["variance"][cell])
            expected = m @ span @ np.linalg.inv(span.T @ m @ span) @ span.T @ m
            after = np.asarray(moved["loadings"][cell] @ moved["loadings"][cell].T)
        else:
            assert_equal(moved["factor"][cell], np.tril(moved["factor"][cell]))
        np.testing.assert_allclose(after, expected, rtol=1e-4, atol=1e-5)
    assert update_codes({}, z, u, d, classed, 0.9) == {}


def test_components_become_the_principal_ones_of_what_comes():
    """Of two classes at once, whose codes change after a while."""
    rng, size, rank = np.random.default_rng(0), 12, 3
    scales = np.sqrt([9, 6, 4, *[0.5] * (size - 3)])
    codes = init_codes(1, 2, size, rank)
    update = jax.jit(update_codes, static_argnums=5)
    for mean in (5.0, -2.0):
        turned = [np.linalg.qr(rng.normal(size=(size, size)))[0] * scales for _ in range(2)]
        for _ in range(600):
            u = rng.integers(0, 2, 16)
            noise = rng.normal(size=(16, size))
            z = mean + np.stack([turned[c] @ e for c, e in zip(u, noise, strict=True)])
            codes = update(codes, np.float32(z), u, np.zeros(16, int), np.ones(16, bool), 0.998)
    for c, root in enumerate(turned):
        best = root[:, :rank] @ root[:, :rank].T
        found = np.asarray(codes["loadings"][0, c] @ codes["loadings"][0, c].T)
        assert np.linalg.norm(found - best) < 0.15 * np.linalg.norm(best)
        np.testing.assert_allclose(codes["mean"][0, c], -2.0, atol=0.4)


@pytest.mark.parametrize("rank", RANKS)
def test_codes_that_do_not_vary_leave_moments_that_can_be_drawn_with(key, rank):
    """After so many of them that nothing of the prior is left in float32; then others come."""
    update = jax.jit(update_codes, static_argnums=5)
    codes, u, classed = init_codes(1, 1, 4, rank or 4), np.zeros(3, int), np.ones(3, bool)
    for _ in range(300):
        codes = update(codes, np.full((3, 4), 2.0, np.float32), u, u, classed, 0.5)
    z = sample_codes(key, codes, np.zeros(50, int), np.zeros(50, int), 4)
    np.testing.assert_allclose(z, 2.0, atol=0.02)
    others = np.random.default_rng(0).normal(size=(300, 3, 4)).astype(np.float32)
    for z in others:
        codes = update(codes, z, u, u, classed, 0.98)
    np.testing.assert_allclose(covariance(codes, 0, 0), np.eye(4), atol=0.5)


@pytest.mark.parametrize("rank", RANKS)
def test_of_many_cells_those_of_the_batch_move_as_where_all_are_computed(rank):
    """Rows of no class make a batch as large as there are cells, and count for none of them."""
    n, classes, size, decay = 9, 4, 5, 0.9
    codes = jax.tree.map(jnp.float32, moments(rank, n, classes, size=size))
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


@pytest.mark.parametrize("rank", RANKS)
def test_what_a_batch_costs_does_not_grow_with_the_cells(rank):
    """By the operations that XLA counts; the moments themselves are changed in place."""

    def operations(n):
        codes = jax.eval_shape(lambda: init_codes(n, 10, 16, rank or 16))
        z = jax.ShapeDtypeStruct((8, 16), "float32")
        u, classed = (jax.ShapeDtypeStruct((8,), dtype) for dtype in ("int32", "bool"))
        update = jax.jit(update_codes, static_argnums=5, donate_argnums=0)
        program = update.lower(codes, z, u, u, classed, 0.9).compile()
        return program.cost_analysis()["flops"], program.memory_analysis().temp_size_in_bytes

    (few, small), (many, large) = operations(5), operations(500)
    assert many == few
    assert large < small + 500 * 10 * 16 * (rank or 16)  # bytes: less than a fourth of one copy
