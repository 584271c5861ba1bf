"""The driver: a loop over tasks and steps, with checkpoints, evaluation and the files of a run."""

import dataclasses
import os
import re
import time
from collections.abc import Iterator, Sequence

import jax
import ml_collections
import numpy as np

from lgaa_jax import assessment, plots, report, results, resume, state
from lgaa_jax import config as configuration
from lgaa_jax.checkpoint import Checkpoints
from lgaa_jax.errors import UserError
from lgaa_jax.experiment import Run, build


def run(config: ml_collections.ConfigDict, workdir: str) -> state.TrainState:
    """Trains all tasks, or goes on where an earlier call stopped; returns the final state.

    Stopped anywhere and called again, it ends in the same bits as an uninterrupted run (on a CPU);
    and so does a run that is given more tasks at the end, within its `max_tasks`.
    """
    r = _opened(config, workdir)
    report.write_json(os.path.join(workdir, "config.json"), report.resolved_config(config))
    with Checkpoints(workdir, config.log.keep_checkpoints, r.ends) as checkpoints:
        s, done = _restore(r, checkpoints, None) or (_fresh(r), results.Done())
        with report.ScalarLog(workdir, int(s.step)) as log:
            for task in range(int(s.task), len(r.tasks)):
                if task > int(s.task):
                    s = state.begin_task(s)
                s, done = _train_task(r, s, done, task, log, checkpoints)
                if len(done.rows) <= task:
                    done = _finish_task(r, s, done, task, log, checkpoints, workdir)
                    checkpoints.save(int(s.step), s, done.to_json())
    return s


def _opened(config: ml_collections.ConfigDict, workdir: str) -> Run:
    """The run of `config`; UserError where `workdir` holds one that cannot go on with it."""
    r = build(config)
    if before := resume.check_same_config(workdir, config, configuration.FREE_KEYS):
        resume.check_classes(workdir, r.tasks, before)
    return r


def _fresh(r: Run) -> state.TrainState:
    """The initial state, tied to a device as a restored one is: both run the same program."""
    return jax.device_put(r.init(), jax.devices()[0])


def _restore(r: Run, checkpoints: Checkpoints, step: int | None):
    """State and record of the checkpoint at `step` (default the last); None if there is none."""
    step = checkpoints.latest_step() if step is None else step
    if step is None:
        return None
    s, meta = checkpoints.restore(step, jax.eval_shape(r.init))
    return s, results.Done.from_json(meta)


def _train_task(r: Run, s, done, task: int, log: report.ScalarLog, checkpoints: Checkpoints):
    """Trains to the end of `task`; returns the state and the record with its seconds counted."""
    config, begin = r.config, time.monotonic()
    pool, pool_rows = r.source.pool(task, s), np.int32(r.source.pool_rows(task))
    first, last = int(s.step), r.ends[task]
    held = []  # metrics that are logged when the next call is under way, so as not to wait for them

    with report.Progress(r.ends[-1], first, config.batch_size) as bar:

        def write_held():
            while held:
                step, metrics = held.pop()
                scalars = _finite(jax.device_get(metrics), step, r.names[task])
                if step % config.log.every == 0 or step == last:
                    log.scalars(step, task, scalars)
                    bar.show(r.names[task], _headline(scalars))

        periods = config.log.every, config.log.checkpoint_every
        for start, end in calls(first, last, r.steps_per_call, periods):
            rows = np.zeros((r.steps_per_call, config.batch_size), np.int32)
            rows[: end - start] = [r.source.rows(task, step) for step in range(start, end)]
            with jax.transfer_guard("disallow"):
                given = jax.device_put((rows, pool_rows, np.int32(end - start)))
                s, metrics = r.train_steps(s, r.train_key, pool, *given)
            write_held()
            if end == last or any(end % period == 0 for period in periods):
                held.append((end, metrics))
            if end % config.log.checkpoint_every == 0 and end < last:
                write_held()
                checkpoints.save(end, s, done.after(time.monotonic() - begin).to_json())
            bar.update(end - start)
        write_held()
        jax.block_until_ready(s)
    return s, done.after(time.monotonic() - begin)


