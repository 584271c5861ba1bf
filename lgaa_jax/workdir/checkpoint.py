"""Checkpoints in `<workdir>/checkpoints`. The only module that knows Orbax."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import orbax.checkpoint as ocp

from lgaa_jax.errors import UserError
from lgaa_jax.files import PathLike, expand
from lgaa_jax.workdir.forms import forms, placed, require_same
from lgaa_jax.workdir.noise import no_stragglers, quieten

# What Orbax 0.12 raises for truncated, missing and foreign files. JSONDecodeError is a ValueError.
_UNREADABLE = (ValueError, KeyError, OSError)


class Checkpoints:
    """The checkpoints of one run: saved in the background, restored bit for bit.

    A context manager; leaving it waits for the saving under way. The folder is made by the first
    save, so to ask for the steps of a run that does not exist leaves no trace. An older checkpoint
    is dropped only when a later one has been seen to be readable.
    """

    def __init__(self, workdir: PathLike, keep: int = 1, task_ends: Sequence[int] = ()):
        """Keeps the latest `keep` checkpoints and, beside them, each step in `task_ends`.

        Raises UserError when `keep` is less than 1.
        """
        if keep < 1:
            raise UserError(f"log.keep_checkpoints is {keep}: keep at least 1 checkpoint")
        # Orbax takes absolute paths only.
        self.folder = expand(workdir).resolve() / "checkpoints"
        self._keep = keep
        self._task_ends = {int(step) for step in task_ends}
        self._unseen: int | None = None  # the step saved last, until it has been read back

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @functools.cached_property
    def _manager(self) -> ocp.CheckpointManager:
        quieten()
        # Orbax would drop the old before anything has looked at the new: `_drop_old` does instead.
        options = ocp.CheckpointManagerOptions(enable_async_checkpointing=True)
        # Named here, the items can be read by a manager that has not written any.
        handlers = {"state": ocp.StandardCheckpointHandler(), "meta": ocp.JsonCheckpointHandler()}
        return ocp.CheckpointManager(self.folder, options=options, item_handlers=handlers)

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, in order, readable or not."""
        return sorted(self._manager.all_steps()) if self.folder.is_dir() else []

    def latest_step(self) -> int | None:
        """The last of `steps()`, None where there is none."""
        return max(self.steps(), default=None)

    def last(self, step: int | None = None) -> int:
        """`step` if it is given, else the latest step; UserError where there is none."""
        latest = self.latest_step() if step is None else step
        if latest is None:
            raise UserError(f"there is no finished checkpoint in {self.folder}: train there first")
        return latest

    def save(self, step: int, state: Any, meta: Mapping[str, Any]) -> None:
        """Saves a pytree of arrays and a JSON-able dict; does nothing when `step` is there already.

        Returns once the arrays are on the host, so the caller may donate them at once; the files
        are written in the background.
        """
        if step in self.steps():
            return
        self.wait()
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            # The forms are for restore(): Orbax casts another dtype silently.
            meta=ocp.args.JsonSave({"meta": meta, "forms": forms(state)}),
        )
        # force: without it Orbax skips a step that is before the latest one.
        self._manager.save(step, args=items, force=True)
        self._unseen = step

    def wait(self) -> None:
        """Waits until all that was saved is on disk, and looks at it; then drops what is too old.

        Raises what the saving raised, and UserError when what was saved cannot be read.
        """
        if "_manager" not in self.__dict__:
            return
        self._manager.wait_until_finished()
        if self._unseen is not None:
            step, self._unseen = self._unseen, None
            self._look_at(step)
            self._drop_old()

    def close(self) -> None:
        """Waits, then ends the background threads. The object may not be used afterwards."""
        if "_manager" in self.__dict__:
            try:
                self.wait()
            finally:
                self._manager.close()

    def _look_at(self, step: int) -> None:
        """Raises UserError unless the arrays of a step are where its restore will look for them."""
        try:
            meta = self._read(step, meta=ocp.args.JsonRestore())["meta"]
            stored = self._manager.item_metadata(step)["state"]
            found = len(jax.tree.leaves(stored, is_leaf=lambda leaf: hasattr(leaf, "shape")))
            if found != len(meta["forms"]):
                raise KeyError(f"{found} of {len(meta['forms'])} arrays")
        except _UNREADABLE as error:
            raise UserError(
                f"the checkpoint of step {step} was written to {self.folder} but cannot be read "
                f"({_reason(error)}); the checkpoints before it are kept: choose another --workdir"
            ) from error

    def _drop_old(self) -> None:
        steps = self.steps()
        for step in sorted({*steps[: -self._keep]} - self._task_ends):
            self._manager.delete(step)

    def restore(self, step: int, abstract_state: Any) -> tuple[Any, Any]:
        """Returns (state, meta) of one step; `state` has the tree, shapes and dtypes asked for.

        abstract_state: a tree of jax.ShapeDtypeStruct, as jax.eval_shape gives it. A leaf without
        a sharding goes to the first device. Raises UserError when the step is missing, is of
        another form or cannot be read.
        """
        self._require(step)
        try:
            meta = self._read(step, meta=ocp.args.JsonRestore())["meta"]
            require_same(self._name(step), meta["forms"], forms(abstract_state))
            target = ocp.args.StandardRestore(jax.tree.map(placed, abstract_state))
            return self._read(step, state=target)["state"], meta["meta"]
        except UserError:
            raise
        except _UNREADABLE as error:
            raise UserError(self._broken(step, error)) from error

    def restore_part(self, step: int, abstract_part: Mapping[str, Any]) -> Any:
        """The arrays of one part of the state of a step; nothing else of it is read.

        abstract_part: nested dicts down to the arrays that are wanted, keyed like the state's
        fields, say {"params": {"class": ...}}. Raises UserError as `restore` does.
        """
        self._require(step)
        target, wanted = jax.tree.map(placed, abstract_part), forms(abstract_part)
        arguments = ocp.args.PyTreeRestore(
            item=target,
            restore_args=ocp.checkpoint_utils.construct_restore_args(target),
            partial_restore=True,
        )
        try:
            stored = self._read(step, meta=ocp.args.JsonRestore())["meta"]["forms"]
            part = {key: form for key, form in stored.items() if key in wanted}
            require_same(self._name(step), part, wanted)
            # A checkpointer of its own: the manager's handler takes whole states only.
            with (
                no_stragglers(),
                ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer,
            ):
                return checkpointer.restore(self.folder / str(step) / "state", args=arguments)
        except UserError:
            raise
        except _UNREADABLE as error:
            raise UserError(self._broken(step, error)) from error

    def _read(self, step: int, **items: Any) -> Any:
        with no_stragglers():
            return self._manager.restore(step, args=ocp.args.Composite(**items))

    def _require(self, step: int) -> None:
        steps = self.steps()
        if not steps:
            raise UserError(f"there is no checkpoint in {self.folder}: train there first")
        if step not in steps:
            there = ", ".join(map(str, steps))
            raise UserError(f"there is no checkpoint of step {step} in {self.folder}: take {there}")

    def _name(self, step: int) -> str:
        return f"the checkpoint of step {step} in {self.folder}"

    def _broken(self, step: int, error: Exception) -> str:
        return (
            f"{self._name(step)} cannot be read "
            f"({_reason(error)}): delete {self.folder / str(step)} to go on from "
            f"the one before, or choose another with --step; there are {self.steps()}"
        )


def _reason(error: Exception) -> str:
    first = (str(error).strip() or "empty").splitlines()[0][:150]
    return f"{type(error).__name__}: {first}"
