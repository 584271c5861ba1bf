"""One training step: the phases in their order, then the moments of the codes and the average."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from lgaa_jax.networks.nets import Nets
from lgaa_jax.training import replay
from lgaa_jax.training.batch import Array, Batch, Pool, as_examples
from lgaa_jax.training.codes import update_codes
from lgaa_jax.training.devices import ONE_DEVICE, Layout
from lgaa_jax.training.hyper import Hyper
from lgaa_jax.training.phases import Metrics, Phases
from lgaa_jax.training.replay import ReplaySpec
from lgaa_jax.training.sampling import has_classes, sample_fake
from lgaa_jax.training.state import TrainState, update_ema

TrainStep = Callable[[TrainState, jax.Array, Batch], tuple[TrainState, Metrics]]
TrainSteps = Callable[..., tuple[TrainState, Metrics]]


def make_train_step(
    nets: Nets,
    tx: dict[str, optax.GradientTransformation],
    hyper: Hyper,
    spec: ReplaySpec,
    layout: Layout = ONE_DEVICE,
) -> TrainStep:
    """The step `(state, run_key, batch) -> (state, metrics)`.

    What changes between tasks is in the state and the batch, so one compiled program serves the
    whole run. tx: optimiser by phase; layout: the devices.
    """

    def train_step(
        state: TrainState, run_key: jax.Array, batch: Batch
    ) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(run_key, state.step)
        key_replay, key_critic, key_autoencoder, key_inference = jax.random.split(key, 4)
        x, u, d = layout.split(batch[:3])
        phase = Phases(nets, tx, hyper, layout, batch.rate)
        batch = Batch(x, u, d, batch.num_real)
        if hyper.num_replay:
            examples = replay.mix(nets, state, key_replay, batch, hyper.num_replay, spec, layout)
        else:
            examples = as_examples(batch, nets.num_classes)
        x, u, d, _ = examples
        classed = has_classes(spec.class_mask, d)

        metrics: Metrics = {}
        if hyper.adversarial:
            for key_i in jax.random.split(key_critic, hyper.n_critic):
                key_fake, key_gp = jax.random.split(key_i)
                generator = layout.assemble(state.params["generator"])
                fake, pullback, u_fake = sample_fake(
                    nets, generator, state.codes, key_fake, u, d, spec.class_mask, hyper.code_spread
                )
                state, metrics = phase.critic(state, key_gp, x, fake, u, d)
            # The generator has not moved: the last fake batch serves its own phase too.
            state, generator_metrics = phase.generator(state, fake, pullback, u_fake, examples)
            metrics |= generator_metrics
        if hyper.autoencodes:
            state, autoencoder_metrics, z, mean = phase.autoencoder(
                state, key_autoencoder, x, classed
            )
            metrics |= autoencoder_metrics
        else:
            z, mean, _ = phase.code(layout.assemble(state.params), key_autoencoder, x)
        asked = (fake, u_fake) if hyper.infers_classes and hyper.adversarial else None
        state, inference_metrics = phase.inference(state, key_inference, examples, z, asked)
        if hyper.infers_classes:
            u = jnp.where(u >= 0, u, phase.classes(layout.assemble(state.params), x))
        kept = z if hyper.code_noise == 1 else mean + hyper.code_noise * (z - mean)
        after = metrics["loss/generator"] if hyper.adversarial else 0.0  # of what codes were for
        # Gathered: else the devices would add up what each has of the moments, which are larger.
        kept, u, d, classed = layout.gather((kept, u, d, classed))
        codes = update_codes(state.codes, kept, u, d, classed, hyper.code_decay, after)
        state = state.replace(codes=codes)
        state = update_ema(state, hyper.ema_decay)
        metrics = {f"train/{name}": v for name, v in (metrics | inference_metrics).items()}
        return state.replace(step=state.step + 1), metrics

    return train_step


def make_train_steps(train_step: TrainStep) -> TrainSteps:
    """Several steps in one call.

    Returns `(state, run_key, pool, indices, num_real, count, rate) -> (state, metrics)`. pool: what
    batches are taken from; indices: [K, B] int32, the places in the pool of each of K batches, of
    which the first `count` are trained on; num_real, rate: as in `Batch`. Without indices, the
    columns of the pool are those batches, [K, B, ...] each. The metrics are those of the last step.
    """
    train_step = jax.jit(train_step)  # so that it is traced once

    def train_steps(
        state: TrainState,
        run_key: jax.Array,
        pool: Pool,
        indices: Array | None,
        num_real: Array,
        count: Array,
        rate: Array | None = None,
    ) -> tuple[TrainState, Metrics]:
        def one(i: int | jax.Array, state: TrainState) -> tuple[TrainState, Metrics]:
            x, u, d = (column[i if indices is None else indices[i]] for column in pool)
            batch = Batch(x, u, d, num_real, rate)
            return train_step(state, run_key, batch)

        if len(pool.u if indices is None else indices) == 1:
            return one(0, state)
        metrics = jax.tree.map(jnp.zeros_like, jax.eval_shape(one, 0, state)[1])
        return jax.lax.fori_loop(0, count, lambda i, carry: one(i, carry[0]), (state, metrics))

    return train_steps
