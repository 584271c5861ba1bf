"""The state of a run: arrays only, so that saving, restoring and comparing are tree operations."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from lgaa_jax.models import Nets


@flax.struct.dataclass
class TrainState:
    """Everything that training carries from one step to the next.

    step:   [] int32, training steps done since the start of the run, over all tasks
    task:   [] int32, index of the task in training; its position is the domain code
    params: parameters by network: generator, critic, encoder, domain and, when U > 0, class
    opt:    optimiser state by phase: critic, generator, autoencoder, inference
    ema:    averaged generator parameters; an empty dict when the average is off
    codes:  running moments of the codes of each task's classes, "mean" [N, max(U, 1), Z] and
            "factor" [N, max(U, 1), Z, Z], the Cholesky factor of their covariance; a task
            without classes has the first column; an empty dict when z is drawn from N(0, I)
    replay: FROZEN generator, class model and codes of the last task change; no step touches it
    """

    step: jax.Array
    task: jax.Array
    params: dict[str, Any]
    opt: dict[str, Any]
    ema: dict[str, Any]
    codes: dict[str, Any]
    replay: dict[str, Any]

    @property
    def drawing_generator(self) -> dict[str, Any]:
        """The generator that is frozen, evaluated and drawn: the average when there is one."""
        return self.ema or self.params["generator"]

    @property
    def drawing(self) -> dict[str, Any]:
        """What images are drawn with now, in the form of `replay`."""
        live = {"generator": self.drawing_generator, "codes": self.codes}
        return live | ({"class": self.params["class"]} if "class" in self.params else {})


def _frozen(state: TrainState) -> dict[str, Any]:
    # Real copies: a buffer shared with `params` could not be donated to the train step.
    return jax.tree.map(jnp.copy, state.drawing)


def init_state(
    nets: Nets, tx: dict, phases: dict[str, tuple[str, ...]], ema: bool, codes: bool, key
) -> TrainState:
    """A fresh state for task 0.

    tx: optimiser by phase; phases: names of the networks that each phase trains; ema, codes:
    whether these averages are kept. All codes begin with the moments of the prior.
    """
    params = nets.init(key)
    cells, size = (nets.num_tasks, max(nets.num_classes, 1)), nets.code_size
    moments = {}
    if codes:
        identity = jnp.tile(jnp.eye(size), (*cells, 1, 1))
        moments = {"mean": jnp.zeros((*cells, size)), "factor": identity}
    opt = {phase: tx[phase].init({n: params[n] for n in nets_}) for phase, nets_ in phases.items()}
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        task=jnp.zeros((), jnp.int32),
        params=params,
        opt=opt,
        ema=jax.tree.map(jnp.copy, params["generator"]) if ema else {},
        codes=moments,
        replay={},
    )
    return state.replace(replay=_frozen(state))


def begin_task(state: TrainState) -> TrainState:
    """The task change: what replay draws with becomes a copy of what is trained now."""
    return state.replace(task=state.task + 1, replay=_frozen(state))
