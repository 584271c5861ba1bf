"""The optimisers of the phases and their learning rates."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax


def learning_rate(peak: float, warmup: float, decay: float, ends: Sequence[int]) -> optax.Schedule:
    """From the training step to the rate: `peak`, in each task after a rise and before a fall.

    Over the first share `warmup` of a task's steps it rises in a line. Adam's second moments are
    small at the end of a task, and the gradients of the next one large: with the whole rate at once
    its first updates are many times too large. Over the last share `decay` it falls towards 0, so
    that what the task change freezes has come to rest. ends: the step at which each task ends.
    """
    ends_ = np.array(ends)
    steps = np.diff(ends_, prepend=0)

    def schedule(step: jax.Array) -> jax.Array:
        task = jnp.minimum(jnp.searchsorted(ends_, step, side="right"), len(ends_) - 1)
        length = jnp.asarray(steps)[task]
        left = jnp.maximum(jnp.asarray(ends_)[task] - step, 0)
        done = length - left + 1  # with this step
        rise = done / (warmup * length) if warmup else 1.0
        fall = left / (decay * length) if decay else 1.0
        return peak * jnp.minimum(jnp.minimum(rise, fall), 1.0)

    return schedule if warmup or decay else optax.constant_schedule(peak)


def learning_rates(
    config: ml_collections.ConfigDict, ends: Sequence[int]
) -> dict[str, optax.Schedule]:
    """The learning rate of each phase by training step; `ends` as in `learning_rate`."""
    warmup, decay = config.learning_rate_warmup, config.learning_rate_decay
    return {
        phase: learning_rate(optim.learning_rate, warmup, decay, ends)
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
