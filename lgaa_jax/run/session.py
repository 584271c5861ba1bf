"""A run at work: its experiment, its workdir and what it has on disk."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import jax
import ml_collections

from lgaa_jax.errors import UserError
from lgaa_jax.files import PathLike, write_json
from lgaa_jax.run.checks import FREE_KEYS
from lgaa_jax.run.console import Console
from lgaa_jax.run.experiment import Experiment, build
from lgaa_jax.run.interrupts import Terminated
from lgaa_jax.seals import sealed
from lgaa_jax.training.state import TrainState
from lgaa_jax.workdir import resume
from lgaa_jax.workdir.checkpoint import Checkpoints
from lgaa_jax.workdir.folder import usable_folder
from lgaa_jax.workdir.record import EVALUATIONS, Record, read_record


@dataclasses.dataclass(frozen=True)
class Session:
    """What the steps of a run work with."""

    experiment: Experiment
    workdir: Path
    checkpoints: Checkpoints
    console: Console
    keeps: bool = True  # whether what is evaluated goes into the file of evaluations

    def fresh(self) -> TrainState:
        """The initial state, tied to a device as a restored one is: both run the same program."""
        return jax.device_put(self.experiment.init(), jax.devices()[0])

    def restore(self, step: int) -> tuple[TrainState, Record]:
        """State and record of the checkpoint at `step`; UserError where there is none.

        The record holds the evaluation of each task that had ended by then, as far as the file of
        evaluations, or the checkpoint of an earlier version, has them.
        """
        state, meta = self.checkpoints.restore(step, jax.eval_shape(self.experiment.init))
        record = Record.from_json(meta)
        stored = read_record(self.workdir)  # where there is none, it is made from checkpoints
        if stored is not None and len(stored.measured) > len(record.measured):
            record = dataclasses.replace(stored, seconds=record.seconds)
        ended = sum(end <= step for end in self.experiment.ends)
        return state, record.first(ended, step=self.experiment.ends[ended - 1] if ended else 0)

    def keep(self, record: Record) -> None:
        """Writes the file of evaluations."""
        if self.keeps:
            write_json(self.workdir / EVALUATIONS, sealed(record.to_json()))

    @contextlib.contextmanager
    def told_when_interrupted(self) -> Iterator[None]:
        """Gives a KeyboardInterrupt a sentence on where the same command goes on."""
        try:
            yield
        except KeyboardInterrupt as error:
            self.checkpoints.wait()
            steps = self.checkpoints.sound_steps()
            then = f"goes on from step {steps[-1]}" if steps else "starts anew"
            what = "terminated" if isinstance(error, Terminated) else "interrupted"
            raise type(error)(f"{what}; the same command {then}.") from None


def open_session(config: ml_collections.ConfigDict, workdir: PathLike) -> Session:
    """The run of `config` in `workdir`, of which nothing is written yet.

    Raises UserError where it cannot live there, or where there is one that cannot go on with it.
    """
    folder = usable_folder(workdir)
    experiment = build(config)
    if before := resume.check_same_config(folder, config, FREE_KEYS):
        resume.check_classes(folder, experiment.tasks, before)
    checkpoints = Checkpoints(folder, config.log.keep_checkpoints, experiment.ends)
    return Session(experiment, folder, checkpoints, Console())


def require_checkpoints(workdir: PathLike) -> None:
    """Raises UserError where there is nothing to evaluate."""
    if not (usable_folder(workdir) / "checkpoints").is_dir():
        raise UserError(
            f"{workdir} holds no checkpoints; train first, or name the right --workdir."
        )
