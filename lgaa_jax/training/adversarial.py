"""What the critic and the generator descend against each other, by `loss.adversarial`.

wgan_gp (published)  a distance of means under a penalised slope: Gulrajani et al. 2017.
hinge                Lim and Ye 2017, Miyato et al. 2018.
relativistic         softplus of the difference of a real and a fake score (Jolicoeur-Martineau
                     2019).

Of the last two the squared slopes at real images and at fakes are penalised: R1 and R2 (Mescheder
et al. 2018). With R1 alone the slope at the fakes grows until training breaks (Huang et al. 2024).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from lgaa_jax.training import losses
from lgaa_jax.training.devices import ONE_DEVICE, Layout

KINDS = ("wgan_gp", "hinge", "relativistic")

Score = Callable[..., jax.Array]  # of images [n, H, W, C] and, where D is conditioned, their codes


def critic_loss(
    kind: str,
    score: Score,
    x: jax.Array,
    fake: jax.Array,
    codes: tuple[jax.Array, ...],
    key: jax.Array,
    weights: tuple[float, float],
    layout: Layout = ONE_DEVICE,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The objective of phase 1 and its parts, means over the batch.

    x, fake: [B, H, W, C]; codes: of both, each [B, ...]; weights: of R1 and of R2, which are halved
    as is usual; of wgan_gp the first is lambda_gp; layout: where the rows lie.
    """
    # One forward over both sets is one larger convolution instead of two small ones.
    both, codes_of_both = layout.join(fake, x), tuple(layout.join(c, c) for c in codes)
    slope_at_both = kind != "wgan_gp" and weights[1] > 0
    if slope_at_both:
        scores, slopes = losses.with_squared_slope(lambda at: score(at, *codes_of_both), both)
        at_fake, at_x = map(jnp.mean, layout.part(slopes))
    else:
        scores = score(both, *codes_of_both)
    fake_score, real_score = layout.part(scores)
    distance = jnp.mean(real_score) - jnp.mean(fake_score)
    if kind == "wgan_gp":
        penalty = jnp.mean(losses.gradient_penalty(lambda at: score(at, *codes), x, fake, key))
        loss = weights[0] * penalty - distance
    else:
        if kind == "hinge":
            error = jax.nn.relu(1.0 + fake_score) + jax.nn.relu(1.0 - real_score)
        else:
            error = jax.nn.softplus(fake_score - real_score)
        if not slope_at_both:
            _, slopes = losses.with_squared_slope(lambda at: score(at, *codes), x)
            at_x, at_fake = jnp.mean(slopes), jnp.zeros(())
        penalty = at_x + at_fake
        loss = jnp.mean(error) + 0.5 * weights[0] * at_x + 0.5 * weights[1] * at_fake
    return loss, {"loss/critic": loss, "wasserstein": distance, "gradient_penalty": penalty}


def generator_loss(
    kind: str, score: Score, x: jax.Array, fake: jax.Array, codes: tuple[jax.Array, ...]
) -> jax.Array:
    """The adversarial term of phase 2, a mean over the batch. Arguments as in `critic_loss`."""
    if kind != "relativistic":
        return -jnp.mean(score(fake, *codes))
    return jnp.mean(jax.nn.softplus(score(x, *codes) - score(fake, *codes)))
