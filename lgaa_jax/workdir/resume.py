"""With what a run may go on: its own config and data, also with more tasks at the end."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections

from lgaa_jax.data.loading import Task, crops
from lgaa_jax.data.notation import split_tasks
from lgaa_jax.errors import UserError
from lgaa_jax.files import PathLike
from lgaa_jax.training.strategies import STRATEGIES
from lgaa_jax.workdir.metadata import (
    CONFIG,
    dotted,
    plain_config,
    read_metadata,
    require_format,
)

Flat = dict[str, Any]  # a config with dotted keys: {"a.b": 1}

# Keys that runs of earlier versions lack, with the value as which they go on.
ADDED: Flat = {
    "data.background": "white",
    "eval.split": "test",
    "eval.every": 1,
    "eval.confidence": 0.0,
    "code_noise": 1.0,
    "code_rank": 0,
    "code_modes": 1,
    "code_spread": 1.0,
    "learning_rate_warmup": 0.0,
    "net.projection": False,
    "loss.adversarial": "wgan_gp",
    "loss.r1": 1.0,
    "loss.r2": 0.0,
    "loss.chroma": 0.0,
    "net.class_full": 0,
    "loss.class_shift": 0.0,
    "data.streaming": "auto",
    "data.workers": 0,
    "retries": 0,
    "retry_rate": 0.5,
}


def check_same_config(
    workdir: PathLike, config: ml_collections.ConfigDict, free: Collection[str] = ()
) -> None:
    """Raises UserError when the run in `workdir`, if there is one, cannot go on with `config`.

    free: dotted keys that may differ. It reads config.json alone, and no data.
    """
    if Path(workdir, CONFIG).exists():
        changes(workdir, require_config(workdir), plain_config(config), free)


def changes(
    workdir: PathLike, there: Mapping[str, Any], now: Mapping[str, Any], free: Collection[str]
) -> dict[str, Any]:
    """{dotted key: [value there, value now]} of the keys that differ and may.

    there: what config.json of the run in `workdir` holds; now: the config, as plain values. Raises
    UserError with those that differ and may not: they are not in `free`, nor is it that the run is
    given more tasks at the end, for which it has room.
    """
    new = dotted(now)
    old = {key: ADDED[key] for key in ADDED if key in new} | dotted(there["config"])
    free = (*free, *_grown(workdir, old, new))
    differ = [key for key in sorted({*old, *new}) if _differs(old, new, key)]
    if refused := [key for key in differ if key not in free]:
        text = ", ".join(f"{k} (there {_shown(old, k)}, now {_shown(new, k)})" for k in refused)
        raise UserError(
            f"the run in {workdir} was started with another {text}: "
            "choose another --workdir or put the values back"
        )
    return {key: [old.get(key), new.get(key)] for key in differ}


def check_same_data(workdir: PathLike, there: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises UserError when the data of the tasks of a run have changed on disk.

    there, now: what config.json holds; of versions before there were fingerprints, the names of the
    classes are compared alone. Of a fingerprint, what both have counts: of images that are streamed
    it has less.
    """
    for task in there.get("labels", {}):
        old, new = (
            {"classes": found["classes"].get(task), **found.get("data", {}).get(task, {})}
            for found in (there, now)
        )
        differ = [key for key in old if key in new and _differs(old, new, key)]
        if differ:
            text = ", ".join(f"{k} (there {_shown(old, k)}, now {_shown(new, k)})" for k in differ)
            raise UserError(
                f"the data of task {task!r} have changed since the run in {workdir} was started: "
                f"other {text}; put them back or choose another --workdir"
            )


def _grown(workdir: PathLike, old: Flat, new: Flat) -> tuple[str, ...]:
    """The keys that may differ because the run is given more tasks at the end.

    Raises UserError where that is what is asked for and the run has no room for them.
    """
    before, after = (split_tasks(flat["tasks"]) for flat in (old, new))
    n = len(before)
    if len(after) <= n or after[:n] != before or _differs(old, new, "max_tasks"):
        return ()
    back = "choose another --workdir or put `tasks` back"
    if STRATEGIES[new["strategy"]].memory == "data":
        raise UserError(
            f"the run in {workdir} has strategy={new['strategy']!r}, which learns all tasks at "
            f"once, and cannot be given more: {back}"
        )
    if len(after) > new["max_tasks"]:
        raise UserError(
            f"the run in {workdir} has room for its {n} tasks only, as max_tasks was not set when "
            f"it was started: {back}"
        )
    same = crops(old.get("data.crop", ""), n) == crops(new["data.crop"], len(after))[:n]
    return ("tasks", "data.crop") if same else ("tasks",)


def check_classes(workdir: PathLike, loaded: Sequence[Task], before: int) -> None:
    """Raises UserError when a task after the first `before` has more classes than all of those."""
    most = max(task.num_classes for task in loaded[:before])
    for task in loaded[before:]:
        if task.num_classes > most:
            raise UserError(
                f"task {task.name!r} has {task.num_classes} classes and the networks of the run in "
                f"{workdir} have room for {most}: choose another --workdir or put `tasks` back"
            )


def require_config(workdir: PathLike) -> dict[str, Any]:
    """What config.json holds. Raises UserError where it is missing or damaged."""
    try:
        written = read_metadata(workdir)
        split_tasks(written["config"]["tasks"])
    except (ValueError, KeyError, TypeError) as error:
        path = Path(workdir, CONFIG)
        raise UserError(
            f"{path} is not the config of a run, or damaged: choose another --workdir or delete it"
        ) from error
    require_format(workdir, written)
    return written


def _shown(flat: Flat, key: str) -> str:
    return json.dumps(flat[key]) if key in flat else "absent"


def _differs(old: Flat, new: Flat, key: str) -> bool:
    """Whether a value is another one. 1 and 1.0 are the same number; a nan is itself."""
    equal = key in old and key in new and old[key] == new[key]
    return not equal and _shown(old, key) != _shown(new, key)
