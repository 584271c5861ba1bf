"""Runs of two tasks by launch.py, and what they end in."""

import json
import pathlib
import shutil
import subprocess
import sys
import time

import jax
import numpy as np

from lgaa_jax.workdir import results
from lgaa_jax.workdir.checkpoint import Checkpoints

ROOT = pathlib.Path(__file__).parents[1]
RATES = {"train/steps_per_second", "train/images_per_second"}


def command(config: str, workdir: pathlib.Path, *flags: str) -> list[str]:
    """What starts a run of two tasks, which may be given its second one later."""
    given = [f"--config={config}", f"--workdir={workdir}", "--config.max_tasks=2", *flags]
    return [sys.executable, str(ROOT / "launch.py"), *given]


def finish(arguments: list[str]) -> float:
    """Runs the command to its end; returns the seconds it took."""
    begin = time.monotonic()
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return time.monotonic() - begin


def state(workdir: pathlib.Path) -> dict[str, bytes]:
    """The bytes of each array of the last checkpoint."""
    with Checkpoints(workdir) as checkpoints:
        return arrays(checkpoints, checkpoints.steps()[-1])


def arrays(checkpoints: Checkpoints, step: int) -> dict[str, bytes]:
    """The bytes of each array of a step, as they are read without being checked."""
    leaves = jax.tree_util.tree_leaves_with_path(checkpoints._storage.arrays(step))
    return {jax.tree_util.keystr(path): np.asarray(leaf).tobytes() for path, leaf in leaves}


def told(workdir: pathlib.Path) -> tuple[dict, list[dict]]:
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
    finish(command(config, whole, *flags))
    finish(command(config, extended(whole), *flags, "--config.tasks=digits"))
    finish(command(config, extended(whole), *flags))
    shutil.rmtree(whole)
    return finish(command(config, whole, *flags))


def ending(workdir: pathlib.Path) -> tuple[dict[str, bytes], dict]:
    """State and results of a finished run."""
    return state(workdir), told(workdir)[0]
