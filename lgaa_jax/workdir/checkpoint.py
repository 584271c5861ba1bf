"""Checkpoints in `<workdir>/checkpoints`: which are kept, and which can be trusted."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from absl import logging

from lgaa_jax.errors import UserError
from lgaa_jax.files import PathLike, expand
from lgaa_jax.workdir.contents import Contents, DamagedError, contents, described, listed
from lgaa_jax.workdir.forms import forms, require_same
from lgaa_jax.workdir.noise import no_stragglers
from lgaa_jax.workdir.storage import Storage

ASIDE = "damaged"  # folder in a workdir: checkpoints in whose place another one had to be written
Read = TypeVar("Read")


class Checkpoints:
    """The checkpoints of one run: saved in the background, restored bit for bit or not at all.

    A context manager; leaving it waits for the saving under way. The first save makes the folder.
    An older checkpoint is dropped when a later one was seen to be readable; a damaged one never is.
    """

    def __init__(self, workdir: PathLike, keep: int = 1, task_ends: Sequence[int] = ()):
        """Keeps the latest `keep` checkpoints and, beside them, each step in `task_ends`.

        Raises UserError when `keep` is less than 1.
        """
        if keep < 1:
            raise UserError(f"log.keep_checkpoints is {keep}: keep at least 1 checkpoint")
        self.folder = expand(workdir).resolve() / "checkpoints"  # Orbax takes absolute paths only
        self._storage = Storage(self.folder)
        self._keep = keep
        self._task_ends = {int(step) for step in task_ends}
        self._unseen: int | None = None  # the step saved last, until it has been read back
        self._damaged: set[int] = set()  # the steps that were found so

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, in order, readable or not."""
        return self._storage.steps()

    def sound_steps(self) -> list[int]:
        """The steps that have a checkpoint and were not found damaged, in order."""
        return [step for step in self.steps() if step not in self._damaged]

    def at(self, step: int | None, read: Callable[[int], Read]) -> Read:
        """What `read` gives of a step; None: of the newest sound one. UserError where none is."""
        found = self.newest(read) if step is None else read(step)
        if found is None:
            raise UserError(f"there is no checkpoint in {self.folder}: train there first")
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
                f"no checkpoint in {self.folder} can be used, of {listed(steps)}: choose another "
                "--workdir, or move that folder elsewhere to start anew"
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
        if step in self._damaged:
            self._move_aside(step)
        self._storage.write(step, state, described(state, meta))
        self._unseen = step

    def wait(self) -> None:
        """Waits until all that was saved is on disk, and looks at it; then drops what is too old.

        Raises UserError when it cannot be written, or what was saved cannot be read.
        """
        if not self._storage.used:
            return
        step, self._unseen = self._unseen, None
        self._storage.wait()
        if step is not None:
            self._look_at(step)
            self._drop_old()

    def close(self) -> None:
        """Waits, then ends the background threads. The object may not be used afterwards."""
        if self._storage.used:
            try:
                self.wait()
            finally:
                self._storage.close()

    def meta(self, step: int) -> Any:
        """The meta of a step alone. Raises as `restore` does."""
        with self._reading(step) as held:
            return held.meta

    def restore(self, step: int, abstract_state: Any) -> tuple[Any, Any]:
        """Returns (state, meta) of one step; `state` has the tree, shapes and dtypes asked for.

        abstract_state: a tree of jax.ShapeDtypeStruct, as jax.eval_shape gives it. A leaf without
        a sharding goes to the first device. Raises UserError when the step is missing or is of
        another form, DamagedError when it cannot be read or is not what was saved.
        """
        with self._reading(step) as held:
            require_same(self._name(step), held.forms, forms(abstract_state))
            state = self._storage.state(step, abstract_state)
            held.check(state)
            return state, held.meta

    def restore_part(self, step: int, abstract_part: Mapping[str, Any]) -> Any:
        """The arrays of one part of the state of a step; nothing else of it is read.

        abstract_part: nested dicts down to the arrays that are wanted, keyed like the state's
        fields, say {"params": {"class": ...}}. Raises as `restore` does.
        """
        wanted = forms(abstract_part)
        with self._reading(step) as held:
            part = {key: form for key, form in held.forms.items() if key in wanted}
            require_same(self._name(step), part, wanted)
            state = self._storage.part(step, abstract_part)
            held.check(state)
            return state

    def check(self, step: int) -> bool:
        """Reads all of a step; whether it was checked, which one without checksums cannot be.

        Raises DamagedError where they cannot be read or are not what was saved.
        """
        with self._reading(step) as held:
            state = self._storage.arrays(step)
            if forms(state) != held.forms:
                raise KeyError("its arrays are not those that were saved")
            held.check(state)
            return held.checksums is not None

    def _look_at(self, step: int) -> None:
        """Raises UserError unless the arrays of a step are where its restore will look for them."""
        with self._reading(step) as held:
            if (found := self._storage.count(step)) != len(held.forms):
                raise KeyError(f"{found} of {len(held.forms)} arrays")

    def _drop_old(self) -> None:
        for step in sorted({*self.sound_steps()[: -self._keep]} - self._task_ends):
            self._storage.delete(step)

    def _move_aside(self, step: int) -> None:
        aside = self.folder.parent / ASIDE
        aside.mkdir(exist_ok=True)
        there = sum(path.name.split("-")[0] == str(step) for path in aside.iterdir())
        self._storage.move(step, aside / (f"{step}-{there + 1}" if there else str(step)))
        self._damaged.remove(step)

    def _name(self, step: int) -> str:
        return f"the checkpoint of step {step} in {self.folder}"

    @contextlib.contextmanager
    def _reading(self, step: int) -> Iterator[Contents]:
        """What a step says of itself. What is raised within, but a UserError, is its damage.

        Raises UserError where there is no such step.
        """
        if not (steps := self.steps()):
            raise UserError(f"there is no checkpoint in {self.folder}: train there first")
        if step not in steps:
            raise UserError(
                f"there is no checkpoint of step {step} in {self.folder}: take {listed(steps)}"
            )
        try:
            with no_stragglers():
                yield contents(self._storage.meta(step))
        except UserError:
            raise
        except Exception as error:  # Orbax and its readers raise what they stumble over
            self._damaged.add(step)
            raise DamagedError(self._name(step), error, steps) from error