def calls(first: int, last: int, most: int, periods: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cuts the steps from `first` to `last` into calls of at most `most`.

    A call ends wherever one of the periods does. Yields the first step of each and the one after.
    """
    while first < last:
        end = min(last, first + most, *((first // period + 1) * period for period in periods))
        yield first, end
        first = end


def _finite(metrics: dict, step: int, task: str) -> dict[str, float]:
    """The metrics as floats; raises UserError with the first one that is not finite."""
    values = {name: float(value) for name, value in metrics.items()}
    for name, value in values.items():
        if not np.isfinite(value):
            raise UserError(
                f"{name} became {value} by step {step} (task {task}); training stopped, earlier "
                "checkpoints are kept: lower the learning rate of that phase or change the seed."
            )
    return values


def _headline(scalars: dict[str, float]) -> dict[str, float]:
    """The losses that the progress bar shows."""
    prefix = "train/loss/"
    return {k.removeprefix(prefix): v for k, v in scalars.items() if k.startswith(prefix)}


def _slug(task: str) -> str:
    """A task's name as part of a file name: mnist[0-4] is mnist_0-4, mnist[2]#3 is mnist_2-3."""
    return "-".join(re.sub(r"[^\w-]+", "_", part).strip("_") for part in task.split("#"))


def _finish_task(r: Run, s, done, task: int, log: report.ScalarLog, checkpoints, workdir: str):
    """Evaluates every learned task, draws the grids and writes results.json."""
    row = assessment.measure(r, s, task, _earlier_classes(r, task, checkpoints), workdir)
    step = int(s.step)
    for name, values in row.items():
        log.scalars(step, task, {f"eval/{name}/{key}": v for key, v in values.items()})
    for index in r.learned(task):
        for kind, picture in assessment.grids(r, s, index).items():
            log.image(step, f"{r.names[index]}/{kind}", picture)
            name = f"{_slug(r.names[index])}_{kind}.png"
            folder = f"{task}_after_{_slug(r.names[task])}"
            report.save_png(os.path.join(workdir, "images", folder, name), picture)
    done = dataclasses.replace(done, step=step, rows=(*done.rows[:task], row))
    summary = _write_results(r, done, workdir)
    if task and "risk" in summary:
        plots.risk(os.path.join(workdir, "images", "risk.png"), r.names, summary["risk"])
    return done


def _write_results(r: Run, done: results.Done, workdir: str) -> dict:
    """Writes results.json and returns what it holds."""
    summary = results.summary(r.names, r.config.strategy, r.config.seed, done)
    report.write_json(os.path.join(workdir, "results.json"), summary)
    return summary


def _earlier_classes(r: Run, task: int, checkpoints: Checkpoints) -> list[dict]:
    """Parameters of the class model at the end of each task before `task`, for the risk."""
    if r.strategy.memory != "replay" or r.nets.class_model is None:
        return []
    checkpoints.wait()
    return [_restore(r, checkpoints, end)[0].params["class"] for end in r.ends[:task]]


def evaluate(config: ml_collections.ConfigDict, workdir: str, step: int | None = None) -> dict:
    """Loads a checkpoint, evaluates it, rewrites results.json and returns what it holds."""
    if not os.path.isdir(os.path.join(workdir, "checkpoints")):
        raise UserError(
            f"{workdir} holds no checkpoints; train first, or name the right --workdir."
        )
    r = _opened(config, workdir)
    with Checkpoints(workdir, config.log.keep_checkpoints, r.ends) as checkpoints:
        restored = _restore(r, checkpoints, step)
        if restored is None:
            raise UserError(f"{workdir}/checkpoints holds no finished checkpoint; train first.")
        s, done = restored
        task = int(s.task)
        earlier = _earlier_classes(r, task, checkpoints)
    rows = (*done.rows[:task], assessment.measure(r, s, task, earlier, workdir))
    return _write_results(r, dataclasses.replace(done, step=int(s.step), rows=rows), workdir)
