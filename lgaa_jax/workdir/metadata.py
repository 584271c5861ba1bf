"""config.json: the whole config of a run, and what it ran with."""

import contextlib
import importlib.metadata
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections

from lgaa_jax.errors import UserError
from lgaa_jax.files import PathLike, read_json, write_json
from lgaa_jax.seals import opened, sealed

CONFIG = "config.json"
# Of the workdir and of exports, to be raised when an earlier version could not go on with one. 0 is
# that of version 0.1 before it was written down: no checksums, no fingerprints. 1 had whole
# checkpoints of all tasks' ends.
FORMAT = 2
# Those that tell whether a run is the same; they are in its checkpoints, too.
IDENTITY = ("format", "config", "classes", "labels", "data")
# All the keys that one without a seal may have, as versions before there were seals wrote it.
_KEYS = frozenset({*IDENTITY, "changed", "versions", "device", "command", "commit"})
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "lgaa-jax")


def plain_config(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Every key with its value as JSON has it."""
    return json.loads(json.dumps(config.to_dict()))


def dotted(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} as {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        inner = isinstance(value, Mapping)
        flat |= dotted(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return flat


def changed(
    config: ml_collections.ConfigDict, defaults: ml_collections.ConfigDict
) -> dict[str, Any]:
    """{dotted key: its default} of the keys that have another value; None where there is none."""
    now, before = dotted(plain_config(config)), dotted(plain_config(defaults))
    return {
        key: before.get(key)
        for key, value in now.items()
        if key not in before or before[key] != value
    }


def run_metadata(
    config: ml_collections.ConfigDict,
    class_names: Mapping[str, Sequence[str]],
    labels: Mapping[str, Sequence[int]],
    data: Mapping[str, Any],
    defaults: ml_collections.ConfigDict | None = None,
) -> dict[str, Any]:
    """What config.json holds, but for `changes`.

    format: `FORMAT`; config: every key; changed: those that differ from the defaults, with their
    defaults, where these are given; classes: {task: name of each label}; labels: {task: those that
    it has}, for every task in its order; data: {task: its fingerprint}; versions: of the packages;
    device: kind and number of the devices; command: the command line; commit: of the sources, where
    git has one, with "+" when files differ from it.
    """
    devices = jax.devices()
    found = {
        "format": FORMAT,
        "config": plain_config(config),
        **({} if defaults is None else {"changed": changed(config, defaults)}),
        "classes": {task: list(names) for task, names in class_names.items()},
        "labels": {task: list(found) for task, found in labels.items()},
        "data": dict(data),
        "versions": versions(),
        "device": {"kind": devices[0].device_kind, "count": len(devices)},
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
    }
    commit = source_commit()
    return found | ({"commit": commit} if commit else {})


def write_metadata(workdir: PathLike, metadata: Mapping[str, Any]) -> None:
    """Writes config.json."""
    write_json(Path(workdir, CONFIG), sealed(metadata))


def read_metadata(workdir: PathLike) -> dict[str, Any]:
    """What `write_metadata` wrote. Raises ValueError where that is missing or damaged."""
    held = opened(read_json(Path(workdir, CONFIG)), _KEYS)
    if held is None or not isinstance(held.get("config"), dict):
        raise ValueError("damaged")
    return held


def require_format(folder: PathLike, written: Mapping[str, Any]) -> None:
    """Raises UserError where a run or an export, `written`, is of a later version's format."""
    if (found := written.get("format", 0)) > FORMAT:
        raise UserError(
            f"{folder} is of format {found} and was written by a later version of lgaa_jax; this "
            f"one knows formats up to {FORMAT}: install that version, or name another folder."
        )


def versions() -> dict[str, str]:
    """{package: version} of Python and of what the results rest on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        # lgaa-jax itself is not installed when it runs from its sources.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def source_commit() -> str | None:
    """The git commit of this package's sources; None where they have none or git is absent."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=here, capture_output=True, text=True, check=True, timeout=10
        )
        return done.stdout.strip()

    try:
        # Installed packages may lie in somebody else's repository, which does not track them.
        git("ls-files", "--error-unmatch", Path(__file__).name)
        dirty = git("status", "--porcelain", "--untracked-files=no", "--", str(here))
        return git("rev-parse", "HEAD") + ("+" if dirty else "")
    except (OSError, subprocess.SubprocessError):
        return None
