"""Each loss against NumPy, its gradient against finite differences, and both at extreme values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lgaa_jax.training import losses

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (4, 6, 6, 3)).astype(np.float32)
OTHERS = RNG.uniform(-1, 1, (4, 6, 6, 3)).astype(np.float32)
LOGITS = RNG.normal(size=(4, 5)).astype(np.float32) * 3


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_reconstruction_is_the_squared_error_summed_over_an_example():
    expected = [((a - b) ** 2).sum() for a, b in zip(IMAGES, OTHERS, strict=True)]
    np.testing.assert_allclose(losses.reconstruction(IMAGES, OTHERS), expected, rtol=1e-5)


def test_chroma_is_the_squared_error_along_two_axes_across_grey():
    error = (IMAGES - OTHERS).astype(np.float64)
    across = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])  # orthonormal, as is grey
    expected = np.square(error @ across.T).sum((1, 2, 3))
    np.testing.assert_allclose(losses.chroma(IMAGES, OTHERS), expected, rtol=1e-5)
    assert not losses.chroma(IMAGES[..., :1], OTHERS[..., :1]).any()


def test_kl_normal_agrees_with_a_monte_carlo_free_formula_and_is_zero_at_the_prior():
    mean, std = RNG.normal(size=(4, 7)), RNG.uniform(0.1, 2, (4, 7))
    expected = (np.log(1 / std) + (std**2 + mean**2) / 2 - 0.5).sum(-1)
    actual = losses.kl_normal(jnp.float32(mean), jnp.float32(std))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    assert float(jnp.max(losses.kl_normal(jnp.zeros((2, 3)), jnp.ones((2, 3))))) < 1e-6


def test_kl_uniform_lies_between_zero_and_log_k():
    q = softmax(LOGITS)
    np.testing.assert_allclose(
        losses.kl_uniform(LOGITS), (q * np.log(q * 5)).sum(-1), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(losses.kl_uniform(jnp.zeros((1, 10))), [0.0], atol=1e-6)
    certain = 100.0 * jax.nn.one_hot(jnp.array([3]), 10)
    np.testing.assert_allclose(losses.kl_uniform(certain), [np.log(10)], rtol=1e-6)


def test_mean_logits_are_those_of_the_mean_distribution_of_some_rows():
    rows = np.array([True, False, True, True])
    mean = softmax(LOGITS)[rows].mean(0)
    np.testing.assert_allclose(softmax(losses.mean_logits(LOGITS, rows)), mean, rtol=1e-5)
    # Certain rows that agree are as far from balance as can be, and their gradient is finite.
    certain = 1e4 * jnp.tile(jax.nn.one_hot(jnp.array([3]), 5), (4, 1))

    def balance(logits):
        return losses.kl_uniform(losses.mean_logits(logits, rows))

    np.testing.assert_allclose(balance(certain), np.log(5), rtol=1e-6)
    assert np.isfinite(jax.grad(balance)(certain)).all()


def test_cross_entropy_agrees_with_numpy_and_skips_rows_without_a_label():
    target = np.array([0, 4, -1, 2], np.int32)
    expected = -np.log(softmax(LOGITS))[np.arange(4), target] * (target >= 0)
    np.testing.assert_allclose(
        losses.cross_entropy(LOGITS, jnp.asarray(target)), expected, rtol=1e-5
    )


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_gradients_of_the_discrete_losses_are_finite_at_extreme_logits(scale):
    target = jnp.array([0, 1, 2, -1])
    for loss in (losses.kl_uniform, lambda x: losses.cross_entropy(x, target)):
        gradient = jax.grad(lambda x, f=loss: jnp.sum(f(x)))(scale * LOGITS)
        assert np.isfinite(gradient).all()


def test_distillation_is_least_at_the_tempered_distribution_and_keeps_its_gradients_size():
    logits = jnp.array([[1.0, -2.0, 0.5]])
    for temperature in (1.0, 2.0, 100.0):
        soft = jax.nn.softmax(logits / temperature)
        gradient = jax.grad(lambda x, p=soft, t=temperature: losses.distillation(x, p, t).sum())
        np.testing.assert_allclose(gradient(logits), np.zeros((1, 3)), atol=1e-4)
        # Hinton et al. 2015, eq. 4: at a high temperature, a third of the centred difference.
        size = gradient(logits + jnp.array([[0.3, 0.0, 0.0]]))
        if temperature == 100.0:
            np.testing.assert_allclose(size, [[0.2 / 3, -0.1 / 3, -0.1 / 3]], rtol=0.02)


def test_kl_normal_gradient_is_finite_for_a_vanishing_deviation():
    std = jnp.full((2, 3), 1e-12)
    assert np.isfinite(
        jax.grad(lambda s: jnp.sum(losses.kl_normal(jnp.zeros((2, 3)), s)))(std)
    ).all()


def test_gradient_penalty_of_a_linear_critic_is_known(key):
    """D(x) = <w, x> has the gradient w everywhere: the penalty is (|w| - 1)^2 over ALL pixels."""
    w = RNG.normal(size=(6, 6, 3)).astype(np.float32)

    def critic(x):
        return jnp.einsum("bhwc,hwc->b", x, w)

    penalty = losses.gradient_penalty(critic, IMAGES, OTHERS, key)
    np.testing.assert_allclose(penalty, np.full(4, (np.linalg.norm(w) - 1) ** 2), rtol=1e-4)


def test_gradient_penalty_mixes_each_example_by_its_own_weight(key):
    """D(x) = |x|^2 / 2 has the gradient x_hat, which tells the mixing weight of each row."""
    seen = []

    def critic(x):
        jax.debug.callback(lambda value: seen.append(np.asarray(value)), x)
        return jnp.sum(jnp.square(x), axis=(1, 2, 3)) / 2

    zeros, ones = jnp.zeros((4, 6, 6, 3)), jnp.ones((4, 6, 6, 3))
    penalty = losses.gradient_penalty(critic, ones, zeros, key)
    jax.effects_barrier()
    eps = seen[0][:, 0, 0, 0]
    assert len(set(eps.tolist())) == 4
    np.testing.assert_allclose(seen[0], np.broadcast_to(eps[:, None, None, None], seen[0].shape))
    np.testing.assert_allclose(penalty, (eps * np.sqrt(6 * 6 * 3) - 1) ** 2, rtol=1e-4)


def test_gradient_penalty_has_a_finite_gradient_where_the_critic_is_flat(key):
    def total(scale):
        return jnp.sum(
            losses.gradient_penalty(lambda x: scale * jnp.sum(x, (1, 2, 3)), IMAGES, OTHERS, key)
        )

    assert np.isfinite(jax.grad(total)(0.0))


def test_gumbel_softmax_samples_follow_the_distribution(key):
    logits = jnp.log(jnp.array([0.6, 0.3, 0.1]))
    samples = losses.gumbel_softmax(key, jnp.broadcast_to(logits, (20_000, 3)), 0.5)
    np.testing.assert_allclose(samples.sum(-1), np.ones(20_000), rtol=1e-5)
    counts = np.bincount(np.argmax(samples, -1), minlength=3) / 20_000
    np.testing.assert_allclose(counts, [0.6, 0.3, 0.1], atol=0.015)


def test_the_autoencoder_objective_falls_along_its_gradient():
    """Finite differences of the reconstruction term."""
    direction = RNG.normal(size=IMAGES.shape).astype(np.float32)
    gradient = jax.grad(lambda y: jnp.sum(losses.reconstruction(IMAGES, y)))(OTHERS)
    step = 1e-2
    up = losses.reconstruction(IMAGES, OTHERS + step * direction).sum()
    down = losses.reconstruction(IMAGES, OTHERS - step * direction).sum()
    np.testing.assert_allclose((up - down) / (2 * step), np.sum(gradient * direction), rtol=1e-3)
