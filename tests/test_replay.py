"""Replay draws learned tasks and their classes only, is repeatable, and is mixed in by index."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import NUM_CLASSES, NUM_TASKS, ROWS, assert_equal, make_batch

from lgaa_jax import replay
from lgaa_jax.data import to_unit


def test_task_zero_gets_no_replay(system, s, key):
    batch = make_batch(n_real=3)
    x, u, d = replay.mix(system.nets, s, key, batch, 5, system.drawing)
    np.testing.assert_array_equal(x, to_unit(batch.x))
    np.testing.assert_array_equal(u, batch.u)
    np.testing.assert_array_equal(d, batch.d)


def test_later_tasks_keep_their_real_rows_and_replay_the_rest(system, s, key):
    batch = make_batch(task=2, n_real=3)
    x, u, d = replay.mix(system.nets, s.replace(task=jnp.int32(2)), key, batch, 6, system.drawing)
    np.testing.assert_array_equal(x[:3], to_unit(batch.x[:3]))
    np.testing.assert_array_equal(u[:3], batch.u[:3])
    assert (d[:3] == 2).all()
    assert (d[3:] < 2).all()
    assert np.abs(x[3:] - to_unit(batch.x[3:])).max(axis=(1, 2, 3)).min() > 0.1


def test_replay_covers_the_earlier_tasks_and_only_their_classes_evenly(system, s, key):
    mask = jnp.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]], bool)
    drawing = replay.Drawing(mask, label="drawn")
    _, u, d = replay.sample(system.nets, s.replay, key, jnp.int32(2), 2000, drawing)
    pairs, counts = np.unique(np.stack([d, u]), axis=1, return_counts=True)
    assert pairs.T.tolist() == [[0, 0], [0, 1], [1, 2], [1, 3]]
    np.testing.assert_allclose(counts / 2000, 0.25, atol=0.04)


def test_without_moments_the_codes_of_replay_are_standard_normal(key, monkeypatch):
    monkeypatch.setattr(replay, "generate", lambda nets, generator, z, u, d: z)
    nets = types.SimpleNamespace(code_size=16, class_model=None)
    drawing = replay.Drawing(jnp.ones((2, 4), bool), label="drawn")
    z, _, _ = replay.sample(nets, {"generator": {}, "codes": {}}, key, jnp.int32(1), 1000, drawing)
    np.testing.assert_allclose(z.mean(), 0.0, atol=0.03)  # four standard errors or more
    np.testing.assert_allclose(jnp.square(z).mean(), 1.0, atol=0.05)
    assert np.mean(np.abs(z) > 1) == pytest.approx(0.317, abs=0.02)  # uniform in (-1, 1) has none


def test_codes_have_the_moments_of_their_class_and_task(key):
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(2, 3, 4)).astype(np.float32)
    deviation = rng.uniform(0, 2, size=(2, 3, 4)).astype(np.float32)
    codes = {"mean": mean, "square": mean**2 + deviation**2}
    i = jnp.arange(60_000)
    z = replay.draw_codes(key, codes, i % 3, i % 2, 4)
    for first in range(6):
        cell = first % 2, first % 3
        np.testing.assert_allclose(z[first::6].mean(0), mean[cell], atol=0.08)  # 4 standard errors
        np.testing.assert_allclose(z[first::6].std(0), deviation[cell], atol=0.08)


def test_the_models_label_is_the_deterministic_argmax_of_the_frozen_class_model(system, s, key):
    draw = [
        replay.sample(system.nets, s.replay, key, jnp.int32(1), 64, system.drawing)
        for _ in range(2)
    ]
    assert_equal(*draw)
    x, u, _ = draw[0]
    logits = system.nets.class_model.apply({"params": s.replay["class"]}, x)
    np.testing.assert_array_equal(u, np.argmax(logits, axis=-1))


def test_replay_depends_on_the_frozen_parameters_and_not_on_the_live_ones(system, s, key):
    other = s.replace(params=jax.tree.map(lambda p: p + 1.0, s.params), task=jnp.int32(1))
    batch = make_batch(n_real=2)
    mixed = [
        replay.mix(system.nets, t, key, batch, 6, system.drawing)
        for t in (s.replace(task=jnp.int32(1)), other)
    ]
    assert_equal(*mixed)


def test_a_materialised_pool_is_repeatable_and_of_earlier_tasks(system, s, key):
    pools = [
        replay.materialise(
            system.nets,
            s.replace(task=jnp.int32(2)),
            key,
            300,
            dataclasses.replace(system.drawing, label="drawn"),
        )
        for _ in range(2)
    ]
    assert_equal(*pools)
    x, u, d = pools[0]
    assert (x.shape, x.dtype) == ((300, 16, 16, 1), np.uint8)
    assert set(d.tolist()) == {0, 1}
    assert set(u.tolist()) == set(range(NUM_CLASSES))
    assert len(np.unique(x.reshape(300, -1), axis=0)) == 300


def test_without_classes_nothing_is_drawn(key):
    d = jnp.zeros(ROWS, jnp.int32)
    assert (replay.draw_classes(key, d, jnp.ones((NUM_TASKS, 0), bool)) == -1).all()
    assert replay.one_hot(d, 0).shape == (ROWS, 0)
