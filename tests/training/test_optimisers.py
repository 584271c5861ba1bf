"""The learning rates of the phases, and the norm of their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import small_config

from lgaa_jax.training import optimisers


@pytest.mark.parametrize("warmup", [0.0, 0.3])
def test_learning_rates_rise_and_fall_in_each_task(warmup):
    """Tasks of 10 and 20 steps; over the last 40 % of each they fall in a line."""
    rate = jax.jit(optimisers.learning_rate(0.5, warmup, 0.4, (10, 30)))
    step = np.arange(30, dtype=np.int32)
    left = np.where(step < 10, (10 - step) / 10, (30 - step) / 20)
    expected = 0.5 * np.minimum(left / 0.4, 1)
    if warmup:
        expected[[0, 1, 2, 10, 11, 12]] = 0.5 * np.array([1 / 3, 2 / 3, 1, 1 / 6, 2 / 6, 3 / 6])
        expected[[13, 14, 15]] = 0.5 * np.array([4 / 6, 5 / 6, 1])
    np.testing.assert_allclose([rate(i) for i in step], expected, rtol=1e-6)
    assert float(rate(np.int32(1000))) == 0.0  # past the last task's end
    constant = optimisers.learning_rate(0.5, 0.0, 0.0, (10, 30))
    assert {float(constant(i)) for i in step} == {0.5}


def test_an_optimiser_of_two_updates_a_step_takes_the_rate_of_the_step():
    """By Adam's rule the first updates under a constant gradient are as large as the rate."""
    fall = {"learning_rate_warmup": 0.0, "learning_rate_decay": 0.5}
    config = small_config(**{"loss.n_critic": 2}, **fall)
    rates = optimisers.learning_rates(config, (4,))
    tx = optimisers.optimisers(config, rates)
    for phase, updates, peak in (("critic", 2, 2e-4), ("inference", 1, 1e-3)):
        state, taken = tx[phase].init(jnp.zeros(())), []
        for _ in range(4 * updates):
            update, state = tx[phase].update(jnp.ones(()), state)
            taken.append(-float(update))
        expected = peak * np.array([1.0, 1.0, 1.0, 0.5])
        np.testing.assert_allclose(taken, np.repeat(expected, updates), rtol=1e-4)
        np.testing.assert_allclose([rates[phase](i) for i in range(4)], expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
def test_the_norm_of_gradients_is_told_by_the_moments(name):
    """Of the third update, large ones before it."""
    given = {"name": name, "b1": 0.9 if name == "adam" else 0.0, "b2": 0.99}
    config = small_config(**{f"optim.critic.{k}": v for k, v in given.items()})
    tx = optimisers.optimisers(config, optimisers.learning_rates(config, (10,)))["critic"]
    rng = np.random.default_rng(0)
    params = {"w": rng.normal(size=(3, 4)).astype(np.float32), "b": np.float32(2.0)}
    state = tx.init(params)
    for scale in (10.0, 1.0, 0.1):
        grads = jax.tree.map(
            lambda p, s=scale: jnp.float32(s * rng.normal(size=np.shape(p))), params
        )
        before = state
        _, state = tx.update(grads, state, params)
    expected = np.sqrt(sum(np.sum(np.float64(g) ** 2) for g in grads.values()))
    norm = optimisers.gradient_norm(before, state, given["b1"], given["b2"])
    np.testing.assert_allclose(norm, expected, rtol=1e-5 if name == "adam" else 1e-3)
