"""What learns: networks, optimisers and constants, with the state and the step they make."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import ml_collections
import optax

from lgaa_jax.networks.nets import Nets
from lgaa_jax.training.devices import ONE_DEVICE, Layout
from lgaa_jax.training.hyper import Hyper, read_hyper, trained_networks
from lgaa_jax.training.optimisers import learning_rates, optimisers
from lgaa_jax.training.replay import ReplaySpec
from lgaa_jax.training.state import TrainState, init_state
from lgaa_jax.training.strategies import STRATEGIES
from lgaa_jax.training.train_step import TrainStep, make_train_step


@dataclasses.dataclass(frozen=True)
class Learner:
    """The pieces of a training step, wired once for runs, tests and benchmarks."""

    nets: Nets
    tx: dict[str, optax.GradientTransformation]  # by phase
    rates: dict[str, optax.Schedule]  # learning rate by phase, from the training step
    hyper: Hyper
    spec: ReplaySpec
    init: Callable[[jax.Array], TrainState]  # from a key; not jitted
    train_step: TrainStep  # not jitted


def build_learner(
    config: ml_collections.ConfigDict,
    nets: Nets,
    spec: ReplaySpec,
    ends: Sequence[int],
    num_replay: int,
    layout: Layout = ONE_DEVICE,
) -> Learner:
    """Wires a learner under `config`.

    ends: the step at which each task ends, for the learning rates; num_replay: the most examples
    of a batch that a step itself fills with replay; layout: the devices of the step.
    """
    hyper = read_hyper(config, num_replay)
    rates = learning_rates(config, ends)
    tx = optimisers(config, rates)
    # Without phase 3 the encoder is not trained, and its codes say nothing of the generator.
    keeps_codes = config.code_decay > 0 and STRATEGIES[config.strategy].autoencodes
    networks = trained_networks(nets, hyper)
    rates = {phase: rates[phase] for phase in networks}
    form = (config.code_rank, config.code_modes) if keeps_codes else None
    init = functools.partial(init_state, nets, tx, networks, config.ema_decay > 0, form)
    step = make_train_step(nets, tx, hyper, spec, layout)
    return Learner(nets, tx, rates, hyper, spec, init, step)
