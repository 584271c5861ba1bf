"""The optimisers of the phases and their learning rates."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax


def learning_rate(peak: float, decay: float, ends: Sequence[int]) -> optax.Schedule:
    """From the training step to the rate: `peak`, falling in a line at the end of each task.

    It falls towards 0 over the last share `decay` of the task's steps, so that what the task change
    freezes has come to rest. ends: the step at which each task ends.
    """
    ends_ = np.array(ends)
    steps = np.diff(ends_, prepend=0)

    def schedule(step: jax.Array) -> jax.Array:
        task = jnp.minimum(jnp.searchsorted(ends_, step, side="right"), len(ends_) - 1)
        left = (jnp.asarray(ends_)[task] - step) / jnp.asarray(steps)[task]
        return peak * jnp.clip(left / decay, 0.0, 1.0)

    return schedule if decay else optax.constant_schedule(peak)


def learning_rates(
    config: ml_collections.ConfigDict, ends: Sequence[int]
) -> dict[str, optax.Schedule]:
    """The learning rate of each phase by training step; `ends` as in `learning_rate`."""
    decay = config.learning_rate_decay
    return {
        phase: learning_rate(optim.learning_rate, decay, ends)
        for phase, optim in config.optim.items()
    }


def optimisers(
    config: ml_collections.ConfigDict, rates: Mapping[str, optax.Schedule]
) -> dict[str, optax.GradientTransformation]:
    """One optimiser per phase; rates: as of `learning_rates`."""
    updates = dict.fromkeys(rates, 1) | {"critic": config.loss.n_critic}
    return {
        phase: _optimiser(optim, _by_count(rates[phase], updates[phase]))
        for phase, optim in config.optim.items()
    }


def _by_count(rate: optax.Schedule, updates: int) -> optax.Schedule:
    """The rate for an optimiser, which counts its updates: so many in each training step."""
    return lambda count: rate(count // updates)


def _optimiser(
    optim: ml_collections.ConfigDict, rate: optax.Schedule
) -> optax.GradientTransformation:
    if optim.name == "rmsprop":
        return optax.rmsprop(rate, decay=optim.b2, momentum=optim.b1 or None)
    return optax.adam(rate, b1=optim.b1, b2=optim.b2)


def gradient_norm(before: optax.OptState, after: optax.OptState, b1: float, b2: float) -> jax.Array:
    """The L2 norm of the gradients of one update, from the states of its optimiser: [] float32.

    Adam's first moment tells them, m' = b1 m + (1 - b1) g, and RMSProp's second one their squares.
    Taken of the gradients themselves, it would have XLA fuse the step in another way, and the state
    end in other last bits.
    """
    moment = "nu" if optax.tree_utils.tree_get(after, "mu") is None else "mu"
    moments = (optax.tree_utils.tree_get(state, moment) for state in (before, after))

    def square(old: jax.Array, new: jax.Array) -> jax.Array:
        if moment == "mu":
            return jnp.sum(jnp.square((new - b1 * old) / (1.0 - b1)))
        return jnp.sum(new - b2 * old) / (1.0 - b2)

    squares = jax.tree.leaves(jax.tree.map(square, *moments))
    return jnp.sqrt(jnp.maximum(sum(squares), 0.0))  # rounding may leave it below 0
