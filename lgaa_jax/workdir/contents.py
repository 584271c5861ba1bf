"""What a checkpoint says of itself: the form and the checksum of each array, under one seal.

Orbax compares nothing of what it reads with what it wrote: a bit that has changed on disk gives
other parameters without a word.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lgaa_jax.errors import UserError
from lgaa_jax.seals import array_checksum, opened, sealed
from lgaa_jax.workdir.forms import by_path, forms

_UNSEALED = frozenset({"meta", "forms"})  # keys in the checkpoints of versions without checksums


class DamagedError(UserError):
    """A checkpoint that cannot be read, or is not what was saved."""

    def __init__(self, name: str, error: Exception, steps: Sequence[int]):
        super().__init__(
            f"{name} is damaged ({_reason(error)}) and is not used; nothing is "
            f"deleted, and there are {listed(steps)}"
        )


class UnwrittenError(UserError):
    """A checkpoint that could not be written, as of a full disk."""

    def __init__(self, folder: Path, step: int | None, error: Exception):
        super().__init__(
            f"the checkpoint of step {step} cannot be written to {folder} ({_reason(error)}); "
            "those before it are kept, and once that is mended, the same command goes on"
        )


class Contents(NamedTuple):
    """What a checkpoint holds beside its arrays."""

    meta: Any  # as it was given to be saved
    forms: dict[str, str]  # of each array, by its path
    checksums: dict[str, str] | None  # None: written by a version that took none

    def check(self, arrays: Any) -> None:
        """Raises ValueError unless the arrays of a tree, all or a part, are those saved."""
        if self.checksums is None:
            return
        found = by_path(arrays)
        differ = [key for key in found if array_checksum(found[key]) != self.checksums.get(key)]
        if differ:
            others = f", nor are {len(differ) - 1} others" if len(differ) > 1 else ""
            raise ValueError(f"{differ[0]} is not what was saved{others}")


def described(state: Any, meta: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object that is saved beside the arrays of `state`."""
    checksums = {path: array_checksum(leaf) for path, leaf in by_path(state).items()}
    return sealed({"meta": meta, "forms": forms(state), "checksums": checksums})


def contents(obj: Any) -> Contents:
    """What `described` made. Raises ValueError where that is damaged."""
    held = opened(obj, _UNSEALED)
    if held is None:
        raise ValueError("what it says of itself is not what was saved")
    return Contents(held["meta"], held["forms"], held.get("checksums"))


def listed(steps: Sequence[int]) -> str:
    """The steps as a text."""
    return ", ".join(map(str, steps))


def _reason(error: Exception) -> str:
    first = (str(error).strip() or "empty").splitlines()[0][:150]
    return f"{type(error).__name__}: {first}"
