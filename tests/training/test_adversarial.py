"""What critic and generator descend, against formulas in NumPy with a critic that is a polynomial.

D(x, v) = a |x|^2 / 2 + the sum of x + v: its slope at x is a x + 1.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lgaa_jax.training import adversarial

A, WEIGHT, AT_FAKE = 0.3, 0.7, 0.2
RNG = np.random.default_rng(0)
X, FAKE = (RNG.normal(size=(5, 4, 4, 1)).astype(np.float32) for _ in range(2))
CODE = np.arange(5, dtype=np.float32)[:, None]


def score(x, code):
    return 0.5 * A * jnp.sum(x**2, (1, 2, 3)) + jnp.sum(x, (1, 2, 3)) + code[:, 0]


def by_hand():
    """Scores and squared slopes of X and of FAKE, in float64."""
    for x in (np.float64(X), np.float64(FAKE)):
        yield 0.5 * A * (x**2).sum((1, 2, 3)) + x.sum((1, 2, 3)) + CODE[:, 0]
        yield ((A * x + 1) ** 2).sum((1, 2, 3))


def critic_loss(kind, at_fake=AT_FAKE):
    loss = jax.jit(adversarial.critic_loss, static_argnums=(0, 1, 6))
    return loss(kind, score, X, FAKE, (CODE,), jax.random.key(3), (WEIGHT, at_fake))


@pytest.mark.parametrize("at_fake", [AT_FAKE, 0.0])
def test_the_hinge_and_the_relativistic_loss_with_the_slopes_at_both(at_fake):
    real, slope, fake, slope_fake = by_hand()
    penalty = (WEIGHT * slope.mean() + at_fake * slope_fake.mean()) / 2
    for kind, error in (
        ("hinge", np.maximum(1 + fake, 0) + np.maximum(1 - real, 0)),
        ("relativistic", np.log1p(np.exp(fake - real))),
    ):
        loss, metrics = critic_loss(kind, at_fake)
        np.testing.assert_allclose(loss, error.mean() + penalty, rtol=1e-5)
        slopes = slope.mean() + (slope_fake.mean() if at_fake else 0)
        np.testing.assert_allclose(metrics["gradient_penalty"], slopes, rtol=1e-5)
        np.testing.assert_allclose(metrics["wasserstein"], real.mean() - fake.mean(), rtol=1e-5)


@pytest.mark.parametrize(("at_fake", "forwards"), [(AT_FAKE, 1), (0.0, 2)])
def test_scores_and_slopes_at_both_are_of_one_forward(at_fake, forwards):
    seen = []

    def counted(x, code):
        seen.append(len(x))
        return score(x, code)

    adversarial.critic_loss("hinge", counted, X, FAKE, (CODE,), None, (WEIGHT, at_fake))
    assert seen == [10, 5][:forwards]


def test_the_distance_with_the_slope_between_the_images():
    real, _, fake, _ = by_hand()
    eps = np.asarray(jax.random.uniform(jax.random.key(3), (5, 1, 1, 1)))
    norm = np.sqrt(((A * (eps * X + (1 - eps) * FAKE) + 1) ** 2).sum((1, 2, 3)))
    expected = fake.mean() - real.mean() + WEIGHT * ((norm - 1) ** 2).mean()
    np.testing.assert_allclose(critic_loss("wgan_gp")[0], expected, rtol=1e-4)


@pytest.mark.parametrize("kind", adversarial.KINDS)
def test_the_generator_raises_the_scores_of_its_images(kind):
    real, _, fake, _ = by_hand()
    expected = {"relativistic": np.log1p(np.exp(real - fake)).mean()}.get(kind, -fake.mean())
    loss = adversarial.generator_loss(kind, score, X, FAKE, (CODE,))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
