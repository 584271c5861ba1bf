"""A run at work: its experiment, its workdir and what it has on disk."""

import contextlib
import dataclasses
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from lgaa_jax.files import PathLike, write_json
from lgaa_jax.run import likeness, reading
from lgaa_jax.run.console import Console
from lgaa_jax.run.experiment import Experiment, build
from lgaa_jax.run.history import Written, earlier_changes
from lgaa_jax.run.interrupts import Terminated
from lgaa_jax.run.reading import Found
from lgaa_jax.run.resources import told
from lgaa_jax.seals import sealed
from lgaa_jax.training import hosts
from lgaa_jax.training.state import TrainState, lasting
from lgaa_jax.workdir import pictures
from lgaa_jax.workdir.checkpoint import Checkpoints
from lgaa_jax.workdir.folder import usable_folder
from lgaa_jax.workdir.lock import Lock, locked
from lgaa_jax.workdir.metadata import IDENTITY, run_metadata
from lgaa_jax.workdir.record import EVALUATIONS, Record
from lgaa_jax.workdir.scalars import Evaluation, NoLog, ScalarLog


@dataclasses.dataclass(frozen=True)
class Session:
    """What the steps of a run work with, in each of its processes; the first of them writes."""

    experiment: Experiment
    workdir: Path
    checkpoints: Checkpoints
    console: Console
    written: Written  # what config.json is to hold
    lock: Lock | None = None  # of the workdir, once it is held
    keeps: bool = True  # whether what is evaluated goes into the file of evaluations

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return hosts.first()

    def fresh(self) -> TrainState:
        """The initial state, tied to devices as a restored one is: both run the same program."""
        run = self.experiment
        state = run.init()
        return state if run.layout.divides else run.layout.place(state, run.where)

    def newest(self) -> Found | None:
        """State and record of the newest sound checkpoint; None where there is no checkpoint."""
        return self.chosen(self.checkpoints.newest)

    def before(self, step: int) -> Found | None:
        """State and record of the newest sound checkpoint before a step; None: there is none."""
        return self.chosen(lambda read: self.checkpoints.newest(read, below=step))

    def at(self, step: int | None) -> Found:
        """State and record of the checkpoint at `step`; None: of the newest sound one."""
        found = self.chosen(lambda read: self.checkpoints.at(step, read))
        assert found is not None
        return found

    def chosen(self, choose: reading.Choose) -> Found | None:
        """State and record of the checkpoint that `choose` chooses to read."""
        return reading.read(choose, self.checkpoints, self.workdir, self.experiment)

    def save(self, step: int, state: TrainState, record: Record) -> None:
        """Saves a checkpoint, with all that tells whether a run is the same."""
        if hosts.count() > 1:  # by all, and one by one: no device has to hold all of it
            state = jax.tree.map(lambda a: np.array(self.experiment.layout.fetch(a)), state)
        if not self.first:
            return
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
            self.write(EVALUATIONS, sealed(record.to_json()))

    def remove(self, name: str) -> None:
        """Removes a file of the workdir, where it is there."""
        if self.first:
            (self.workdir / name).unlink(missing_ok=True)

    def write(self, name: str, obj: Any) -> None:
        """Writes a JSON file of the workdir."""
        if self.first:
            write_json(self.workdir / name, obj)

    def scalar_log(self, step: int, evaluations: Sequence[Evaluation]) -> ScalarLog:
        """The log of scalars from `step` on; evaluations: as it takes them."""
        return ScalarLog(self.workdir, step, evaluations) if self.first else NoLog()

    def sound_steps(self) -> list[int]:
        """The steps that have a checkpoint, as far as the process that writes knows."""
        return self.checkpoints.sound_steps() if self.first else []

    @contextlib.contextmanager
    def told_when_interrupted(self) -> Iterator[None]:
        """Gives a KeyboardInterrupt a sentence on where the same command goes on."""
        try:
            yield
        except KeyboardInterrupt as error:
            self.checkpoints.wait()
            steps = self.sound_steps()
            then = f"goes on from step {steps[-1]}" if steps else "starts anew"
            what = "terminated" if isinstance(error, Terminated) else "interrupted"
            raise type(error)(f"{what}; the same command {then}.") from None


@contextlib.contextmanager
def at_work(session: Session) -> Iterator[Session]:
    """The session with its workdir locked, and its checkpoints closed when it ends.

    Raises UserError where another process is at work there.
    """
    with told(session.workdir), contextlib.ExitStack() as stack:
        held: list[Lock] = []
        hosts.shared(lambda: held.append(stack.enter_context(locked(session.workdir))))
        stack.enter_context(session.checkpoints)
        yield dataclasses.replace(session, lock=held[0] if held else None)


def open_session(
    config: ml_collections.ConfigDict,
    workdir: PathLike,
    defaults: ml_collections.ConfigDict | None = None,
) -> Session:
    """The run of `config` in `workdir`, of which nothing is written yet.

    defaults: the config from which config.json marks what differs. Raises UserError where the run
    cannot live there, or where there is one that cannot go on with it.
    """
    folder = Path(hosts.shared(lambda: str(usable_folder(workdir))))
    likeness.require_same_settings(config)
    experiment = build(config)
    fingerprints = experiment.fingerprints
    likeness.require_same_data(fingerprints)
    checkpoints = Checkpoints(folder, config.log.keep_checkpoints, experiment.ends, lasting)
    names, labels = experiment.class_names, experiment.labels
    written = run_metadata(config, names, labels, fingerprints, defaults)
    written |= hosts.shared(lambda: earlier_changes(folder, checkpoints, experiment, written))
    console = Console(None if hosts.first() else io.StringIO())
    return Session(experiment, folder, checkpoints, console, written)
