"""A folder of checkpoints of which each array is compared with its checksum when it is read."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lgaa_jax.errors import UserError
from lgaa_jax.workdir.contents import Contents, DamagedError, contents, described
from lgaa_jax.workdir.forms import forms, require_same
from lgaa_jax.workdir.storage import Storage


class CheckedStorage:
    """States and JSON objects by step, restored bit for bit or not at all.

    What is read raises DamagedError where the step cannot be read or is not what was written. The
    steps that were found damaged are remembered, and left as they are.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._storage = Storage(folder)
        self._damaged: set[int] = set()

    def steps(self) -> list[int]:
        """The steps that are there, in order, readable or not."""
        return self._storage.steps()

    def sound_steps(self) -> list[int]:
        """The steps that are there and were not found damaged, in order."""
        return [step for step in self.steps() if step not in self._damaged]

    def name(self, step: int) -> str:
        """What a checkpoint is called in sentences."""
        return f"the checkpoint of step {step} in {self.folder}"

    def write(self, step: int, state: Any, meta: Mapping[str, Any], aside: Path) -> None:
        """Writes in the background; returns once the arrays are on the host. UnwrittenError.

        aside: the folder to which a damaged checkpoint of that step is moved.
        """
        if step in self._damaged:
            aside.mkdir(exist_ok=True)
            there = sum(path.name.split("-")[0] == str(step) for path in aside.iterdir())
            self._storage.move(step, aside / (f"{step}-{there + 1}" if there else str(step)))
            self._damaged.remove(step)
        self._storage.write(step, state, described(state, meta))

    def wait(self) -> None:
        """Waits until all that was written is on disk; UnwrittenError where it cannot be."""
        if self._storage.used:
            self._storage.wait()

    def close(self) -> None:
        """Ends the background threads."""
        if self._storage.used:
            self._storage.close()

    def delete(self, step: int) -> None:
        """Deletes a step."""
        self._storage.delete(step)

    def meta(self, step: int) -> Any:
        """The meta of a step alone."""
        with self._reading(step) as held:
            return held.meta

    def restore(self, step: int, abstract_state: Any) -> tuple[Any, Any]:
        """State and meta of a step; UserError where the state is of another form than asked for."""
        with self._reading(step) as held:
            require_same(self.name(step), held.forms, forms(abstract_state))
            state = self._storage.state(step, abstract_state)
            held.check(state)
            return state, held.meta

    def restore_part(self, step: int, abstract_part: Mapping[str, Any]) -> Any:
        """Those arrays of a step that nested dicts name; nothing else of it is read."""
        wanted = forms(abstract_part)
        with self._reading(step) as held:
            part = {key: form for key, form in held.forms.items() if key in wanted}
            require_same(self.name(step), part, wanted)
            state = self._storage.part(step, abstract_part)
            held.check(state)
            return state

    def read(self, step: int) -> tuple[Any, Contents]:
        """All arrays of a step, for NumPy, in nested dicts, and what it says of itself."""
        with self._reading(step) as held:
            state = self._storage.arrays(step)
            if forms(state) != held.forms:
                raise KeyError("its arrays are not those that were saved")
            held.check(state)
            return state, held

    def look_at(self, step: int) -> None:
        """Raises DamagedError unless all arrays of a step are where their reader will look."""
        with self._reading(step) as held:
            if (found := self._storage.count(step)) != len(held.forms):
                raise KeyError(f"{found} of {len(held.forms)} arrays")

    @contextlib.contextmanager
    def _reading(self, step: int) -> Iterator[Contents]:
        """What a step says of itself. What is raised within, but a UserError, is its damage."""
        steps = self.steps()
        try:
            yield contents(self._storage.meta(step))
        except UserError:
            raise
        except Exception as error:  # Orbax and its readers raise what they stumble over
            self._damaged.add(step)
            raise DamagedError(self.name(step), error, steps) from error
