"""The state of a run: arrays only, so that saving, restoring and comparing are tree operations."""

from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from lgaa_jax.networks.nets import Nets, Params
from lgaa_jax.training.codes import Codes, init_codes
from lgaa_jax.training.devices import Layout


class TrainState(flax.struct.PyTreeNode):
    """Everything that training carries from one step to the next.

    step:   [] int32, training steps done since the start of the run, over all tasks
    task:   [] int32, index of the task in training; its position is the domain code
    params: parameters by network: generator, critic, encoder, domain and, when U > 0, class
    opt:    optimiser state by phase: critic, generator, autoencoder, inference
    ema:    averaged generator parameters; an empty dict when the average is off
    codes:  running moments of the codes of each task's classes, see codes.py; an empty dict when
            z is sampled from N(0, I)
    replay: FROZEN generator, class model and codes of the last task change; no step touches it
    """

    step: jax.Array
    task: jax.Array
    params: Params
    opt: dict[str, Any]
    ema: dict[str, Any]
    codes: Codes
    replay: dict[str, Any]

    @property
    def sampling_generator(self) -> dict[str, Any]:
        """The generator that is frozen, evaluated and sampled: the average when there is one."""
        return self.ema or self.params["generator"]

    @property
    def evaluated(self) -> Params:
        """Parameters by network as they are evaluated: the generator is the one that is sampled."""
        return {**self.params, "generator": self.sampling_generator}

    @property
    def sampler(self) -> dict[str, Any]:
        """What images are sampled with now, in the form of `replay`."""
        live = {"generator": self.sampling_generator, "codes": self.codes}
        return live | ({"class": self.params["class"]} if "class" in self.params else {})


def _frozen(state: TrainState) -> dict[str, Any]:
    # Real copies: a buffer shared with `params` could not be donated to the train step.
    return jax.tree.map(jnp.copy, state.sampler)


def init_state(
    nets: Nets,
    tx: Mapping[str, optax.GradientTransformation],
    networks: Mapping[str, tuple[str, ...]],
    ema: bool,
    code_form: tuple[int, int] | None,
    key: jax.Array,
) -> TrainState:
    """A fresh state for task 0.

    tx: optimiser by phase; networks: names of the networks that each phase trains; ema: whether the
    averaged generator is kept; code_form: rank and modes of the moments of the codes (codes.py);
    None: without.
    """
    params = nets.init(key)
    opt = {
        phase: tx[phase].init({name: params[name] for name in trained})
        for phase, trained in networks.items()
    }
    sizes = nets.num_tasks, nets.num_classes, nets.code_size
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        task=jnp.zeros((), jnp.int32),
        params=params,
        opt=opt,
        ema=jax.tree.map(jnp.copy, params["generator"]) if ema else {},
        codes={} if code_form is None else init_codes(*sizes, *code_form),
        replay={},
    )
    return state.replace(replay=_frozen(state))


def lasting(state: TrainState | Mapping[str, Any]) -> TrainState:
    """What is kept of the state at the end of an earlier task: what it is evaluated and drawn with.

    state: of arrays or of what describes them; or its fields as nested dicts, as a checkpoint is
    read, where empty ones may be missing. Optimisers, critic and replay are left out, and the
    trained generator where there is an average.
    """
    if isinstance(state, Mapping):
        state = TrainState(**{"ema": {}, "codes": {}, **state})
    unused = {"critic", "generator"} if state.ema else {"critic"}
    params = {name: held for name, held in state.params.items() if name not in unused}
    return state.replace(params=params, opt={}, replay={})


def shardings(state: TrainState, layout: Layout) -> TrainState:
    """Where each array of a state lies. state: of arrays, or of their shapes.

    Every device has all moments of the codes: a step changes whole cells of them.
    """
    found, codes = layout.of(state), jax.tree.map(lambda _: layout.whole, state.codes)
    return found.replace(codes=codes, replay={**found.replay, "codes": codes})


def begin_task(state: TrainState) -> TrainState:
    """The task change: replay is sampled from now on with a copy of what has been trained."""
    return state.replace(task=state.task + 1, replay=_frozen(state))


def update_ema(state: TrainState, decay: float) -> TrainState:
    """Moves the averaged generator; at first faster than `decay`, to forget the initial weights."""
    if not state.ema:
        return state
    step = state.step.astype(jnp.float32)
    rate = 1.0 - jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    ema = jax.tree.map(lambda a, p: a + rate * (p - a), state.ema, state.params["generator"])
    return state.replace(ema=ema)
