"""What each phase trains and leaves alone, and its objective computed another way."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import BATCH_SIZE, NETWORKS, NUM_CLASSES, NUM_TASKS, System, assert_equal, same

from lgaa_jax.training import losses, phases
from lgaa_jax.training.batch import Examples


class Inputs:
    """A system, its state, and images and codes that are the same for all systems."""

    def __init__(self, system):
        self.nets, self.state, self.phases = system.nets, system.init(), system.phases
        self._done = {}
        k = jax.random.split(jax.random.key(5), 3)
        self.x = jax.random.uniform(k[0], (BATCH_SIZE, *system.nets.image_shape), minval=-1.0)
        self.z = jax.random.normal(k[1], (BATCH_SIZE, system.nets.code_size))
        self.u = jax.random.randint(k[2], (BATCH_SIZE,), 0, NUM_CLASSES)
        self.d = jnp.arange(BATCH_SIZE) % 3
        self.classed = jnp.ones(BATCH_SIZE, bool)
        self.soft = jnp.zeros((BATCH_SIZE, NUM_CLASSES))

    def generate(self, params):
        codes = jax.nn.one_hot(self.u, NUM_CLASSES), jax.nn.one_hot(self.d, 3)
        return self.nets.generator.apply({"params": params}, self.z, *codes)

    def run(self, phase):
        """The state after a phase, its metrics and what else it returns; computed once."""
        if phase not in self._done:
            self._done[phase] = self._run(phase)
        return self._done[phase]

    def _run(self, phase):
        i, k, p = self, jax.random.key(9), self.phases

        @jax.jit
        def run(state):
            if phase == "autoencoder":
                return p.autoencoder(state, k, i.x, i.classed)
            if phase == "inference":
                return p.inference(state, k, Examples(i.x, i.u, i.d, i.soft), i.z)
            fake, pullback = jax.vjp(i.generate, state.params["generator"])
            if phase == "critic":
                return p.critic(state, k, i.x, fake, i.u, i.d)
            return p.generator(state, fake, pullback, i.u, Examples(i.x, i.u, i.d, i.soft))

        return run(self.state)


@pytest.fixture(scope="module")
def inputs(system):
    return Inputs(system)


@pytest.fixture(scope="module")
def other():
    """In colour, with weights of its own for all terms, and a critic that hardly learns."""
    optim = {"name": "rmsprop", "learning_rate": 1e-30, "b1": 0.0, "b2": 0.9}
    weights = {"loss.beta": 0.5, "loss.beta_u": 3.0, "loss.beta_d": 2.0, "loss.chroma": 4.0}
    return Inputs(
        System(
            **{f"optim.critic.{k}": v for k, v in optim.items()},
            **weights,
            **{"loss.joint_inference": True, "data.channels": 3},
        )
    )


@pytest.mark.parametrize("phase", ["critic", "inference"])
def test_a_rate_scales_the_update_of_a_phase_and_nothing_else(inputs, phase):
    (after, metrics), slow = inputs.run(phase)[:2], Inputs.__new__(Inputs)
    slow.__dict__.update(inputs.__dict__)
    slow.phases = dataclasses.replace(inputs.phases, rate=jnp.float32(0.25))
    slower, slower_metrics = slow._run(phase)[:2]
    jax.tree.map(
        lambda p, a, b: np.testing.assert_allclose(b - p, 0.25 * (a - p), rtol=1e-3, atol=1e-7),
        inputs.state.params,
        after.params,
        slower.params,
    )
    assert not same(after.params, slower.params)
    for one, other in ((after.opt, slower.opt), (metrics, slower_metrics)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), one, other)


@pytest.mark.parametrize(
    ("phase", "trains"),
    [
        ("critic", {"critic"}),
        ("generator", {"generator"}),
        ("autoencoder", {"encoder", "generator"}),
        ("inference", {"class", "domain"}),
    ],
)
def test_a_phase_trains_its_networks_and_leaves_all_else_bit_identical(inputs, phase, trains):
    before = inputs.state
    after = inputs.run(phase)[0]
    for name in NETWORKS - trains:
        assert_equal(before.params[name], after.params[name])
    for name in trains:
        assert not same(before.params[name], after.params[name]), name
    for other in set(before.opt) - {phase}:
        assert_equal(before.opt[other], after.opt[other])
    assert_equal(before.replay, after.replay)
    assert_equal(before.ema, after.ema)


def test_joint_inference_lets_the_autoencoder_train_the_inference_models(other):
    after, metrics, *_ = other.run("autoencoder")
    assert "kl/u" in metrics
    for name in ("class", "domain", "encoder", "generator"):
        assert not same(other.state.params[name], after.params[name])
    assert_equal(other.state.params["critic"], after.params["critic"])


def test_each_optimiser_setting_reaches_its_phase(other):
    """A vanishing learning rate stops the networks of that phase."""
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-20),
        other.state.params["critic"],
        other.run("critic")[0].params["critic"],
    )


def test_critic_objective_against_its_formula(system):
    """With WGAN-GP; the formulas of the other losses are in test_adversarial.py."""
    inputs = Inputs(system)
    hyper = dataclasses.replace(system.hyper, adversarial_loss="wgan_gp")
    inputs.phases = phases.Phases(system.nets, system.tx, hyper)
    codes = jax.nn.one_hot(inputs.u, NUM_CLASSES), jax.nn.one_hot(inputs.d, NUM_TASKS)

    @jax.jit
    def objective(params):  # an argument, so that the compiler does not fold it as a constant
        def critic(images):
            return system.nets.critic.apply({"params": params["critic"]}, images, *codes)

        fake = inputs.generate(params["generator"])
        penalty = losses.gradient_penalty(critic, inputs.x, fake, jax.random.key(9)).mean()
        return critic(fake).mean() - critic(inputs.x).mean() + system.hyper.gp * penalty

    _, metrics = inputs.run("critic")
    np.testing.assert_allclose(metrics["loss/critic"], objective(inputs.state.params), rtol=1e-5)


def test_the_pulled_back_generator_gradient_is_the_gradient_of_the_whole_objective(system):
    """Computed here in one piece, through the generator; plain descent of rate 1 shows it."""
    inputs = Inputs(system)
    nets, params, u, d = system.nets, inputs.state.params, inputs.u, inputs.d

    @jax.jit
    @jax.grad
    def expected(generator, params):
        fake = inputs.generate(generator)
        code, _ = nets.encoder.apply({"params": params["encoder"]}, fake)
        log_u = jax.nn.log_softmax(nets.class_model.apply({"params": params["class"]}, fake))
        log_d = jax.nn.log_softmax(nets.domain.apply({"params": params["domain"]}, code))
        info = -log_u[jnp.arange(BATCH_SIZE), u].mean() - log_d[jnp.arange(BATCH_SIZE), d].mean()
        codes = jax.nn.one_hot(u, NUM_CLASSES), jax.nn.one_hot(d, NUM_TASKS)
        score = nets.critic.apply({"params": params["critic"]}, fake, *codes)
        return -score.mean() + 0.7 * info

    inputs.phases = phases.Phases(
        nets, {"generator": optax.sgd(1.0)}, dataclasses.replace(system.hyper, info=0.7)
    )
    inputs.state.opt["generator"] = optax.sgd(1.0).init({"generator": params["generator"]})
    after = inputs.run("generator")[0]
    gradient = expected(params["generator"], params)
    jax.tree.map(
        lambda g, old, new: np.testing.assert_allclose(old - new, g, rtol=1e-2, atol=1e-6),
        gradient,
        params["generator"],
        after.params["generator"],
    )


def test_autoencoder_objective_against_its_formula(other):
    nets, params = other.nets, other.state.params
    _, m, z, z_mean = other.run("autoencoder")
    mean, std = nets.encoder.apply({"params": params["encoder"]}, other.x)
    np.testing.assert_allclose(z_mean, mean, atol=1e-5)
    kl_z = losses.kl_normal(mean, std).mean()
    kl_d = losses.kl_uniform(nets.domain.apply({"params": params["domain"]}, z)).mean()
    kl_u = losses.kl_uniform(nets.class_model.apply({"params": params["class"]}, other.x)).mean()
    expected = m["loss/reconstruction"] + 0.5 * kl_z + 2.0 * kl_d + 3.0 * kl_u
    expected += 4.0 * m["loss/chroma"]
    assert m["loss/chroma"] > 1
    np.testing.assert_allclose(m["loss/autoencoder"], expected, rtol=1e-5)
    noise = (z - mean) / std  # z~ is reparameterised: its noise is standard normal
    assert abs(float(noise.mean())) < 0.3
    assert 0.8 < float(noise.std()) < 1.2


def test_rows_of_a_task_without_classes_have_neither_a_class_code_nor_its_divergence(
    system, inputs
):
    """Linear models stand in, and a generator whose pixels are the sum of the class code."""

    def apply(name, params, *given):
        if name == "generator":
            return params[name] * jnp.broadcast_to(given[1].sum(-1)[:, None, None, None], x.shape)
        output = given[0].reshape(BATCH_SIZE, -1) @ params[name]
        return (output, jnp.ones_like(output)) if name == "encoder" else output

    x, rng = inputs.x, np.random.default_rng(0)
    sizes = {"encoder": (256, 16), "class": (256, NUM_CLASSES), "domain": (16, 3), "generator": ()}
    params = {name: jnp.float32(0.1 * rng.normal(size=size)) for name, size in sizes.items()}
    params["generator"] = jnp.float32(1.0)
    hp = dataclasses.replace(system.hyper, joint_inference=True)
    tx = {"autoencoder": optax.sgd(1.0)}
    phase = phases.Phases(types.SimpleNamespace(class_model=apply, apply=apply), tx, hp)
    opt = {"autoencoder": tx["autoencoder"].init(params)}
    state = inputs.state.replace(params=params, opt=opt)
    classed = jnp.arange(BATCH_SIZE) % 2 == 0
    _, metrics, *_ = phase.autoencoder(state, jax.random.key(9), x, classed)
    error = jnp.square(x - classed.astype(jnp.float32)[:, None, None, None]).sum() / BATCH_SIZE
    np.testing.assert_allclose(metrics["loss/reconstruction"], error, rtol=1e-5)
    kl = losses.kl_uniform(apply("class", params, x))[::2].sum() / BATCH_SIZE
    np.testing.assert_allclose(metrics["kl/u"], kl, rtol=1e-5)


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
        dataclasses.replace(system.hyper, **{"class_shift": 0.0, **hyper}),
    )
    opt = {"inference": optax.sgd(1.0).init(params)}
    return phase, system.init().replace(params=params, opt=opt), seen


def test_inference_objective_against_its_formula(system, inputs, key):
    """Of eight rows, three carry a soft label and one carries none; linear models stand in."""
    phase, state, _ = linear_inference(
        system, class_noise=0.0, soft_labels=True, soft_temperature=2.0
    )
    u = inputs.u.at[7].set(-1)
    soft = jax.nn.softmax(jax.random.normal(key, (BATCH_SIZE, NUM_CLASSES))).at[3:].set(0.0)
    _, metrics = phase.inference(state, key, Examples(inputs.x, u, inputs.d, soft), inputs.z)

    def log_softmax(logits):
        return logits - np.log(np.exp(logits).sum(-1, keepdims=True))

    logits = np.float64(inputs.x).reshape(BATCH_SIZE, -1) @ np.float64(state.params["class"])
    hard = -log_softmax(logits)[np.arange(3, 7), u[3:7]]
    distilled = -4 * (soft[:3] * log_softmax(logits[:3] / 2)).sum(-1)
    expected = (hard.sum() + distilled.sum()) / 7
    np.testing.assert_allclose(metrics["loss/class"], expected, rtol=1e-5)
    domain = np.float64(inputs.z) @ np.float64(state.params["domain"])
    expected = -log_softmax(domain)[np.arange(BATCH_SIZE), inputs.d].mean()
    np.testing.assert_allclose(metrics["loss/domain"], expected, rtol=1e-5)


def test_without_labels_the_class_model_learns_what_was_asked_of_the_generator(system, inputs, key):
    """Half of the rows are replay, with labels; the others have to be spread over the classes."""
    hyper = {"infers_classes": True, "balance": 2.0, "info": 3.0, "class_noise": 0.0}
    phase, state, _ = linear_inference(system, **hyper)
    i, u = inputs, inputs.u.at[:4].set(-1)
    fake, asked = -i.x, (i.u + 1) % NUM_CLASSES
    after, metrics = phase.inference(state, key, Examples(i.x, u, i.d, i.soft), i.z, (fake, asked))

    def softmax(images):
        e = np.exp(np.float64(images).reshape(BATCH_SIZE, -1) @ np.float64(state.params["class"]))
        return e / e.sum(-1, keepdims=True)

    mean = softmax(i.x)[:4].mean(0)
    balance = (mean * np.log(mean * NUM_CLASSES)).sum()
    np.testing.assert_allclose(metrics["kl/balance"], balance, rtol=1e-4)
    error = -np.log(softmax(fake))[np.arange(BATCH_SIZE), asked].mean()
    np.testing.assert_allclose(metrics["loss/asked"], error, rtol=1e-5)

    def objective(weights):
        def log_q(images):
            return jax.nn.log_softmax(images.reshape(len(images), -1) @ weights)

        mean = jnp.exp(log_q(i.x[:4])).mean(0)
        loss = 2.0 * jnp.sum(mean * jnp.log(mean * NUM_CLASSES))
        loss -= 3.0 * jnp.mean(log_q(fake)[jnp.arange(BATCH_SIZE), asked])
        return loss - jnp.mean(log_q(i.x[4:])[jnp.arange(4), u[4:]])

    descended = state.params["class"] - jax.grad(objective)(state.params["class"])  # at a rate of 1
    np.testing.assert_allclose(after.params["class"], descended, rtol=1e-3, atol=1e-5)


def test_without_labels_phase_3_trains_the_class_model_but_not_the_domain_model(system):
    hp = dataclasses.replace(system.hyper, infers_classes=True)
    trained = phases.trained_networks(system.nets, hp)["autoencoder"]
    assert set(trained) == {"encoder", "generator", "class"}


def test_the_class_model_learns_from_images_with_noise(system, inputs, key):
    i = inputs
    for deviation in (0.0, 0.3):
        phase, state, seen = linear_inference(system, class_noise=deviation)
        phase.inference(state, key, Examples(i.x, i.u, i.d, i.soft), i.z)
        noise = seen[0] - i.x
        np.testing.assert_allclose([noise.mean(), noise.std()], [0.0, deviation], atol=0.02)


def test_the_class_model_learns_from_images_that_are_moved(system, inputs, key):
    """A ramp moved along its columns changes by as much within, and up to as much as was said."""
    i = inputs
    ramp = jnp.broadcast_to(jnp.arange(16.0)[None, None, :, None], i.x.shape)
    phase, state, seen = linear_inference(system, class_shift=1.5)
    phase.inference(state, key, Examples(ramp, i.u, i.d, i.soft), i.z)
    moved = np.asarray(seen[0] - ramp)[:, 4:12, 4:12, 0].reshape(BATCH_SIZE, -1)
    np.testing.assert_allclose(moved, moved[:, :1] * np.ones(64), atol=1e-4)
    assert 0.5 < np.ptp(moved[:, 0]) <= 3.0


def test_rows_without_a_label_do_not_train_the_class_model(system):
    inputs = Inputs(system)
    inputs.u = jnp.full(BATCH_SIZE, -1)
    after, metrics = inputs.run("inference")
    assert_equal(inputs.state.params["class"], after.params["class"])
    assert float(metrics["loss/class"]) == 0.0
    # One labelled row of eight counts in full: the mean is over the labelled rows.
    phase, state, _ = linear_inference(system, class_noise=0.0)
    u = inputs.u.at[0].set(2)
    _, metrics = phase.inference(
        state, jax.random.key(9), Examples(inputs.x, u, inputs.d, inputs.soft), inputs.z
    )
    log_q = jax.nn.log_softmax(inputs.x[0].reshape(-1) @ state.params["class"])
    np.testing.assert_allclose(metrics["loss/class"], -log_q[2], rtol=1e-4)


def test_a_conditional_critic_reads_the_classes_and_tasks_of_the_batch_in_both_phases():
    """Where they are other ones, so are the losses; also where a class is unknown."""
    inputs = Inputs(System(**{"loss.adversarial": "relativistic"}))
    phase, state, u, d = inputs.phases, inputs.state, inputs.u, inputs.d
    generator = state.params["generator"]
    fake = inputs.generate(generator)

    @jax.jit
    def both(u, d):
        _, critic = phase.critic(state, jax.random.key(9), inputs.x, fake, u, d)
        examples = Examples(inputs.x, u, d, inputs.soft)
        _, metrics = phase.generator(state, fake, lambda _: (generator,), inputs.u, examples)
        return critic["loss/critic"], metrics["loss/generator"]

    first = both(u, d)
    for changed in ((1 - u, d), (u, 2 - d), (u * 0 - 1, d)):
        assert all(a != b for a, b in zip(first, both(*changed), strict=True))
