"""What each phase trains and leaves alone, its objective computed another way, and the step."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import NUM_CLASSES, ROWS, System, assert_equal, make_batch, same

from lgaa_jax import losses, phases, replay, state, steps

NETWORKS = {"generator", "critic", "encoder", "class", "domain"}


class Inputs:
    """A state, images and codes; the same for every system of these sizes."""

    def __init__(self, system):
        self.nets, self.state = system.nets, system.init()
        k = jax.random.split(jax.random.key(5), 3)
        self.x = jax.random.uniform(k[0], (ROWS, 16, 16, 1), minval=-1.0)
        self.z = jax.random.normal(k[1], (ROWS, system.nets.code_size))
        self.u = jax.random.randint(k[2], (ROWS,), 0, NUM_CLASSES)
        self.d = jnp.arange(ROWS) % 3
        self.soft = jnp.zeros((ROWS, NUM_CLASSES))

    def generate(self, params):
        codes = jax.nn.one_hot(self.u, NUM_CLASSES), jax.nn.one_hot(self.d, 3)
        return self.nets.generator.apply({"params": params}, self.z, *codes)

    def run(self, system, phase):
        """The state after a phase, its metrics and what else it returns."""
        i, k, p = self, jax.random.key(9), system.phases

        @jax.jit
        def run(s):
            if phase == "autoencoder":
                return p.autoencoder(s, k, i.x)
            if phase == "inference":
                return p.inference(s, k, i.x, i.u, i.d, i.z, i.soft)
            fake, pullback = jax.vjp(i.generate, s.params["generator"])
            if phase == "critic":
                return p.critic(s, k, i.x, fake)
            return p.generator(s, fake, pullback, i.u, i.d)

        return run(self.state)


@pytest.fixture(scope="module")
def inputs(system):
    return Inputs(system)


@pytest.mark.parametrize(
    ("phase", "trains"),
    [
        ("critic", {"critic"}),
        ("generator", {"generator"}),
        ("autoencoder", {"encoder", "generator"}),
        ("inference", {"class", "domain"}),
    ],
)
def test_a_phase_trains_its_networks_and_leaves_all_else_bit_identical(
    system, inputs, phase, trains
):
    before = inputs.state
    after = inputs.run(system, phase)[0]
    for name in NETWORKS - trains:
        assert_equal(before.params[name], after.params[name])
    for name in trains:
        assert not same(before.params[name], after.params[name]), name
    for other in set(before.opt) - {phase}:
        assert_equal(before.opt[other], after.opt[other])
    assert_equal(before.replay, after.replay)
    assert_equal(before.ema, after.ema)


def test_joint_inference_lets_the_autoencoder_train_the_inference_models():
    system = System(**{"loss.joint_inference": True})
    inputs = Inputs(system)
    after, metrics, _ = inputs.run(system, "autoencoder")
    for name in ("class", "domain"):
        assert not same(inputs.state.params[name], after.params[name])
    assert "kl/u" in metrics


def test_critic_objective_against_its_formula(system, inputs):
    @jax.jit
    def objective(params):  # an argument, so that the compiler does not fold it as a constant
        def critic(images):
            return system.nets.critic.apply({"params": params["critic"]}, images)

        fake = inputs.generate(params["generator"])
        penalty = losses.gradient_penalty(critic, inputs.x, fake, jax.random.key(9)).mean()
        return critic(fake).mean() - critic(inputs.x).mean() + system.hp.gp * penalty

    _, metrics = inputs.run(system, "critic")
    np.testing.assert_allclose(metrics["loss/critic"], objective(inputs.state.params), rtol=1e-5)


def test_the_pulled_back_generator_gradient_is_the_gradient_of_the_whole_objective():
    """Computed here in one piece, through the generator; plain descent of rate 1 shows it."""
    system = System(**{"loss.info": 0.7})
    inputs = Inputs(system)
    nets, params, u, d = system.nets, inputs.state.params, inputs.u, inputs.d

    @jax.jit
    @jax.grad
    def expected(generator, params):
        fake = inputs.generate(generator)
        code, _ = nets.encoder.apply({"params": params["encoder"]}, fake)
        log_u = jax.nn.log_softmax(nets.class_model.apply({"params": params["class"]}, fake))
        log_d = jax.nn.log_softmax(nets.domain.apply({"params": params["domain"]}, code))
        info = -log_u[jnp.arange(ROWS), u].mean() - log_d[jnp.arange(ROWS), d].mean()
        return -nets.critic.apply({"params": params["critic"]}, fake).mean() + 0.7 * info

    system.phases.tx["generator"] = optax.sgd(1.0)
    inputs.state.opt["generator"] = optax.sgd(1.0).init({"generator": params["generator"]})
    after, _ = inputs.run(system, "generator")
    jax.tree.map(
        lambda g, old, new: np.testing.assert_allclose(old - new, g, rtol=1e-2, atol=1e-6),
        expected(params["generator"], params),
        params["generator"],
        after.params["generator"],
    )


def test_autoencoder_objective_against_its_formula(inputs):
    system = System(**{"loss.beta": 0.5, "loss.beta_d": 2.0})
    params = inputs.state.params
    _, m, z = inputs.run(system, "autoencoder")
    mean, std = system.nets.encoder.apply({"params": params["encoder"]}, inputs.x)
    kl = losses.kl_normal(mean, std).mean()
    logits = system.nets.domain.apply({"params": params["domain"]}, z)
    expected = m["loss/reconstruction"] + 0.5 * kl + 2.0 * losses.kl_uniform(logits).mean()
    np.testing.assert_allclose(m["loss/autoencoder"], expected, rtol=1e-5)
    noise = (z - mean) / std  # z~ is reparameterised: its noise is standard normal
    assert abs(float(noise.mean())) < 0.3
    assert 0.8 < float(noise.std()) < 1.2


def linear_inference(system, **hyper):
    """Phase 4 over linear models of the image and the code, and a list of the images they saw."""
    seen, rng = [], np.random.default_rng(0)

    def apply(name, params, inputs, train=False, rngs=None):
        if name == "class":
            seen.append(np.asarray(inputs))
        return inputs.reshape(len(inputs), -1) @ params[name]

    sizes = {"class": (16 * 16, NUM_CLASSES), "domain": (system.nets.code_size, 3)}
    params = {name: jnp.float32(0.1 * rng.normal(size=size)) for name, size in sizes.items()}
    phase = phases.Phases(
        types.SimpleNamespace(class_model=apply, apply=apply),
        {"inference": optax.sgd(1.0)},
        dataclasses.replace(system.hp, **hyper),
    )
    opt = {"inference": optax.sgd(1.0).init(params)}
    return phase, system.init().replace(params=params, opt=opt), seen


def test_inference_objective_against_its_formula(system, inputs, key):
    """Of eight rows, three carry a soft label and one carries none; linear models stand in."""
    phase, s, _ = linear_inference(system, class_noise=0.0, soft_labels=True, soft_temperature=2.0)
    u = inputs.u.at[7].set(-1)
    soft = jax.nn.softmax(jax.random.normal(key, (ROWS, NUM_CLASSES))).at[3:].set(0.0)
    _, metrics = phase.inference(s, key, inputs.x, u, inputs.d, inputs.z, soft)

    def log_softmax(logits):
        return logits - np.log(np.exp(logits).sum(-1, keepdims=True))

    logits = np.float64(inputs.x).reshape(ROWS, -1) @ np.float64(s.params["class"])
    hard = -log_softmax(logits)[np.arange(3, 7), u[3:7]]
    distilled = -4 * (soft[:3] * log_softmax(logits[:3] / 2)).sum(-1)
    expected = (hard.sum() + distilled.sum()) / 7
    np.testing.assert_allclose(metrics["loss/class"], expected, rtol=1e-5)
    domain = np.float64(inputs.z) @ np.float64(s.params["domain"])
    expected = -log_softmax(domain)[np.arange(ROWS), inputs.d].mean()
    np.testing.assert_allclose(metrics["loss/domain"], expected, rtol=1e-5)


def test_the_class_model_learns_from_images_with_noise(system, inputs, key):
    i = inputs
    for deviation in (0.0, 0.3):
        phase, s, seen = linear_inference(system, class_noise=deviation)
        phase.inference(s, key, i.x, i.u, i.d, i.z, i.soft)
        noise = seen[0] - i.x
        np.testing.assert_allclose([noise.mean(), noise.std()], [0.0, deviation], atol=0.02)


def test_rows_without_a_label_do_not_train_the_class_model(system):
    inputs = Inputs(system)
    inputs.u = jnp.full(ROWS, -1)
    after, metrics = inputs.run(system, "inference")
    assert_equal(inputs.state.params["class"], after.params["class"])
    assert float(metrics["loss/class"]) == 0.0
    # One labelled row of eight counts in full: the mean is over the labelled rows.
    inputs.u = inputs.u.at[0].set(2)
    _, metrics = inputs.run(system, "inference")
    np.testing.assert_allclose(metrics["loss/class"], np.log(NUM_CLASSES), rtol=0.05)


def test_fakes_come_from_standard_normal_codes_and_their_rows_classes(system, monkeypatch, key):
    """The generator is replaced by one that shows its inputs."""
    monkeypatch.setattr(steps.replay, "generate", lambda nets, params, z, u, d: params * z)
    u = jnp.tile(jnp.array([-1, 2]), 1000)
    d = jnp.zeros(2000, jnp.int32)
    mask = jnp.array([[1, 1, 0, 0]], bool)
    drawing = replay.Drawing(mask, "drawn", temperature=1.0, spread=1.5)
    z, _, u_fake = steps.draw_fake(system.nets, jnp.float32(1.0), {}, key, u, d, drawing)
    np.testing.assert_allclose([z.mean(), z.std()], [0.0, 1.0], atol=0.01)
    assert (u_fake[1::2] == 2).all()
    assert set(u_fake[::2].tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("strategy", "still"),
    [
        pytest.param("gan_replay", "encoder", marks=pytest.mark.slow),  # test_train.py has a run
        ("vae_replay", "critic"),
    ],
)
def test_a_family_of_earlier_work_leaves_out_its_phases(strategy, still, key):
    system = System(strategy=strategy)
    before = system.init()
    after, metrics = jax.jit(system.step)(before, key, make_batch())
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
    rate = jax.jit(steps.learning_rate(0.5, 0.4, (10, 30), updates=2))
    counts = np.arange(60, dtype=np.int32)
    step = counts // 2
    left = np.where(step < 10, (10 - step) / 10, (30 - step) / 20)
    expected = 0.5 * np.minimum(left / 0.4, 1)
    np.testing.assert_allclose([rate(c) for c in counts], expected, rtol=1e-6)
    assert float(rate(np.int32(1000))) == 0.0  # a count past the last task's end
    constant = steps.learning_rate(0.5, 0.0, (10, 30), updates=1)
    assert {float(constant(c)) for c in counts} == {0.5}


@pytest.fixture(scope="module")
def jitted(system):
    traces = []

    def counted(s, k, batch):
        traces.append(1)
        return system.step(s, k, batch)

    return jax.jit(counted), traces


def test_one_trace_serves_all_tasks_and_replay_stays_bit_identical(system, jitted):
    step, traces = jitted
    s = system.init()
    for task in range(3):
        if task:
            s = state.begin_task(s)
        frozen = jax.tree.map(np.asarray, s.replay)
        for i in range(2):
            s, metrics = step(s, jax.random.key(7), make_batch(i, task, ROWS // (task + 1)))
        assert_equal(frozen, s.replay)
        assert all(np.isfinite(v) for v in metrics.values())
    assert len(traces) == 1
    assert (int(s.step), int(s.task)) == (6, 2)


def test_begin_task_freezes_the_averaged_generator_in_buffers_of_its_own(system, jitted):
    s, _ = jitted[0](system.init(), jax.random.key(7), make_batch())
    frozen = state.begin_task(s)
    live = {"generator": s.ema, "class": s.params["class"], "codes": s.codes}
    assert_equal(frozen.replay, live)
    taken = jax.tree.leaves(frozen.params) + jax.tree.leaves(frozen.ema)
    pointers = {leaf.unsafe_buffer_pointer() for leaf in taken}
    assert pointers.isdisjoint(
        leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(frozen.replay)
    )
    without = state.begin_task(s.replace(ema={}))
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
        averaged = steps.update_ema(s, decay).ema
        jax.tree.map(
            lambda a, e, r=rate: np.testing.assert_allclose(a, e + r, rtol=1e-5, atol=1e-5),
            averaged,
            s.ema,
        )
    assert steps.update_ema(s.replace(ema={}), 0.9).ema == {}


def test_a_step_without_classes_with_two_critic_updates_and_without_an_average(key):
    system = System(num_classes=0, **{"loss.n_critic": 2, "ema_decay": 0.0})
    s = system.init()
    after, metrics = jax.jit(system.step)(s, key, make_batch(labelled=False))
    assert set(after.params) == NETWORKS - {"class"}
    assert not any(same(s.params[name], after.params[name]) for name in after.params)
    assert "train/loss/class" not in metrics
    assert after.ema == {}
    counts = {phase: int(opt[0].count) for phase, opt in after.opt.items()}
    assert counts == {"critic": 2, "generator": 1, "autoencoder": 1, "inference": 1}


def test_each_optimiser_setting_reaches_its_phase():
    """A vanishing learning rate stops the networks of that phase."""
    tiny = {"name": "rmsprop", "learning_rate": 1e-30, "b1": 0.0, "b2": 0.9}
    system = System(**{f"optim.critic.{k}": v for k, v in tiny.items()})
    inputs = Inputs(system)
    after, _ = inputs.run(system, "critic")
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-20),
        inputs.state.params["critic"],
        after.params["critic"],
    )


@pytest.mark.parametrize("classes", [1, 2])
def test_moments_of_codes_move_for_the_classes_and_tasks_in_the_batch_only(classes):
    """With one column, as where there are no classes, rows without a label count too."""
    rng = np.random.default_rng(0)
    cells = 3, classes
    factor = np.tril(rng.normal(size=(*cells, 5, 5)), -1) + np.eye(5)
    codes = {"mean": rng.normal(size=(*cells, 5)), "factor": factor}
    z, d = rng.normal(size=(8, 5)), np.array([0, 2, 2, 0, 2, 2, 2, 2])
    u = np.array([1, 1, 0, -1, 0, 1, 1, -1]) if classes == 2 else np.full(8, -1)
    before = jax.tree.map(jnp.float32, codes)
    moved = steps.update_codes(before, jnp.float32(z), u, d, 0.9)
    for cell in np.ndindex(cells):
        rows = z[(d == cell[0]) & ((u == cell[1]) | (classes == 1))]
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
    assert steps.update_codes({}, z, u, d, 0.9) == {}


def test_several_steps_in_one_call_are_the_same_steps_one_by_one():
    """A step that shows all that it was given, its number included."""

    def step(s, k, batch):
        seen = jnp.stack([batch.x.sum(), batch.u.sum(), batch.d.sum(), batch.n_real, s["step"]])
        return {"step": s["step"] + 1, "sum": s["sum"] + seen}, {"seen": seen}

    rng = np.random.default_rng(0)
    pool = [rng.integers(0, 100, shape).astype(np.int32) for shape in ((20, 2, 2, 1), 20, 20)]
    rows = rng.integers(0, 20, (4, 6)).astype(np.int32)
    zero = {"step": np.int32(0), "sum": np.zeros(5, np.int32)}
    key = jax.random.key(7)
    for count in (1, 3, 4):
        s = zero
        for i in range(count):
            s, expected = step(s, key, replay.Batch(*(c[rows[i]] for c in pool), np.int32(5)))
        steps_ = jax.jit(steps.make_train_steps(step))
        together = steps_(zero, key, pool, rows, np.int32(5), np.int32(count))
        assert_equal(together, (s, expected))
        single = steps_(zero, key, pool, rows[:1], np.int32(5), np.int32(1))
        assert single[1]["seen"][0] == pool[0][rows[0]].sum()


def test_bfloat16_networks_in_a_loop_keep_float32_parameters_and_losses(system, jitted):
    """What a GPU or TPU runs: the losses of the first step are close to those of float32."""
    half = System(compute_dtype="bfloat16")
    batch = make_batch()
    rows = np.stack([np.arange(ROWS, dtype=np.int32)] * 2)
    loop = jax.jit(steps.make_train_steps(half.step))
    s, metrics = loop(half.init(), jax.random.key(7), batch[:3], rows, np.int32(ROWS), np.int32(1))
    assert {a.dtype for a in jax.tree.leaves(s.params)} == {jnp.dtype("float32")}
    assert {a.dtype for a in metrics.values()} == {jnp.dtype("float32")}
    _, expected = jitted[0](system.init(), jax.random.key(7), batch)
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=0.05, atol=0.02)
    assert any(metrics[name] != value for name, value in expected.items())
