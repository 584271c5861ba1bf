"""Orbax: the steps of a folder of checkpoints, written and read. The only module that knows it.

What is raised of damaged files is whatever Orbax and its readers stumble over.
"""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from lgaa_jax.workdir.contents import UnwrittenError
from lgaa_jax.workdir.forms import placed
from lgaa_jax.workdir.noise import quieten


class Storage:
    """States and JSON objects by step; the folder is made by the first `write`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._step: int | None = None  # that was written last

    @functools.cached_property
    def _manager(self) -> ocp.CheckpointManager:
        quieten()
        # It would drop the old before anything has looked at the new: our caller does instead.
        self.folder.mkdir(parents=True, exist_ok=True)
        options = ocp.CheckpointManagerOptions(
            enable_async_checkpointing=True, create=False, multiprocessing_options=_alone()
        )
        # Named here, the items can be read by a manager that has not written any.
        alone = _alone()
        handlers = {
            "state": ocp.StandardCheckpointHandler(multiprocessing_options=alone),
            "meta": ocp.JsonCheckpointHandler(multiprocessing_options=alone),
        }
        return ocp.CheckpointManager(self.folder, options=options, item_handlers=handlers)

    @property
    def used(self) -> bool:
        """Whether anything was asked of it, so that it has threads to be ended."""
        return "_manager" in self.__dict__

    def steps(self) -> list[int]:
        """The steps that are there, in order, readable or not."""
        return sorted(self._manager.all_steps()) if self.folder.is_dir() else []

    def write(self, step: int, state: Any, meta: Any) -> None:
        """Writes in the background; returns once the arrays are on the host. UnwrittenError."""
        items = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta))
        self._step = step
        with self._writing():
            # force: without it Orbax skips a step that is before the latest one.
            self._manager.save(step, args=items, force=True)

    def wait(self) -> None:
        """Waits until all that was written is on disk; UnwrittenError where it cannot be."""
        with self._writing():
            self._manager.wait_until_finished()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # Orbax and its writers raise many kinds
            raise UnwrittenError(self.folder, self._step, error) from error

    def close(self) -> None:
        """Ends the background threads."""
        self._manager.close()

    def delete(self, step: int) -> None:
        """Deletes a step."""
        self._manager.delete(step)

    def move(self, step: int, target: Path) -> None:
        """Moves the folder of a step elsewhere."""
        (self.folder / str(step)).rename(target)
        self._manager.reload()  # it remembers what it has seen

    def meta(self, step: int) -> Any:
        """The JSON object of a step."""
        meta = ocp.args.JsonRestore()
        return self._manager.restore(step, args=ocp.args.Composite(meta=meta))["meta"]

    def count(self, step: int) -> int:
        """How many arrays a step has, as it says itself."""
        return len(jax.tree.leaves(self._tree(step)))

    def state(self, step: int, abstract: Any) -> Any:
        """The state of a step, in the tree of `abstract`, each leaf where it says, or placed."""
        target = ocp.args.StandardRestore(jax.tree.map(placed, abstract))
        return self._manager.restore(step, args=ocp.args.Composite(state=target))["state"]

    def part(self, step: int, abstract: Any) -> Any:
        """Those arrays of a step that nested dicts name; nothing else is read."""
        target = jax.tree.map(placed, abstract)
        arguments = ocp.args.PyTreeRestore(
            item=target,
            restore_args=ocp.checkpoint_utils.construct_restore_args(target),
            partial_restore=True,
        )
        return self._read_alone(step, arguments)

    def arrays(self, step: int) -> Any:
        """All arrays of a step, for NumPy, in a tree as it says itself."""
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(np.ndarray), self._tree(step))
        return self._read_alone(step, ocp.args.PyTreeRestore(restore_args=as_numpy))

    def _tree(self, step: int) -> Any:
        return self._manager.item_metadata(step)["state"].tree

    def _read_alone(self, step: int, arguments: ocp.args.PyTreeRestore) -> Any:
        """Reads by a checkpointer of its own: the manager's handler takes whole states only."""
        handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=_alone())
        with ocp.Checkpointer(handler, multiprocessing_options=_alone()) as checkpointer:
            return checkpointer.restore(self.folder / str(step) / "state", args=arguments)


def _alone() -> ocp.options.MultiprocessingOptions:
    """That of several processes this one alone reads or writes, and waits for no other."""
    own = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"process{own}"
    )
