"""Runs of two tasks by launch.py, and what they end in."""

import json
import pathlib
import shutil
import sys
import time
from typing import Any

import jax
import numpy as np

from benchmarks import forks
from lgaa_jax.seals import checksum
from lgaa_jax.workdir import results
from lgaa_jax.workdir.checkpoint import Checkpoints

LONG = 3600.0  # seconds that no run here takes
RATES = {"train/steps_per_second", "train/images_per_second"}


def bytes_in(folder: pathlib.Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def flags_of(config: str, workdir: pathlib.Path, *flags: str) -> list[str]:
    """The flags of a run of two tasks, which may be given its second one later."""
    return [f"--config={config}", f"--workdir={workdir}", "--config.max_tasks=2", *flags]


def finish(flags: list[str], output: pathlib.Path) -> float:
    """Runs launch.py to its end; returns the seconds it took."""
    begin = time.monotonic()
    status = forks.wait(forks.start(flags, output), LONG)
    if status:
        sys.exit(f"launch.py {' '.join(flags)} ended with {status}:\n{output.read_text()}")
    return time.monotonic() - begin


def ending(workdir: pathlib.Path) -> dict[str, Any]:
    """What a finished run ends in: checksums of its state, and its results and metrics."""
    with Checkpoints(workdir) as checkpoints:
        found = arrays(checkpoints, checkpoints.steps()[-1])
    state = {name: checksum(value) for name, value in found.items()}
    told, lines = _told(workdir)
    return {"other state": state, "other results": told, "other metrics": lines}


def arrays(checkpoints: Checkpoints, step: int) -> dict[str, bytes]:
    """The bytes of each array of a step. Raises DamagedError where one is not what was saved."""
    leaves = jax.tree_util.tree_leaves_with_path(checkpoints.read(step))
    return {jax.tree_util.keystr(path): np.asarray(leaf).tobytes() for path, leaf in leaves}


def _told(workdir: pathlib.Path) -> tuple[dict, list[dict]]:
    """The results and the lines of metrics, less what depends on the clock."""
    found = results.read(workdir)
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    kept = [{name: v for name, v in line.items() if name not in RATES} for line in lines]
    return {name: v for name, v in found.items() if name != "seconds"}, kept


def extended(workdir: pathlib.Path) -> pathlib.Path:
    """The folder of the run left alone that was given its second task later."""
    return workdir.with_name("extended")


def left_alone(config: str, whole: pathlib.Path, flags: list[str]) -> float:
    """Makes both runs left alone; returns the seconds of one with its programs compiled."""
    output, longer = whole.with_name("output"), flags_of(config, extended(whole), *flags)
    finish(flags_of(config, whole, *flags), output)
    finish([*longer, "--config.tasks=digits"], output)
    finish(longer, output)
    shutil.rmtree(whole)
    return finish(flags_of(config, whole, *flags), output)
