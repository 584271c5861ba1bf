"""The optimisers of the phases and their learning rates."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax


def learning_rate(peak: float, decay: float, ends: Sequence[int], updates: int) -> optax.Schedule:
    """`peak`, but over the last share `decay` of each task's steps it falls linearly towards 0.

    So what the task change freezes has come to rest. ends: the step at which each task ends;
    updates: of this optimiser in one step.
    """
    ends_ = np.array(ends)
    steps = np.diff(ends_, prepend=0)

    def schedule(count: jax.Array) -> jax.Array:
        step = count // updates
        task = jnp.minimum(jnp.searchsorted(ends_, step, side="right"), len(ends_) - 1)
        left = (jnp.asarray(ends_)[task] - step) / jnp.asarray(steps)[task]
        return peak * jnp.clip(left / decay, 0.0, 1.0)

    return schedule if decay else optax.constant_schedule(peak)


def _optimiser(
    name: str, rate: optax.Schedule, b1: float, b2: float
) -> optax.GradientTransformation:
    if name == "rmsprop":
        return optax.rmsprop(rate, decay=b2, momentum=b1 or None)
    return optax.adam(rate, b1=b1, b2=b2)


def optimisers(
    config: ml_collections.ConfigDict, ends: Sequence[int]
) -> dict[str, optax.GradientTransformation]:
    """One optimiser per phase; `ends` as in `learning_rate`."""
    tx = {}
    for phase, optim in config.optim.items():
        updates = config.loss.n_critic if phase == "critic" else 1
        rate = learning_rate(optim.learning_rate, config.learning_rate_decay, ends, updates)
        tx[phase] = _optimiser(optim.name, rate, optim.b1, optim.b2)
    return tx
