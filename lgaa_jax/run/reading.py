"""What a checkpoint holds of a run, read by one process and had by all."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from lgaa_jax.errors import UserError
from lgaa_jax.files import PathLike
from lgaa_jax.run.experiment import Experiment
from lgaa_jax.training import hosts
from lgaa_jax.training.state import TrainState, lasting
from lgaa_jax.workdir.checkpoint import FOLDER, Checkpoints
from lgaa_jax.workdir.folder import usable_folder
from lgaa_jax.workdir.record import Record, read_record

Found = tuple[TrainState, Record]
# From a function that reads a step to what it read of one; None where there is no checkpoint.
Choose = Callable[[Callable[[int], Found]], Found | None]


def read(
    choose: Choose, checkpoints: Checkpoints, workdir: Path, experiment: Experiment
) -> Found | None:
    """State and record of the step that `choose` chooses, the state on the devices of the run.

    The record holds the evaluation of each task that had ended by then, as far as the file of
    evaluations, or the checkpoint of an earlier version, has them. It may have been saved by
    another number of devices or processes. The first process alone reads, so that the others need
    not see its disk. Of the end of an earlier task, the state holds what evaluation needs.
    """
    abstract = jax.eval_shape(experiment.init)

    def read_at(where: Any) -> Found | None:
        placed = jax.tree.map(
            lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s), abstract, where
        )
        return choose(lambda step: _read(step, placed, checkpoints, workdir, experiment))

    if hosts.count() == 1:
        return read_at(experiment.where)
    states: list[TrainState] = []

    def record() -> Any:
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        found = read_at(jax.tree.map(lambda _: here, abstract))
        if found is None:
            return None
        states.append(found[0])
        return json.loads(json.dumps([found[1].to_json(), bool(found[0].opt)]))

    if (found := hosts.shared(record)) is None:
        return None
    written, whole = found
    form, where = (
        tree if whole else lasting(tree).replace(replay=tree.replay)
        for tree in (abstract, experiment.where)
    )
    state = hosts.spread(states[0] if states else None, form)
    return experiment.layout.place(state, where), Record.from_json(written)


def _read(
    step: int,
    placed: TrainState,
    checkpoints: Checkpoints,
    workdir: Path,
    experiment: Experiment,
) -> Found:
    state, meta = checkpoints.restore(step, placed)
    if not state.replay:  # of the end of an earlier task: it is what the task before had left
        before = state
        if (task := int(state.task)) and experiment.strategy.memory == "replay":
            before, _ = checkpoints.restore(experiment.ends[task - 1], placed)
        state = state.replace(replay=before.sampler)
    record = Record.from_json(meta)
    stored = read_record(workdir)  # where there is none, it is made from checkpoints
    if stored is not None:
        retries = max(record.retries, stored.retries, key=len)
        if len(stored.measured) > len(record.measured):
            record = dataclasses.replace(stored, seconds=record.seconds)
        record = dataclasses.replace(record, retries=retries)
    ended = sum(end <= step for end in experiment.ends)
    return state, record.first(ended, step=experiment.ends[ended - 1] if ended else 0)


def require_checkpoints(workdir: PathLike) -> None:
    """Raises UserError where there is nothing to evaluate."""
    if not (usable_folder(workdir) / FOLDER).is_dir():
        raise UserError(
            f"{workdir} holds no checkpoints; train first, or name the right --workdir."
        )
