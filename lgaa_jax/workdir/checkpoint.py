"""The checkpoints of a run: which are kept, what of them, and which can be trusted."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from absl import logging

from lgaa_jax.errors import UserError
from lgaa_jax.files import PathLike, expand
from lgaa_jax.workdir.checked import CheckedStorage
from lgaa_jax.workdir.contents import DamagedError, listed

# Folders in a workdir.
FOLDER = "checkpoints"  # whole states, from which a run goes on
ENDS = "task_ends"  # what is kept of the states at the ends of earlier tasks
ASIDE = "damaged"  # checkpoints in whose place another one had to be written
WHOLE_ENDS = 2  # latest ends of tasks that stay whole, to go back to where later ones are damaged
Read = TypeVar("Read")


class Checkpoints:
    """The checkpoints of one run: saved in the background, restored bit for bit or not at all.

    A context manager; leaving it waits for the saving under way. The first save makes the folder.
    An older checkpoint is dropped when a later one was seen to be readable; a damaged one never is.
    At the end of a task, `lasting` of it is kept.
    """

    def __init__(
        self,
        workdir: PathLike,
        keep: int = 1,
        task_ends: Sequence[int] = (),
        lasting: Callable[[Any], Any] = lambda state: state,
    ):
        """Keeps the latest `keep` checkpoints and, of each step in `task_ends`, what is `lasting`.

        lasting: gives that part of a state, which may be nested dicts, as a checkpoint is read, or
        what `restore` is asked for; the latest `WHOLE_ENDS` of those steps stay whole. Raises
        UserError when `keep` is less than 1.
        """
        if keep < 1:
            raise UserError(f"log.keep_checkpoints is {keep}: keep at least 1 checkpoint")
        self._workdir = expand(workdir).resolve()  # Orbax takes absolute paths only
        self._whole = CheckedStorage(self._workdir / FOLDER)
        self._ends = CheckedStorage(self._workdir / ENDS)
        self._keep, self._lasting = keep, lasting
        self._task_ends = {int(step) for step in task_ends}
        self._unseen: int | None = None  # the step saved last, until it has been read back

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def steps(self) -> list[int]:
        """The steps of which there is all, in order, readable or not."""
        return self._whole.steps()

    def sound_steps(self) -> list[int]:
        """The steps of which there is all and that were not found damaged, in order."""
        return self._whole.sound_steps()

    def all_steps(self) -> list[int]:
        """The steps of which there is all or, of the ends of earlier tasks, what lasts."""
        return sorted({*self._whole.steps(), *self._ends.steps()})

    def at(self, step: int | None, read: Callable[[int], Read]) -> Read:
        """What `read` gives of a step; None: of the newest sound one. UserError where none is."""
        found = self.newest(read) if step is None else read(step)
        if found is None:
            raise UserError(f"there is no checkpoint in {self._whole.folder}: train there first")
        return found

    def newest(self, read: Callable[[int], Read], below: float = math.inf) -> Read | None:
        """What `read` gives of the newest sound checkpoint; None where there is no checkpoint.

        read: of a step. Where it finds damage, that is logged, and the step before is taken.
        below: a step after those asked for. Raises UserError where none is sound.
        """
        steps = [step for step in self.steps() if step < below]
        for step in reversed(steps):
            try:
                return read(step)
            except DamagedError as error:
                logging.warning("%s", error)
        if steps:
            raise UserError(
                f"no checkpoint in {self._whole.folder} can be used, of {listed(steps)}: choose "
                "another --workdir, or move that folder elsewhere to start anew"
            )
        return None

    def save(self, step: int, state: Any, meta: Mapping[str, Any]) -> None:
        """Saves a pytree of arrays and a JSON-able dict; does nothing when `step` is there already.

        Returns once the arrays are on the host, so the caller may donate them at once; the files
        are written in the background. A damaged checkpoint of that step is moved aside.
        """
        if step in self.sound_steps():
            return
        self.wait()
        self._whole.write(step, state, meta, self._workdir / ASIDE)
        self._unseen = step

    def wait(self) -> None:
        """Waits until all that was saved is on disk, and looks at it; then drops what is too old.

        Raises UserError when it cannot be written, or what was saved cannot be read.
        """
        step, self._unseen = self._unseen, None
        self._whole.wait()
        if step is not None:
            self._whole.look_at(step)
            self._drop_old()

    def close(self) -> None:
        """Waits, then ends the background threads. The object may not be used afterwards."""
        try:
            self.wait()
        finally:
            self._whole.close()
            self._ends.close()

    def meta(self, step: int) -> Any:
        """The meta of a step alone. Raises as `restore` does."""
        return self._holding(step).meta(step)

    def restore(self, step: int, abstract_state: Any) -> tuple[Any, Any]:
        """Returns (state, meta) of one step; `state` has the tree, shapes and dtypes asked for.

        abstract_state: a tree of jax.ShapeDtypeStruct, as jax.eval_shape gives it; where there is
        what lasts alone, `lasting` of it is what comes. A leaf without a sharding goes to the first
        device. Raises UserError when the step is missing or is of another form, DamagedError when
        it cannot be read or is not what was saved.
        """
        held = self._holding(step)
        asked = self._lasting(abstract_state) if held is self._ends else abstract_state
        return held.restore(step, asked)

    def restore_part(self, step: int, abstract_part: Mapping[str, Any]) -> Any:
        """The arrays of one part of the state of a step; nothing else of it is read.

        abstract_part: nested dicts down to the arrays that are wanted, keyed like the state's
        fields, say {"params": {"class": ...}}. Raises as `restore` does.
        """
        return self._holding(step).restore_part(step, abstract_part)

    def read(self, step: int) -> Any:
        """All there is of the state of a step, in nested dicts for NumPy. Raises as `restore`."""
        return self._holding(step).read(step)[0]

    def check(self, step: int) -> bool:
        """Reads all of a step; whether it was checked, which one without checksums cannot be.

        Raises DamagedError where they cannot be read or are not what was saved.
        """
        return self._holding(step).read(step)[1].checksums is not None

    def _holding(self, step: int) -> CheckedStorage:
        """The folder that holds a step. Raises UserError where neither does."""
        for held in (self._whole, self._ends):
            if step in held.steps():
                return held
        if not (steps := self.all_steps()):
            raise UserError(f"there is no checkpoint in {self._whole.folder}: train there first")
        raise UserError(
            f"there is no checkpoint of step {step} in {self._workdir}: take {listed(steps)}"
        )

    def _drop_old(self) -> None:
        sound = self.sound_steps()
        ends = [step for step in sound if step in self._task_ends]
        for step in sorted({*sound[: -self._keep]} - {*ends[-WHOLE_ENDS:]}):
            if step not in self._task_ends or self._keep_what_lasts(step):
                self._whole.delete(step)

    def _keep_what_lasts(self, step: int) -> bool:
        """Writes what lasts of a step beside it; False where the step turns out to be damaged."""
        try:
            state, held = self._whole.read(step)
        except DamagedError as error:
            logging.warning("%s", error)
            return False
        if step in self._ends.sound_steps():  # written by one that was killed before it had ended
            self._ends.delete(step)
        self._ends.write(step, self._lasting(state), held.meta, self._workdir / ASIDE)
        self._ends.wait()
        self._ends.look_at(step)
        return True
