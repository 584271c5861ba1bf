"""Replay draws learned tasks and their classes only, is repeatable, and is mixed in by index."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import NUM_CLASSES, assert_equal, make_batch

from lgaa_jax.data.images import to_unit
from lgaa_jax.training import replay, sampling
from lgaa_jax.training.batch import Examples, as_examples


def test_task_zero_gets_no_replay(system, initial, key):
    batch = make_batch(num_real=3)
    rows = replay.mix(system.nets, initial, key, batch, 5, system.spec)
    assert_equal(rows, as_examples(batch, NUM_CLASSES))
    np.testing.assert_allclose(rows.x, to_unit(batch.x), atol=1e-6)
    np.testing.assert_array_equal(rows.u, batch.u)
    np.testing.assert_array_equal(rows.d, batch.d)
    assert not rows.soft.any()


def test_later_tasks_keep_their_real_rows_and_replay_the_rest(system, initial, key):
    batch = make_batch(task=2, num_real=3)
    rows = replay.mix(system.nets, initial.replace(task=jnp.int32(2)), key, batch, 6, system.spec)
    real, drawn = (Examples(*(c[part] for c in rows)) for part in (slice(3), slice(3, None)))
    np.testing.assert_allclose(real.x, to_unit(batch.x[:3]), atol=1e-6)
    np.testing.assert_array_equal(real.u, batch.u[:3])
    assert (real.d == 2).all()
    assert not real.soft.any()
    assert (drawn.d < 2).all()
    assert np.abs(drawn.x - to_unit(batch.x[3:])).max(axis=(1, 2, 3)).min() > 0.1


def test_replay_covers_the_earlier_tasks_and_only_their_classes_evenly(system, initial, key):
    mask = jnp.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]], bool)
    spec = dataclasses.replace(system.spec, class_mask=mask, label="drawn")
    rows = replay.sample_replay(system.nets, initial.replay, key, jnp.int32(2), 2000, spec)
    pairs, counts = np.unique(np.stack([rows.d, rows.u]), axis=1, return_counts=True)
    assert pairs.T.tolist() == [[0, 0], [0, 1], [1, 2], [1, 3]]
    np.testing.assert_allclose(counts / 2000, 0.25, atol=0.04)


def test_without_moments_the_codes_of_replay_are_standard_normal(key, monkeypatch):
    monkeypatch.setattr(sampling, "generate", lambda nets, generator, z, u, d: z)
    nets = types.SimpleNamespace(code_size=16, num_classes=4, class_model=None)
    spec = replay.ReplaySpec(jnp.ones((2, 4), bool), "drawn", temperature=1.0, spread=1.0)
    z = replay.sample_replay(nets, {"generator": {}, "codes": {}}, key, jnp.int32(1), 1000, spec).x
    np.testing.assert_allclose(z.mean(), 0.0, atol=0.03)  # four standard errors or more
    np.testing.assert_allclose(jnp.square(z).mean(), 1.0, atol=0.05)
    assert np.mean(np.abs(z) > 1) == pytest.approx(0.317, abs=0.02)  # uniform in (-1, 1) has none


def test_codes_of_replay_are_spread_about_the_mean_of_their_class(key, monkeypatch):
    """The same normal numbers, further from the mean."""
    monkeypatch.setattr(sampling, "generate", lambda nets, generator, z, u, d: z)
    nets = types.SimpleNamespace(code_size=4, num_classes=0, class_model=None)
    mean, mask = jnp.full((1, 1, 4), 3.0), jnp.ones((1, 0), bool)
    frozen = {"generator": {}, "codes": {"mean": mean, "factor": jnp.eye(4)[None, None]}}
    narrow, wide = (
        replay.sample_replay(
            nets, frozen, key, jnp.int32(1), 50, replay.ReplaySpec(mask, "drawn", 1.0, spread)
        ).x
        for spread in (1.0, 1.5)
    )
    np.testing.assert_allclose(wide - 3.0, 1.5 * (narrow - 3.0), rtol=1e-4, atol=1e-5)


def test_the_models_label_is_the_deterministic_argmax_of_the_frozen_class_model(
    system, initial, key
):
    draw = [
        replay.sample_replay(system.nets, initial.replay, key, jnp.int32(1), 64, system.spec)
        for _ in range(2)
    ]
    assert_equal(*draw)
    logits = system.nets.class_model.apply({"params": initial.replay["class"]}, draw[0].x)
    np.testing.assert_array_equal(draw[0].u, np.argmax(logits, axis=-1))


def test_a_soft_label_is_the_tempered_distribution_over_the_classes_met_so_far(
    system, initial, key
):
    mask = jnp.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]], bool)
    spec = dataclasses.replace(system.spec, class_mask=mask, label="soft", temperature=2.0)
    for task, met in ((1, [0, 1]), (2, [0, 1, 2])):
        rows = replay.sample_replay(system.nets, initial.replay, key, jnp.int32(task), 20, spec)
        logits = system.nets.class_model.apply({"params": initial.replay["class"]}, rows.x)
        exponentials = np.exp(np.float64(logits)[:, met] / 2)
        expected = np.zeros((20, NUM_CLASSES))
        expected[:, met] = exponentials / exponentials.sum(-1, keepdims=True)
        np.testing.assert_allclose(rows.soft, expected, rtol=1e-4, atol=1e-6)
    hard = dataclasses.replace(spec, label="model")
    assert not replay.sample_replay(
        system.nets, initial.replay, key, jnp.int32(1), 20, hard
    ).soft.any()


def test_replay_depends_on_the_frozen_parameters_and_not_on_the_live_ones(system, initial, key):
    other = initial.replace(
        params=jax.tree.map(lambda p: p + 1.0, initial.params), task=jnp.int32(1)
    )
    batch = make_batch(num_real=2)
    mixed = [
        replay.mix(system.nets, t, key, batch, 6, system.spec)
        for t in (initial.replace(task=jnp.int32(1)), other)
    ]
    assert_equal(*mixed)


def test_a_materialised_pool_is_repeatable_and_of_earlier_tasks(system, initial, key):
    pools = [
        replay.materialise(
            system.nets,
            initial.replace(task=jnp.int32(2)),
            key,
            300,
            dataclasses.replace(system.spec, label="drawn"),
        )
        for _ in range(2)
    ]
    assert_equal(*pools)
    x, u, d = pools[0]
    assert (x.shape, x.dtype) == ((300, 16, 16, 1), np.uint8)
    assert set(d.tolist()) == {0, 1}
    assert set(u.tolist()) == set(range(NUM_CLASSES))
    assert len(np.unique(x.reshape(300, -1), axis=0)) == 300


@pytest.mark.parametrize("label", ["soft", "model", "drawn"])
def test_replay_of_a_task_without_classes_has_no_label(key, monkeypatch, label):
    """Beside a task that has some; and where no earlier task has any."""
    monkeypatch.setattr(sampling, "generate", lambda nets, generator, z, u, d: z)
    nets = types.SimpleNamespace(
        code_size=4, num_classes=4, num_tasks=3, class_model=True, apply=lambda name, params, x: x
    )
    mask = jnp.array([[0, 0, 0, 0], [0, 1, 1, 0], [1, 1, 1, 1]], bool)
    spec, frozen = replay.ReplaySpec(mask, label, 2.0, 1.0), {"generator": {}, "codes": {}}
    rows = replay.sample_replay(nets, frozen, key, jnp.int32(2), 200, spec)
    plain = rows.d == 0
    assert 0 < plain.sum() < 200
    assert (rows.u[plain] == -1).all()
    assert (rows.u[~plain] >= 0).all()
    assert not rows.soft[plain].any()
    assert bool(rows.soft[~plain].any()) == (label == "soft")
    first = replay.sample_replay(nets, frozen, key, jnp.int32(1), 20, spec)
    assert (first.u == -1).all()
    assert not first.soft.any()  # nan would count, too
