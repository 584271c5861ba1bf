"""One training step: the phases in their order, the average, and the optimisers."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from lgaa_jax import replay
from lgaa_jax.models import Nets
from lgaa_jax.phases import Hyper, Metrics, Phases
from lgaa_jax.replay import Batch, Drawing
from lgaa_jax.state import TrainState

JITTER = 1e-6  # added to the variances of codes, against rounding


def learning_rate(peak: float, decay: float, ends: Sequence[int], updates: int) -> optax.Schedule:
    """`peak`, but over the last share `decay` of each task's steps it falls linearly towards 0.

    So what the task change freezes has come to rest. ends: the step at which each task ends;
    updates: of this optimiser in one step.
    """
    ends = np.array(ends)
    steps = np.diff(ends, prepend=0)

    def schedule(count: jax.Array) -> jax.Array:
        step = count // updates
        task = jnp.minimum(jnp.searchsorted(ends, step, side="right"), len(ends) - 1)
        left = (jnp.asarray(ends)[task] - step) / jnp.asarray(steps)[task]
        return peak * jnp.clip(left / decay, 0.0, 1.0)

    return schedule if decay else optax.constant_schedule(peak)


def _optimiser(name: str, rate: optax.Schedule, b1: float, b2: float):
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


def update_ema(state: TrainState, decay: float) -> TrainState:
    """Moves the averaged generator; the decay warms up so that the start is soon forgotten."""
    if not state.ema:
        return state
    step = state.step.astype(jnp.float32)
    rate = 1.0 - jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    ema = jax.tree.map(lambda a, p: a + rate * (p - a), state.ema, state.params["generator"])
    return state.replace(ema=ema)


def update_codes(codes: dict, z: jax.Array, u, d, classed, decay: float) -> dict:
    """Moves the moments of each class and task by `decay` for each of its rows in the batch.

    codes: as in `TrainState`; z: [B, Z]; u, d: [B]; classed: [B] bool, whether the row's task has
    classes. Where it has none, its rows count for the first column; otherwise a row without a
    label counts only where there is no other column.
    """
    if not codes:
        return codes
    mean, factor = codes["mean"], codes["factor"]
    n, columns, size = mean.shape
    counts = (u >= 0) | ~classed | (columns == 1)
    cell = jnp.where(counts, d * columns + jnp.maximum(u, 0), -1)
    rows = jax.nn.one_hot(cell, n * columns, axis=0).reshape(n, columns, len(z))
    count = jnp.sum(rows, axis=-1, keepdims=True)  # [N, U, 1]
    weight = rows / jnp.maximum(count, 1.0)
    rate = 1.0 - decay**count
    # The old normal and the batch are mixed by `rate`. Its second moment is taken about the old
    # mean: no small difference of large squares, so that it stays positive definite.
    shift = jnp.einsum("nub,bi->nui", weight, z) - mean
    apart = z[None, None] - mean[:, :, None]  # [N, U, B, Z]
    scatter = jnp.einsum("nub,nubi,nubj->nuij", weight, apart, apart)
    outer = jnp.einsum("nui,nuj->nuij", shift, shift)
    rate_ = rate[..., None]
    covariance = jnp.einsum("nuik,nujk->nuij", factor, factor)
    covariance += (
        rate_ * (scatter - covariance - rate_ * outer) + JITTER * jnp.eye(size)[None, None]
    )
    # Here and not where codes are drawn: replay draws in a branch of lax.cond, and there XLA's CPU
    # executor never comes back from the call of LAPACK (jax 0.10.2).
    moved = jnp.linalg.cholesky(covariance)
    return {"mean": mean + rate * shift, "factor": jnp.where(rate_ > 0, moved, factor)}


def draw_fake(nets: Nets, generator: dict, codes: dict, key: jax.Array, u, d, drawing: Drawing):
    """G(z, u, d) at the rows' classes and tasks, with its vector-Jacobian product.

    u, d: [B]; a row without a class gets one of its task's, if that has any. Returns x, the
    pullback to G's parameters, and u: [B].
    """
    key_z, key_u = jax.random.split(key)
    u = jnp.where(u >= 0, u, replay.draw_classes(key_u, d, drawing.class_mask))
    z = replay.draw_codes(key_z, codes, u, d, nets.code_size)
    fake, pullback = jax.vjp(lambda params: replay.generate(nets, params, z, u, d), generator)
    return fake, pullback, u


def make_train_step(
    nets: Nets, tx: dict[str, optax.GradientTransformation], hp: Hyper, drawing: Drawing
) -> Callable[[TrainState, jax.Array, Batch], tuple[TrainState, Metrics]]:
    """The step `(state, run_key, batch) -> (state, metrics)`.

    What changes between tasks is in the state and the batch, so one compiled program serves the
    whole run.
    """
    phase = Phases(nets, tx, hp)

    def train_step(state: TrainState, run_key: jax.Array, batch: Batch):
        key = jax.random.fold_in(run_key, state.step)
        key_replay, key_critic, key_autoencoder, key_inference = jax.random.split(key, 4)
        if hp.replay_rows:
            rows = replay.mix(nets, state, key_replay, batch, hp.replay_rows, drawing)
        else:
            rows = replay.real_rows(nets, batch)
        x, u, d, soft = rows
        classed = replay.has_classes(drawing.class_mask, d)

        metrics = {}
        if hp.adversarial:
            for key_i in jax.random.split(key_critic, hp.n_critic):
                key_fake, key_gp = jax.random.split(key_i)
                fake, pullback, u_fake = draw_fake(
                    nets, state.params["generator"], state.codes, key_fake, u, d, drawing
                )
                state, metrics = phase.critic(state, key_gp, x, fake)
            # The generator has not moved: the last fake batch serves its own phase too.
            state, generator_metrics = phase.generator(state, fake, pullback, u_fake, d)
            metrics |= generator_metrics
        if hp.autoencodes:
            state, autoencoder_metrics, z = phase.autoencoder(state, key_autoencoder, x, classed)
            metrics |= autoencoder_metrics
        else:
            z, _, _ = phase.code(state.params, key_autoencoder, x)
        asked = (fake, u_fake) if hp.infers_classes and hp.adversarial else None
        state, inference_metrics = phase.inference(state, key_inference, x, u, d, z, soft, asked)
        if hp.infers_classes:
            u = jnp.where(u >= 0, u, phase.classes(state.params, x))
        codes = update_codes(state.codes, z, u, d, classed, hp.code_decay)
        state = state.replace(codes=codes)
        state = update_ema(state, hp.ema_decay)
        metrics = {f"train/{name}": v for name, v in (metrics | inference_metrics).items()}
        return state.replace(step=state.step + 1), metrics

    return train_step


def make_train_steps(train_step: Callable) -> Callable:
    """Several steps in one call: `(state, run_key, pool, rows, n_real, count) -> (state, metrics)`.

    pool: x, u, d to take batches from; rows: [K, B] int32, of which the first `count` batches are
    taken; n_real: as in `Batch`. The metrics are those of the last step.
    """
    train_step = jax.jit(train_step)  # so that it is traced once

    def train_steps(state: TrainState, run_key: jax.Array, pool, rows, n_real, count):
        def one(i, state: TrainState):
            return train_step(state, run_key, Batch(*(c[rows[i]] for c in pool), n_real))

        if len(rows) == 1:
            return one(0, state)
        metrics = jax.tree.map(jnp.zeros_like, jax.eval_shape(one, 0, state)[1])
        return jax.lax.fori_loop(0, count, lambda i, carry: one(i, carry[0]), (state, metrics))

    return train_steps
