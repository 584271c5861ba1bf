"""The training step: its phases together, the task change, the averages and the learning rates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import NETWORKS, ROWS, System, assert_equal, make_batch, same

from lgaa_jax.training import optimisers, sampling
from lgaa_jax.training.batch import Batch
from lgaa_jax.training.codes import update_codes
from lgaa_jax.training.state import begin_task, update_ema
from lgaa_jax.training.train_step import make_train_steps


def test_fakes_come_from_standard_normal_codes_and_their_rows_classes(system, monkeypatch, key):
    """The generator is replaced by one that shows its inputs."""
    monkeypatch.setattr(sampling, "generate", lambda nets, params, z, u, d: params * z)
    u = jnp.tile(jnp.array([-1, 2]), 1000)
    d = jnp.zeros(2000, jnp.int32)
    mask = jnp.array([[1, 1, 0, 0]], bool)
    z, _, u_fake = sampling.sample_fake(system.nets, jnp.float32(1.0), {}, key, u, d, mask)
    without = jnp.zeros((1, 4), bool)
    assert_equal(sampling.sample_fake(system.nets, jnp.float32(1.0), {}, key, u, d, without)[2], u)
    np.testing.assert_allclose([z.mean(), z.std()], [0.0, 1.0], atol=0.01)
    assert (u_fake[1::2] == 2).all()
    assert set(u_fake[::2].tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("strategy", "still"),
    [
        pytest.param("gan_replay", "encoder", marks=pytest.mark.slow),  # test_driver.py has a run
        ("vae_replay", "critic"),
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


def test_learning_rates_fall_at_the_end_of_each_task_and_start_anew():
    """Tasks of 10 and 20 steps, two updates a step; the last 40 % of each fall in a line."""
    rate = jax.jit(optimisers.learning_rate(0.5, 0.4, (10, 30), updates=2))
    counts = np.arange(60, dtype=np.int32)
    step = counts // 2
    left = np.where(step < 10, (10 - step) / 10, (30 - step) / 20)
    expected = 0.5 * np.minimum(left / 0.4, 1)
    np.testing.assert_allclose([rate(c) for c in counts], expected, rtol=1e-6)
    assert float(rate(np.int32(1000))) == 0.0  # a count past the last task's end
    constant = optimisers.learning_rate(0.5, 0.0, (10, 30), updates=1)
    assert {float(constant(c)) for c in counts} == {0.5}


@pytest.fixture(scope="module")
def jitted(system):
    traces = []

    def counted(s, k, batch):
        traces.append(1)
        return system.train_step(s, k, batch)

    return jax.jit(counted), traces


def test_one_trace_serves_all_tasks_and_replay_stays_bit_identical(system, jitted):
    step, traces = jitted
    s = system.init()
    for task in range(3):
        if task:
            s = begin_task(s)
        frozen = jax.tree.map(np.asarray, s.replay)
        for i in range(2):
            s, metrics = step(s, jax.random.key(7), make_batch(i, task, ROWS // (task + 1)))
        assert_equal(frozen, s.replay)
        assert all(np.isfinite(v) for v in metrics.values())
    assert len(traces) == 1
    assert (int(s.step), int(s.task)) == (6, 2)


def test_begin_task_freezes_the_averaged_generator_in_buffers_of_its_own(system, jitted):
    s, _ = jitted[0](system.init(), jax.random.key(7), make_batch())
    frozen = begin_task(s)
    live = {"generator": s.ema, "class": s.params["class"], "codes": s.codes}
    assert_equal(frozen.replay, live)
    taken = jax.tree.leaves(frozen.params) + jax.tree.leaves(frozen.ema)
    pointers = {leaf.unsafe_buffer_pointer() for leaf in taken}
    assert pointers.isdisjoint(
        leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(frozen.replay)
    )
    without = begin_task(s.replace(ema={}))
    assert_equal(without.replay["generator"], s.params["generator"])


def test_the_same_step_is_the_same_and_another_step_is_not(system, jitted):
    step, s = jitted[0], system.init()
    first, _ = step(s, jax.random.key(7), make_batch())
    again, _ = step(s, jax.random.key(7), make_batch())
    assert_equal(first, again)
    later, _ = step(s.replace(step=s.step + 1), jax.random.key(7), make_batch())
    assert not same(first.params["critic"], later.params["critic"])


def test_the_average_follows_its_recursion(system):
    s = system.init()
    s = s.replace(
        step=jnp.int32(90),
        params={**s.params, "generator": jax.tree.map(lambda p: p + 1.0, s.params["generator"])},
    )
    for decay, rate in ((0.998, 1 - 91 / 100), (0.5, 0.5)):
        averaged = update_ema(s, decay).ema
        jax.tree.map(
            lambda a, e, r=rate: np.testing.assert_allclose(a, e + r, rtol=1e-5, atol=1e-5),
            averaged,
            s.ema,
        )
    assert update_ema(s.replace(ema={}), 0.9).ema == {}


def test_steps_of_paper64_without_classes_with_five_critic_updates_and_without_an_average(key):
    """How 64x64 images are trained in the published code, at a small width."""
    sizes = {"model": "paper64", "data.size": 64, "data.channels": 3, "net.width": 2}
    system = System(num_classes=0, **sizes, **{"loss.n_critic": 5, "ema_decay": 0.0})
    s, step = system.init(), jax.jit(system.train_step)
    after, metrics = step(s, key, make_batch(labelled=False, shape=(64, 64, 3)))
    assert set(after.params) == NETWORKS - {"class"}
    assert not any(same(s.params[name], after.params[name]) for name in after.params)
    assert "train/loss/class" not in metrics
    assert after.ema == {}
    after, metrics = step(after, key, make_batch(labelled=False, shape=(64, 64, 3)))
    assert np.isfinite(list(metrics.values())).all()
    counts = {phase: int(opt[0].count) for phase, opt in after.opt.items()}
    assert counts == {"critic": 10, "generator": 2, "autoencoder": 2, "inference": 2}


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


def test_several_steps_in_one_call_are_the_same_steps_one_by_one():
    """A step that shows all that it was given, its number included."""

    def step(s, k, batch):
        seen = jnp.stack([batch.x.sum(), batch.u.sum(), batch.d.sum(), batch.num_real, s["step"]])
        return {"step": s["step"] + 1, "sum": s["sum"] + seen}, {"seen": seen}

    rng = np.random.default_rng(0)
    pool = [rng.integers(0, 100, shape).astype(np.int32) for shape in ((20, 2, 2, 1), 20, 20)]
    rows = rng.integers(0, 20, (4, 6)).astype(np.int32)
    zero = {"step": np.int32(0), "sum": np.zeros(5, np.int32)}
    key = jax.random.key(7)
    for count in (1, 3, 4):
        s = zero
        for i in range(count):
            s, expected = step(s, key, Batch(*(c[rows[i]] for c in pool), np.int32(5)))
        steps_ = jax.jit(make_train_steps(step))
        together = steps_(zero, key, pool, rows, np.int32(5), np.int32(count))
        assert_equal(together, (s, expected))
        single = steps_(zero, key, pool, rows[:1], np.int32(5), np.int32(1))
        assert single[1]["seen"][0] == pool[0][rows[0]].sum()


def test_bfloat16_networks_in_a_loop_keep_float32_parameters_and_losses(system, jitted):
    """What a GPU or TPU runs: the losses of the first step are close to those of float32."""
    half = System(compute_dtype="bfloat16")
    batch = make_batch()
    indices = np.stack([np.arange(ROWS, dtype=np.int32)] * 2)
    loop = jax.jit(make_train_steps(half.train_step))
    s, metrics = loop(
        half.init(), jax.random.key(7), batch[:3], indices, np.int32(ROWS), np.int32(1)
    )
    assert {a.dtype for a in jax.tree.leaves(s.params)} == {jnp.dtype("float32")}
    assert {a.dtype for a in metrics.values()} == {jnp.dtype("float32")}
    _, expected = jitted[0](system.init(), jax.random.key(7), batch)
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=0.05, atol=0.02)
    assert any(metrics[name] != value for name, value in expected.items())
