"""Losses and divergences of the method, one value per example [B]; nothing here is averaged.

The phases that weigh them are in phases.py and, as equations, in docs/fidelity.md. The gradient
penalty is that of Gulrajani et al. 2017, the KL of the code that of Kingma and Welling 2014.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def gradient_penalty(
    critic: Callable[[jax.Array], jax.Array], x: jax.Array, fake: jax.Array, key: jax.Array
) -> jax.Array:
    """(norm of dD/dx_hat - 1)^2 at x_hat between real and fake, one mixing weight per example.

    The norm runs over ALL pixels of an example. critic: [B, H, W, C] -> [B]; x, fake: [B, H, W, C].
    """
    eps = jax.random.uniform(key, (x.shape[0], 1, 1, 1), x.dtype)
    x_hat = eps * x + (1.0 - eps) * fake
    gradient = jax.grad(lambda images: jnp.sum(critic(images)))(x_hat)
    # The small constant keeps the norm's derivative finite where the gradient vanishes.
    norm = jnp.sqrt(jnp.sum(jnp.square(gradient), axis=(1, 2, 3)) + 1e-12)
    return jnp.square(norm - 1.0)


def with_squared_slope(
    critic: Callable[[jax.Array], jax.Array], x: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """D(x), and |dD/dx|^2 over all pixels of an example (Mescheder et al. 2018).

    x: [B, H, W, C] -> [B] twice. Both are of one forward, so that the gradients of the two go back
    through it together.
    """
    score, pullback = jax.vjp(critic, x)
    (gradient,) = pullback(jnp.ones_like(score))
    return score, jnp.sum(jnp.square(gradient), axis=(1, 2, 3))


def distillation(logits: jax.Array, soft: jax.Array, temperature: float) -> jax.Array:
    """Cross-entropy with a distribution p: -T^2 sum p log softmax(logits / T). [B, U] twice -> [B].

    With the factor T^2 its gradients have one size at all temperatures (Hinton et al. 2015).
    """
    log_q = jax.nn.log_softmax(logits / temperature)
    return -(temperature**2) * jnp.sum(soft * log_q, axis=-1)


def reconstruction(x: jax.Array, x_rec: jax.Array) -> jax.Array:
    """Squared error SUMMED over pixels, images in [-1, 1]. [B, H, W, C] twice -> [B]."""
    return jnp.sum(jnp.square(x - x_rec), axis=(1, 2, 3))


def chroma(x: jax.Array, x_rec: jax.Array) -> jax.Array:
    """The part of `reconstruction` in which the channels differ. [B, H, W, C] twice -> [B].

    The squared error less that of the error's mean over the channels, repeated in all of them.
    """
    error = x - x_rec
    return jnp.sum(jnp.square(error - jnp.mean(error, axis=-1, keepdims=True)), axis=(1, 2, 3))


def kl_normal(mean: jax.Array, std: jax.Array) -> jax.Array:
    """KL(N(mean, std^2) to N(0, I)) in nats. [B, Z] twice -> [B]."""
    var = jnp.square(std)
    return 0.5 * jnp.sum(jnp.square(mean) + var - 1.0 - jnp.log(var + 1e-12), axis=-1)


def kl_uniform(logits: jax.Array) -> jax.Array:
    """KL(softmax(logits) to the uniform distribution) in nats, at most log K. [B, K] -> [B]."""
    log_q = jax.nn.log_softmax(logits)
    return jnp.sum(jnp.exp(log_q) * log_q, axis=-1) + jnp.log(float(logits.shape[-1]))


def mean_logits(logits: jax.Array, members: jax.Array) -> jax.Array:
    """Logits of the mean of softmax(logits) over some examples. [B, K], [B] bool -> [K]."""
    log_q = jax.nn.log_softmax(logits)
    return jax.nn.logsumexp(log_q, axis=0, where=members[:, None])


def cross_entropy(logits: jax.Array, target: jax.Array) -> jax.Array:
    """-log softmax(logits)[target] in nats; a negative target (no label) gives 0.

    logits: [B, K]; target: [B] int32 -> [B].
    """
    one_hot = jax.nn.one_hot(target, logits.shape[-1], dtype=logits.dtype)
    return -jnp.sum(one_hot * jax.nn.log_softmax(logits), axis=-1)


def gumbel_softmax(key: jax.Array, logits: jax.Array, temperature: float) -> jax.Array:
    """A relaxed one-hot sample of softmax(logits) (Jang et al. 2017). [B, K] -> [B, K]."""
    return jax.nn.softmax((logits + jax.random.gumbel(key, logits.shape)) / temperature)
