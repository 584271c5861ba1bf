"""Times what surrounds a training step: start-up, whole tasks, evaluation, many tasks.

    python benchmarks/task.py [--config=configs/quickstart.py] [--steps=200] [--json=task.json]

- first step: seconds from the start of a process to its first training step, with an empty
  compilation cache and again with what that left there
- loop overhead: the second task's training time against its steps times the time of a step alone
- evaluation: seconds for every learned task's test set, against the task's training time
- task 10 against task 2 of a run of ten tasks: the time of a step, and the bytes held
"""

import argparse
import json
import os
import pathlib
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
from unittest import mock

import jax
import numpy as np

# `configs` lies beside this folder and is not installed.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from lgaa_jax.run import driver, experiment
from lgaa_jax.run.finishing import finish_task
from lgaa_jax.run.progress import Progress
from lgaa_jax.run.session import at_work, open_session
from lgaa_jax.run.training import train_task
from lgaa_jax.training.settings import fixed_settings
from lgaa_jax.training.state import begin_task
from lgaa_jax.workdir.record import Record
from lgaa_jax.workdir.scalars import ScalarLog

TEN = ",".join(f"digits[{i}]" for i in range(10))
TURNS = 15


def get_config(path: str):
    """The config that `path` (FILE or FILE:PRESET) gives."""
    file, _, preset = path.partition(":")
    return runpy.run_path(file)["get_config"](preset)


def first_step(args: argparse.Namespace) -> None:
    """Runs up to the first step and prints the seconds since the parent started this process."""

    def stop(_, count=1):
        print(time.time() - float(os.environ["BEGIN"]))
        sys.stdout.flush()
        os._exit(0)

    with (
        mock.patch.object(Progress, "update", stop),
        tempfile.TemporaryDirectory() as folder,
    ):
        driver.run(changed(args), folder)


def start_up(args: argparse.Namespace) -> dict[str, float]:
    """Seconds to the first step, without and with a compilation cache."""
    with tempfile.TemporaryDirectory() as cache:
        seconds = []
        for _ in range(2):
            environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": cache}
            command = [sys.executable, __file__, "--first-step", f"--config={args.config}"]
            command += [f"--data_dir={args.data_dir}"]
            environment["BEGIN"] = str(time.time())
            done = subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True
            )
            seconds.append(float(done.stdout.split()[-1]))
    return {"first_step_cold_s": seconds[0], "first_step_s": seconds[1]}


def changed(args: argparse.Namespace, **changes):
    """The config with the steps of this measurement."""
    config = get_config(args.config)
    config.steps_per_task, config.data.data_dir = args.steps, args.data_dir
    config.update(changes)
    return config


def step_seconds(r, s, task: int) -> tuple[float, object]:
    """Median seconds of one training step of a task, and the state after it."""
    s = s.replace(task=jax.device_put(np.int32(task)))
    pool = r.batches.pool(task, s)
    taken = []
    for turn in range(TURNS + 1):
        indices = r.batches.places.indices(task, r.batches.places.start(task) + turn)
        given = jax.device_put(
            (
                np.tile(indices, (r.steps_per_call, 1)),
                np.int32(r.batches.places.num_pool(task)),
                np.int32(r.steps_per_call),
            )
        )
        begin = time.perf_counter()
        s, _ = jax.block_until_ready(r.train_steps(s, r.train_key, pool, *given))
        if turn:
            taken.append((time.perf_counter() - begin) / r.steps_per_call)
    return statistics.median(taken), s


def whole_task(args: argparse.Namespace) -> dict[str, float]:
    """Training and evaluation of both tasks of the config, against steps timed alone."""
    with (
        fixed_settings(),
        tempfile.TemporaryDirectory() as folder,
        at_work(open_session(changed(args), folder)) as session,
        ScalarLog(session.workdir, 0, []) as log,
        session.console.progress(session.experiment.ends[-1], 0) as progress,
    ):
        r = session.experiment
        before, _ = step_seconds(r, session.fresh(), 1)  # compiles, too; replay begins with task 1
        state, record = session.fresh(), Record()
        for task in range(len(r.tasks)):
            state = begin_task(state) if task else state
            begin = time.perf_counter()
            state, record = train_task(session, state, record, task, log, progress)
            trained = time.perf_counter()
            record = finish_task(session, state, record, task, log)
            evaluated = time.perf_counter()
        after, _ = step_seconds(r, state, 1)
    step = (before + after) / 2
    return {
        "step_s": step,
        "task_s": trained - begin,
        "loop_overhead": (trained - begin) / (args.steps * step) - 1,
        "evaluation_s": evaluated - trained,
    }


def ten_tasks(args: argparse.Namespace) -> dict[str, float]:
    """The time of a step and the bytes of all live arrays, in tasks 2 and 10 of ten."""
    r = experiment.build(changed(args, tasks=TEN))
    s, found = r.init(), {}
    for task in range(10):
        if task:
            s = begin_task(s)
        if task in (1, 9):
            seconds, s = step_seconds(r, s, task)
            held = sum(a.nbytes for a in jax.live_arrays())
            found |= {f"task{task + 1}_step_s": seconds, f"task{task + 1}_bytes": held}
    return found


def main() -> None:
    """Parses the flags, measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/quickstart.py")
    parser.add_argument("--data_dir", default="")
    parser.add_argument("--steps", type=int, default=200, help="steps of each task")
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--first-step", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.first_step:
        first_step(args)
    found = start_up(args) | whole_task(args) | ten_tasks(args)
    for name, value in found.items():
        print(f"{name:<20}{value:14.4g}", flush=True)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)


if __name__ == "__main__":
    main()
