"""The moments of the codes: what moves them, and codes that have them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_equal

from lgaa_jax.training.codes import init_codes, sample_codes, update_codes
from lgaa_jax.training.covariances import covariance

RANKS = 0, 2


def moments(rank, *cells, size, modes=1):
    """Drawn at random; rank 0: with whole covariances."""
    rng = np.random.default_rng(0)
    codes = {"mean": rng.normal(size=(*cells, size))}
    for inner, own in (
        {"": cells, "inner_": (*cells, modes)}.items() if modes > 1 else [("", cells)]
    ):
        if rank:
            codes[f"{inner}loadings"] = rng.normal(size=(*own, size, rank))
            codes[f"{inner}variance"] = rng.uniform(0.5, 2, (*own, size))
        else:
            lower = np.tril(rng.normal(size=(*own, size, size)), -1)
            codes[f"{inner}factor"] = lower + np.eye(size)
    if modes > 1:
        codes["centres"] = 2 * rng.normal(size=(*cells, modes, size))
        codes["shares"] = rng.dirichlet(np.full(modes, 5.0), cells)
    return codes


def whole(codes, cell, inner=""):
    """The covariance of a cell, or of one of its modes, by the definitions of both forms."""
    if "factor" in codes:
        return codes[f"{inner}factor"][cell] @ codes[f"{inner}factor"][cell].T
    loadings, variance = codes[f"{inner}loadings"][cell], codes[f"{inner}variance"][cell]
    return loadings @ loadings.T + np.diag(variance)


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


@pytest.mark.parametrize("rank", RANKS)
def test_codes_with_modes_are_drawn_from_their_mixture_about_the_mean_of_the_cell(key, rank):
    """Mean and covariance of each mode, from their definitions; and how many codes are of it."""
    codes, spread, n = moments(rank, 1, 2, size=4, modes=3), 1.5, 100_000
    codes["centres"] *= 10  # far enough apart to be told
    drawn = jax.tree.map(jnp.float32, codes), jnp.ones(n, int), jnp.zeros(n, int), 4, spread
    z, cell = np.float64(sample_codes(key, *drawn)), (0, 1)
    mean, shares, centres = (codes[name][cell] for name in ("mean", "shares", "centres"))
    centres = mean + spread * (centres - mean)
    nearest = np.square(z[:, None] - centres).sum(-1).argmin(-1)
    np.testing.assert_allclose(np.bincount(nearest) / n, shares, atol=0.01)
    covariances = [whole(codes, (*cell, mode), "inner_") for mode in range(3)]
    lent = np.tensordot(shares, covariances, 1)
    for mode, centre in enumerate(centres):
        own = z[nearest == mode]
        np.testing.assert_allclose(own.mean(0), centre, atol=0.1)
        expected = spread**2 * (0.8 * covariances[mode] + 0.2 * lent)
        np.testing.assert_allclose(np.cov(own.T), expected, atol=0.03 * np.trace(expected))


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


@pytest.mark.parametrize("rank", RANKS)
def test_modes_begin_as_the_prior(key, rank):
    codes = init_codes(2, 3, 6, rank or 6, num_modes=5)
    z = sample_codes(key, codes, jnp.full(50_000, 2), jnp.ones(50_000, int), 6)
    np.testing.assert_allclose(z.mean(0), 0.0, atol=0.03)
    np.testing.assert_allclose(np.cov(z.T), np.eye(6), atol=0.03)
    assert init_codes(2, 3, 6, rank or 6).keys() < codes.keys()


@pytest.mark.parametrize("tasks", [2, 20])
def test_modes_take_the_codes_next_to_their_centres(tasks):
    """One batch, by loops over cells and modes; with 20 tasks there are more cells than rows."""
    rng, decay = np.random.default_rng(1), 0.9
    codes = moments(0, tasks, 1, size=5, modes=3)
    codes["shares"][0, 0] = [0.5, 0.49, 0.01]  # the last one is moved
    before = jax.tree.map(jnp.float32, codes)
    z, d = rng.normal(size=(8, 5)), np.array([0, 1, 1, 0, 1, 1, 1, 0])
    z[d == 0] = codes["centres"][0, 0, [1, 0, 1]] + 0.1 * z[d == 0]
    moved = update_codes(before, jnp.float32(z), np.zeros(8, int), d, jnp.ones(8, bool), decay)
    for task in range(tasks):
        rows, cell = z[d == task], (task, 0)
        if not len(rows):
            assert_equal(*({k: v[cell] for k, v in c.items()} for c in (before, moved)))
            continue
        centres, shares = codes["centres"][cell].copy(), codes["shares"][cell]
        mode = np.array([np.linalg.norm(row - centres, axis=-1).argmin() for row in rows])
        keep = decay ** len(rows)
        expected = [whole(codes, (*cell, m), "inner_") for m in range(3)]
        shares = keep * shares + (1 - keep) * np.bincount(mode, minlength=3) / len(rows)
        for m in set(mode):
            own = rows[mode == m]
            slower, faster = decay ** (1.5 * len(own)), decay ** (3 * len(own))
            scatter = (own - centres[m]).T @ (own - centres[m]) / len(own)
            expected[m] = slower * expected[m] + (1 - slower) * scatter
            centres[m] = faster * centres[m] + (1 - faster) * own.mean(0)
        if task == 0:
            assert (mode[0], shares.argmin()) == (1, 2)
            centres[2], expected[2] = rows[0], expected[1]
            shares[1:] = shares[1:].sum() / 2
        np.testing.assert_allclose(moved["centres"][cell], centres, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(moved["shares"][cell], shares, rtol=1e-4, atol=1e-5)
        for m in range(3):
            after = whole(jax.tree.map(np.asarray, moved), (*cell, m), "inner_")
            np.testing.assert_allclose(after, expected[m], rtol=1e-3, atol=1e-4)
    one = {name: a for name, a in before.items() if name in ("mean", "factor")}
    one = update_codes(one, jnp.float32(z), np.zeros(8, int), d, jnp.ones(8, bool), decay)
    assert_equal(one, {name: moved[name] for name in one})


@pytest.mark.parametrize("rank", RANKS)
def test_modes_come_to_lie_where_the_codes_do(key, rank):
    """Four clusters of unlike sizes, which then move: what is drawn lies in them, as often."""
    rng, size = np.random.default_rng(0), 6
    sizes, deviation = np.array([0.4, 0.3, 0.2, 0.1]), 0.3
    codes, update = init_codes(1, 1, size, rank or size, 8), jax.jit(update_codes, static_argnums=5)
    u, classed = np.zeros(16, int), np.ones(16, bool)
    for _ in range(2):
        centres = 3 * rng.normal(size=(4, size))
        for _ in range(400):
            z = centres[rng.choice(4, 16, p=sizes)] + deviation * rng.normal(size=(16, size))
            codes = update(codes, np.float32(z), u, u, classed, 0.998)
    z = np.asarray(sample_codes(key, codes, np.zeros(4000, int), np.zeros(4000, int), size))
    apart = np.linalg.norm(z[:, None] - centres, axis=-1)
    # Of one normal for all, hardly any code lies within a cluster.
    assert (apart.min(-1) < 2 * deviation * np.sqrt(size)).mean() > 0.9
    np.testing.assert_allclose(np.bincount(apart.argmin(-1)) / 4000, sizes, atol=0.06)


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


@pytest.mark.parametrize(("rank", "modes"), [(0, 1), (2, 1), (0, 3), (2, 3)])
def test_of_many_cells_those_of_the_batch_move_as_where_all_are_computed(rank, modes):
    """Rows of no class make a batch as large as there are cells, and count for none of them."""
    n, classes, size, decay = 9, 4, 5, 0.9
    codes = jax.tree.map(jnp.float32, moments(rank, n, classes, size=size, modes=modes))
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
