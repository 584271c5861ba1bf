"""The training step: its phases together, for every task and family, and several in one call."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import BATCH_SIZE, NETWORKS, System, assert_equal, make_batch, same

from lgaa_jax.evaluation import inference
from lgaa_jax.training import train_step
from lgaa_jax.training.batch import Batch
from lgaa_jax.training.state import begin_task
from lgaa_jax.training.train_step import make_train_steps


@pytest.mark.parametrize(
    ("strategy", "still"),
    [
        ("gan_replay", "encoder"),
        pytest.param("vae_replay", "critic", marks=pytest.mark.ci),
    ],
)
def test_a_family_of_earlier_work_leaves_out_its_phases(strategy, still, key):
    system = System(strategy=strategy)
    before = system.init()
    after, metrics = jax.jit(system.train_step)(before, key, make_batch())
    assert_equal(before.params[still], after.params[still])
    for name in NETWORKS - {still}:
        assert not same(before.params[name], after.params[name]), name
    phases = {name.removeprefix("train/loss/") for name in metrics if "/loss/" in name}
    adversarial = {"critic", "generator"}
    assert phases - {"class", "domain", "reconstruction"} == (
        adversarial if strategy == "gan_replay" else {"autoencoder"}
    )


def test_a_part_of_the_noise_is_in_the_codes_whose_moments_are_kept(system, key, monkeypatch):
    """z = mean + noise: with half of it halfway between the code and its mean."""
    monkeypatch.setattr(train_step, "update_codes", lambda codes, z, *args: {"z": z})
    state, found, batch = system.init(), {}, make_batch()
    for part in (0.5, 1.0):
        hyper = dataclasses.replace(system.hyper, code_noise=part, adversarial=False)
        step = train_step.make_train_step(system.nets, system.tx, hyper, system.spec)
        # Of the codes alone, nothing else of the step is compiled.
        codes = jax.jit(lambda *given, step=step: step(*given)[0].codes["z"])
        found[part] = codes(state, key, batch)
    mean = inference.encode(system.nets, state.params, batch.x)
    assert np.abs(found[1.0] - mean).mean() > 0.1
    np.testing.assert_allclose(found[0.5], (mean + found[1.0]) / 2, atol=1e-5)


def test_the_critics_fakes_are_spread_as_the_config_has_it(key, monkeypatch):
    asked, sample_fake = [], train_step.sample_fake

    def sampled(*args):
        asked.append(args[-1])
        return sample_fake(*args)

    monkeypatch.setattr(train_step, "sample_fake", sampled)
    system = System(**{"code_spread": 1.3, "replay.spread": 1.7})
    jax.eval_shape(system.train_step, system.init(), key, make_batch())
    assert asked == [1.3]


@pytest.fixture(scope="module")
def jitted(system):
    traces = []

    def counted(state, k, batch):
        traces.append(1)
        return system.train_step(state, k, batch)

    return jax.jit(counted), traces


def test_one_trace_serves_all_tasks_and_replay_stays_bit_identical(system, jitted):
    step, traces = jitted
    state = system.init()
    for task in range(3):
        if task:
            state = begin_task(state)
        frozen = jax.tree.map(np.asarray, state.replay)
        for i in range(2):
            state, metrics = step(
                state, jax.random.key(7), make_batch(i, task, BATCH_SIZE // (task + 1))
            )
        assert_equal(frozen, state.replay)
        assert all(np.isfinite(v) for v in metrics.values())
    assert len(traces) == 1
    assert (int(state.step), int(state.task)) == (6, 2)


def test_metrics_tell_each_phases_gradient_norm(system, jitted):
    _, metrics = jitted[0](system.init(), jax.random.key(7), make_batch())
    for phase in ("critic", "generator", "autoencoder", "inference"):
        assert metrics[f"train/grad_norm/{phase}"] > 0


def test_the_same_step_is_the_same_and_another_step_is_not(system, jitted):
    step, state = jitted[0], system.init()
    first, _ = step(state, jax.random.key(7), make_batch())
    again, _ = step(state, jax.random.key(7), make_batch())
    assert_equal(first, again)
    later, _ = step(state.replace(step=state.step + 1), jax.random.key(7), make_batch())
    assert not same(first.params["critic"], later.params["critic"])


@pytest.mark.slow
def test_steps_of_paper64_without_classes_with_five_critic_updates_and_without_an_average(key):
    """How 64x64 images are trained in the published code, at a small width."""
    sizes = {"model": "paper64", "data.size": 64, "data.channels": 3, "net.width": 2}
    system = System(num_classes=0, **sizes, **{"loss.n_critic": 5, "ema_decay": 0.0})
    state, step = system.init(), jax.jit(system.train_step)
    after, metrics = step(state, key, make_batch(labelled=False, shape=(64, 64, 3)))
    assert set(after.params) == NETWORKS - {"class"}
    assert not any(same(state.params[name], after.params[name]) for name in after.params)
    assert "train/loss/class" not in metrics
    assert after.ema == {}
    after, metrics = step(after, key, make_batch(labelled=False, shape=(64, 64, 3)))
    assert np.isfinite(list(metrics.values())).all()
    counts = {phase: int(opt[0].count) for phase, opt in after.opt.items()}
    assert counts == {"critic": 10, "generator": 2, "autoencoder": 2, "inference": 2}


def test_several_steps_in_one_call_are_the_same_steps_one_by_one():
    """A step that shows all that it was given, its number included."""

    def step(state, k, batch):
        seen = jnp.stack(
            [batch.x.sum(), batch.u.sum(), batch.d.sum(), batch.num_real, state["step"]]
        )
        return {"step": state["step"] + 1, "sum": state["sum"] + seen}, {"seen": seen}

    rng = np.random.default_rng(0)
    pool = [rng.integers(0, 100, shape).astype(np.int32) for shape in ((20, 2, 2, 1), 20, 20)]
    rows = rng.integers(0, 20, (4, 6)).astype(np.int32)
    zero = {"step": np.int32(0), "sum": np.zeros(5, np.int32)}
    key = jax.random.key(7)
    for count in (1, 3, 4):
        state = zero
        for i in range(count):
            state, expected = step(state, key, Batch(*(c[rows[i]] for c in pool), np.int32(5)))
        steps_ = jax.jit(make_train_steps(step))
        together = steps_(zero, key, pool, rows, np.int32(5), np.int32(count))
        assert_equal(together, (state, expected))
        single = steps_(zero, key, pool, rows[:1], np.int32(5), np.int32(1))
        assert single[1]["seen"][0] == pool[0][rows[0]].sum()


@pytest.mark.ci
def test_bfloat16_networks_in_a_loop_keep_float32_parameters_and_losses(system, jitted):
    """What a GPU or TPU runs: the losses of the first step are close to those of float32."""
    half = System(compute_dtype="bfloat16")
    batch = make_batch()
    indices = np.stack([np.arange(BATCH_SIZE, dtype=np.int32)] * 2)
    loop = jax.jit(make_train_steps(half.train_step))
    state, metrics = loop(
        half.init(), jax.random.key(7), batch[:3], indices, np.int32(BATCH_SIZE), np.int32(1)
    )
    assert {a.dtype for a in jax.tree.leaves(state.params)} == {jnp.dtype("float32")}
    assert {a.dtype for a in metrics.values()} == {jnp.dtype("float32")}
    _, expected = jitted[0](system.init(), jax.random.key(7), batch)
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=0.05, atol=0.02)
    assert any(metrics[name] != value for name, value in expected.items())
