"""What the class model q(u|x) learns from in phase 4."""

import jax
import jax.numpy as jnp

from lgaa_jax.training import losses
from lgaa_jax.training.hyper import Hyper


def class_terms(
    hyper: Hyper,
    logits: jax.Array,
    u: jax.Array,
    soft: jax.Array,
    fake: tuple[jax.Array, jax.Array] | None,
) -> tuple[dict[str, jax.Array], jax.Array]:
    """CE(q(u|x), u) over the labelled examples, what takes the place of labels, and their sum.

    Where an example has a soft label, that is the target instead of u. Where classes are to be
    found, the sum has also balance * KL(mean of q(u|x) over the unlabelled examples to uniform)
    and, with a fake batch, lambda_info * CE(q(u|G), u). logits: of the batch, then of the fake.
    """
    logits, of_fake = logits[: len(u)], logits[len(u) :]
    error = losses.cross_entropy(logits, u)
    if hyper.soft_labels:
        distilled = losses.distillation(logits, soft, hyper.soft_temperature)
        error = jnp.where(jnp.sum(soft, axis=-1) > 0, distilled, error)
    labelled = jnp.maximum(jnp.sum(u >= 0), 1).astype(jnp.float32)
    terms = {"loss/class": jnp.sum(error) / labelled}
    loss = terms["loss/class"]
    if hyper.infers_classes:
        terms["kl/balance"] = losses.kl_uniform(losses.mean_logits(logits, u < 0))
        loss += hyper.balance * terms["kl/balance"]
    if fake is not None:
        terms["loss/asked"] = jnp.mean(losses.cross_entropy(of_fake, fake[1]))
        loss += hyper.info * terms["loss/asked"]
    return terms, loss
