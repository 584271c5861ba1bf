"""Checkpoints in `<workdir>/checkpoints`. The only module that knows Orbax."""

import contextlib
import functools
import logging
import os
import pathlib
import sys
import time
from collections.abc import Sequence

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from lgaa_jax.errors import UserError

# What Orbax 0.12 raises for truncated, missing and foreign files. JSONDecodeError is a ValueError.
_UNREADABLE = (ValueError, KeyError, OSError)


class Checkpoints:
    """The checkpoints of one run: saved in the background, restored bit for bit.

    A context manager; leaving it waits for the saving under way. The folder is made by the first
    save, so to ask for the steps of a run that does not exist leaves no trace.
    """

    def __init__(self, workdir: str | os.PathLike, keep: int = 1, task_ends: Sequence[int] = ()):
        """Keeps the latest `keep` checkpoints and, beside them, each step in `task_ends`.

        Raises UserError when `keep` is less than 1.
        """
        if keep < 1:
            raise UserError(f"log.keep_checkpoints is {keep}: keep at least 1 checkpoint")
        # Orbax takes absolute paths only.
        self.folder = pathlib.Path(workdir).expanduser().resolve() / "checkpoints"
        self._keep = keep
        self._task_ends = [int(step) for step in task_ends]

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exc_info):
        self.close()

    @functools.cached_property
    def _manager(self) -> ocp.CheckpointManager:
        _quieten()
        keep = [policies.LatestN(self._keep), policies.CustomSteps(self._task_ends)]
        options = ocp.CheckpointManagerOptions(
            enable_async_checkpointing=True,
            preservation_policy=policies.AnyPreservationPolicy(keep),
        )
        # Named here, the items can be read by a manager that has not written any.
        handlers = {"state": ocp.StandardCheckpointHandler(), "meta": ocp.JsonCheckpointHandler()}
        return ocp.CheckpointManager(self.folder, options=options, item_handlers=handlers)

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, in order, readable or not."""
        return sorted(self._manager.all_steps()) if self.folder.is_dir() else []

    def latest_step(self) -> int | None:
        """The last of `steps()`, None where there is none."""
        return max(self.steps(), default=None)

    def save(self, step: int, state, meta: dict):
        """Saves a pytree of arrays and a JSON-able dict; does nothing when `step` is there already.

        Returns once the arrays are on the host, so the caller may donate them at once; the files
        are written in the background.
        """
        if step in self.steps():
            return
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            # The forms are for restore(): Orbax casts another dtype silently.
            meta=ocp.args.JsonSave({"meta": meta, "forms": _forms(state)}),
        )
        # force: without it Orbax skips a step that is before the latest one.
        self._manager.save(step, args=items, force=True)

    def wait(self):
        """Waits until all that was saved is on disk; raises what the background saving raised."""
        if "_manager" in self.__dict__:
            self._manager.wait_until_finished()

    def close(self):
        """Waits, then ends the background threads. The object may not be used afterwards."""
        if "_manager" in self.__dict__:
            self._manager.close()

    def restore(self, step: int, abstract_state) -> tuple:
        """Returns (state, meta) of one step; `state` has the tree, shapes and dtypes asked for.

        abstract_state: a tree of jax.ShapeDtypeStruct, as jax.eval_shape gives it. A leaf without
        a sharding goes to the first device. Raises UserError when the step is missing, is of
        another form or cannot be read.
        """
        self._require(step)
        try:
            meta = self._read(step, meta=ocp.args.JsonRestore())["meta"]
            stored, wanted = meta["forms"], _forms(abstract_state)
            if stored != wanted:
                raise UserError(self._other_form(step, stored, wanted))
            target = ocp.args.StandardRestore(jax.tree.map(_placed, abstract_state))
            return self._read(step, state=target)["state"], meta["meta"]
        except UserError:
            raise
        except _UNREADABLE as error:
            raise UserError(self._broken(step, error)) from error

    def _read(self, step: int, **items):
        with _no_stragglers():
            return self._manager.restore(step, args=ocp.args.Composite(**items))

    def _require(self, step: int):
        steps = self.steps()
        if not steps:
            raise UserError(f"there is no checkpoint in {self.folder}: train there first")
        if step not in steps:
            there = ", ".join(map(str, steps))
            raise UserError(f"there is no checkpoint of step {step} in {self.folder}: take {there}")

    def _other_form(self, step: int, stored: dict, wanted: dict) -> str:
        differ = [k for k in sorted({*stored, *wanted}) if stored.get(k) != wanted.get(k)]
        first = differ[0]
        return (
            f"the checkpoint of step {step} in {self.folder} is of another model: {first} is "
            f"{stored.get(first, 'absent')} there and {wanted.get(first, 'absent')} in this config "
            f"({len(differ)} of {len(wanted)} arrays differ): put the config back or choose "
            "another --workdir"
        )

    def _broken(self, step: int, error: Exception) -> str:
        reason = (str(error).strip() or "empty").splitlines()[0][:150]
        return (
            f"the checkpoint of step {step} in {self.folder} cannot be read "
            f"({type(error).__name__}: {reason}): delete {self.folder / str(step)} to go on from "
            f"the one before, or choose another with --step; there are {self.steps()}"
        )


def _forms(tree) -> dict[str, str]:
    """The dtype and shape of each array of a tree under its path: {"params/w": "float32[3, 4]"}."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): _form(leaf) for path, leaf in leaves
    }


def _form(leaf) -> str:
    leaf = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
    return f"{leaf.dtype}{list(leaf.shape)}"


def _placed(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    """The leaf with a sharding: without one Orbax wants the devices that the state was saved on."""
    sharding = leaf.sharding or jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


@contextlib.contextmanager
def _no_stragglers():
    """Keeps a failed read to its one error.

    When one array cannot be read, Orbax closes its event loop while the others are on their way;
    each of those would then print a traceback from a background thread, a moment later.
    """
    hook = sys.unraisablehook
    sys.unraisablehook = lambda what: "loop is closed" in str(what.exc_value) or hook(what)
    try:
        yield
    except Exception:
        time.sleep(0.3)
        raise
    finally:
        sys.unraisablehook = hook


def _not_chatter(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR or "orbax" not in record.pathname


def _quieten():
    """Drops Orbax's own lines below ERROR, pages per save, from absl's log; others' stay."""
    logging.getLogger("absl").addFilter(_not_chatter)
