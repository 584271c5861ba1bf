"""A run at work: its experiment, its workdir and what it has on disk."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from lgaa_jax.data.notation import split_tasks
from lgaa_jax.errors import UserError
from lgaa_jax.files import PathLike, write_json
from lgaa_jax.run.console import Console
from lgaa_jax.run.experiment import Experiment, build
from lgaa_jax.run.free_keys import FREE_KEYS
from lgaa_jax.run.interrupts import Terminated
from lgaa_jax.run.resources import told
from lgaa_jax.seals import sealed
from lgaa_jax.training.state import TrainState
from lgaa_jax.workdir import pictures, resume
from lgaa_jax.workdir.checkpoint import Checkpoints
from lgaa_jax.workdir.folder import usable_folder
from lgaa_jax.workdir.lock import Lock, locked
from lgaa_jax.workdir.metadata import CONFIG, IDENTITY, read_metadata, require_format, run_metadata
from lgaa_jax.workdir.record import EVALUATIONS, Record, read_record

Written = dict[str, Any]  # what config.json holds


@dataclasses.dataclass(frozen=True)
class Session:
    """What the steps of a run work with."""

    experiment: Experiment
    workdir: Path
    checkpoints: Checkpoints
    console: Console
    written: Written  # what config.json is to hold
    lock: Lock | None = None  # of the workdir, once it is held
    keeps: bool = True  # whether what is evaluated goes into the file of evaluations

    def fresh(self) -> TrainState:
        """The initial state, tied to devices as a restored one is: both run the same program."""
        return jax.device_put(self.experiment.init(), self.experiment.layout.whole)

    def restore(self, step: int) -> tuple[TrainState, Record]:
        """State and record of the checkpoint at `step`; UserError where there is none.

        The record holds the evaluation of each task that had ended by then, as far as the file of
        evaluations, or the checkpoint of an earlier version, has them. It may have been saved by
        another number of devices.
        """
        where = self.experiment.layout.whole
        placed = jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=where),
            jax.eval_shape(self.experiment.init),
        )
        state, meta = self.checkpoints.restore(step, placed)
        record = Record.from_json(meta)
        stored = read_record(self.workdir)  # where there is none, it is made from checkpoints
        if stored is not None:
            retries = max(record.retries, stored.retries, key=len)
            if len(stored.measured) > len(record.measured):
                record = dataclasses.replace(stored, seconds=record.seconds)
            record = dataclasses.replace(record, retries=retries)
        ended = sum(end <= step for end in self.experiment.ends)
        return state, record.first(ended, step=self.experiment.ends[ended - 1] if ended else 0)

    def save(self, step: int, state: TrainState, record: Record) -> None:
        """Saves a checkpoint, with all that tells whether a run is the same."""
        if self.lock is not None:
            self.lock.require()
        identity = {key: self.written[key] for key in IDENTITY}
        self.checkpoints.save(step, state, record.to_json() | {"identity": identity})

    def draw(self, path: Path, picture: np.ndarray) -> None:
        """Writes a picture, uint8 [H, W, 1 or 3]; that it cannot be is told, and stops nothing."""
        try:
            pictures.save_png(path, picture)
        except OSError as error:
            self.console.say(f"{path} cannot be written ({error.strerror}): it is left out")

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


@contextlib.contextmanager
def at_work(session: Session) -> Iterator[Session]:
    """The session with its workdir locked, and its checkpoints closed when it ends.

    Raises UserError where another process is at work there.
    """
    with told(session.workdir), locked(session.workdir) as lock, session.checkpoints:
        yield dataclasses.replace(session, lock=lock)


def open_session(
    config: ml_collections.ConfigDict,
    workdir: PathLike,
    defaults: ml_collections.ConfigDict | None = None,
) -> Session:
    """The run of `config` in `workdir`, of which nothing is written yet.

    defaults: the config from which config.json marks what differs. Raises UserError where the run
    cannot live there, or where there is one that cannot go on with it.
    """
    folder = usable_folder(workdir)
    experiment = build(config)
    checkpoints = Checkpoints(folder, config.log.keep_checkpoints, experiment.ends)
    names, labels = experiment.class_names, experiment.labels
    written = run_metadata(config, names, labels, experiment.fingerprints, defaults)
    if there := _there(folder, checkpoints):
        require_format(folder, there)
        changed = resume.changes(folder, there, written["config"], FREE_KEYS)
        resume.check_same_data(folder, there, written)
        resume.check_classes(folder, experiment.tasks, len(split_tasks(there["config"]["tasks"])))
        history = there.get("changes", [])
        if changed:
            step = max(checkpoints.steps(), default=0)
            history = [*history, {"step": step, "keys": changed}]
        written |= {"changes": history} if history else {}
    return Session(experiment, folder, checkpoints, Console(), written)


def _there(folder: Path, checkpoints: Checkpoints) -> Written | None:
    """What the run in a folder says of itself; None where there is none.

    Where config.json is lost, its newest checkpoint says it. Raises UserError where neither does.
    """
    try:
        return read_metadata(folder)
    except ValueError:
        meta = checkpoints.newest(checkpoints.meta)
        if meta and "identity" in meta:
            return meta["identity"]
        return resume.require_config(folder) if (folder / CONFIG).exists() else None


def require_checkpoints(workdir: PathLike) -> None:
    """Raises UserError where there is nothing to evaluate."""
    if not (usable_folder(workdir) / "checkpoints").is_dir():
        raise UserError(
            f"{workdir} holds no checkpoints; train first, or name the right --workdir."
        )
