"""The driver: a loop over tasks and steps, with checkpoints, evaluation and the files of a run."""

import dataclasses
import os
import re
import time
from collections.abc import Iterator, Sequence

import jax
import ml_collections
import numpy as np

from lgaa_jax.errors import UserError
from lgaa_jax.files import write_json
from lgaa_jax.run import measurement
from lgaa_jax.run.checks import FREE_KEYS
from lgaa_jax.run.experiment import Experiment, build
from lgaa_jax.run.progress import Progress
from lgaa_jax.training.settings import fixed_settings
from lgaa_jax.training.state import TrainState, begin_task
from lgaa_jax.workdir import pictures, plots, resume
from lgaa_jax.workdir.checkpoint import Checkpoints
from lgaa_jax.workdir.metadata import resolved_config
from lgaa_jax.workdir.record import Record
from lgaa_jax.workdir.results import summary
from lgaa_jax.workdir.scalars import ScalarLog


@fixed_settings()
def run(config: ml_collections.ConfigDict, workdir: str) -> TrainState:
    """Trains all tasks, or goes on where an earlier call stopped; returns the final state.

    Stopped anywhere and called again, it ends in the same bits as an uninterrupted run (on a CPU);
    and so does a run that is given more tasks at the end, within its `max_tasks`.
    """
    experiment = _opened(config, workdir)
    write_json(os.path.join(workdir, "config.json"), resolved_config(config))
    with Checkpoints(workdir, config.log.keep_checkpoints, experiment.ends) as checkpoints:
        state, record = _restore(experiment, checkpoints, None) or (_fresh(experiment), Record())
        with ScalarLog(workdir, int(state.step)) as log:
            for task in range(int(state.task), len(experiment.tasks)):
                if task > int(state.task):
                    state = begin_task(state)
                state, record = _train_task(experiment, state, record, task, log, checkpoints)
                if len(record.measured) <= task:
                    record = _finish_task(
                        experiment, state, record, task, log, checkpoints, workdir
                    )
                    checkpoints.save(int(state.step), state, record.to_json())
    return state


def _opened(config: ml_collections.ConfigDict, workdir: str) -> Experiment:
    """The run of `config`; UserError where `workdir` holds one that cannot go on with it."""
    experiment = build(config)
    if before := resume.check_same_config(workdir, config, FREE_KEYS):
        resume.check_classes(workdir, experiment.tasks, before)
    return experiment


def _fresh(experiment: Experiment) -> TrainState:
    """The initial state, tied to a device as a restored one is: both run the same program."""
    return jax.device_put(experiment.init(), jax.devices()[0])


def _restore(
    experiment: Experiment, checkpoints: Checkpoints, step: int | None
) -> tuple[TrainState, Record] | None:
    """State and record of the checkpoint at `step` (default the last); None if there is none."""
    step = checkpoints.latest_step() if step is None else step
    if step is None:
        return None
    state, meta = checkpoints.restore(step, jax.eval_shape(experiment.init))
    return state, Record.from_json(meta)


def _train_task(
    experiment: Experiment,
    state: TrainState,
    record: Record,
    task: int,
    log: ScalarLog,
    checkpoints: Checkpoints,
) -> tuple[TrainState, Record]:
    """Trains to the end of `task`; returns the state and the record with its seconds counted."""
    config, begin = experiment.config, time.monotonic()
    pool, num_pool = (
        experiment.batches.pool(task, state),
        np.int32(experiment.batches.num_pool(task)),
    )
    first, last = int(state.step), experiment.ends[task]
    held = []  # metrics that are logged when the next call is under way, so as not to wait for them

    with Progress(experiment.ends[-1], first, config.batch_size) as bar:

        def write_held() -> None:
            while held:
                step, metrics = held.pop()
                scalars = _finite(jax.device_get(metrics), step, experiment.names[task])
                if step % config.log.every == 0 or step == last:
                    log.scalars(step, task, scalars)
                    bar.show(experiment.names[task], _headline(scalars))

        periods = config.log.every, config.log.checkpoint_every
        for start, end in calls(first, last, experiment.steps_per_call, periods):
            indices = np.zeros((experiment.steps_per_call, config.batch_size), np.int32)
            indices[: end - start] = [
                experiment.batches.indices(task, step) for step in range(start, end)
            ]
            with jax.transfer_guard("disallow"):
                given = jax.device_put((indices, num_pool, np.int32(end - start)))
                state, metrics = experiment.train_steps(state, experiment.train_key, pool, *given)
            write_held()
            if end == last or any(end % period == 0 for period in periods):
                held.append((end, metrics))
            if end % config.log.checkpoint_every == 0 and end < last:
                write_held()
                checkpoints.save(end, state, record.after(time.monotonic() - begin).to_json())
            bar.update(end - start)
        write_held()
        jax.block_until_ready(state)
    return state, record.after(time.monotonic() - begin)


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


def _finish_task(
    experiment: Experiment,
    state: TrainState,
    record: Record,
    task: int,
    log: ScalarLog,
    checkpoints: Checkpoints,
    workdir: str,
) -> Record:
    """Evaluates every learned task, draws the grids and writes results.json."""
    measured = measurement.measure(
        experiment, state, task, _earlier_classes(experiment, task, checkpoints), workdir
    )
    step = int(state.step)
    for name, values in measured.items():
        log.scalars(step, task, {f"eval/{name}/{key}": v for key, v in values.items()})
    for index in experiment.learned(task):
        for kind, picture in measurement.task_grids(experiment, state, index).items():
            log.image(step, f"{experiment.names[index]}/{kind}", picture)
            name = f"{_slug(experiment.names[index])}_{kind}.png"
            folder = f"{task}_after_{_slug(experiment.names[task])}"
            pictures.save_png(os.path.join(workdir, "images", folder, name), picture)
    record = dataclasses.replace(record, step=step, measured=(*record.measured[:task], measured))
    summary = _write_results(experiment, record, workdir)
    if task and "risk" in summary:
        plots.risk(os.path.join(workdir, "images", "risk.png"), experiment.names, summary["risk"])
    return record


def _write_results(experiment: Experiment, record: Record, workdir: str) -> dict:
    """Writes results.json and returns what it holds."""
    results = summary(experiment.names, experiment.config.strategy, experiment.config.seed, record)
    write_json(os.path.join(workdir, "results.json"), results)
    return results


def _earlier_classes(experiment: Experiment, task: int, checkpoints: Checkpoints) -> list[dict]:
    """Parameters of the class model at the end of each task before `task`, for the risk."""
    if experiment.strategy.memory != "replay" or experiment.nets.class_model is None:
        return []
    checkpoints.wait()
    return [
        _restore(experiment, checkpoints, end)[0].params["class"] for end in experiment.ends[:task]
    ]


@fixed_settings()
def evaluate(config: ml_collections.ConfigDict, workdir: str, step: int | None = None) -> dict:
    """Loads a checkpoint, evaluates it, rewrites results.json and returns what it holds."""
    if not os.path.isdir(os.path.join(workdir, "checkpoints")):
        raise UserError(
            f"{workdir} holds no checkpoints; train first, or name the right --workdir."
        )
    experiment = _opened(config, workdir)
    with Checkpoints(workdir, config.log.keep_checkpoints, experiment.ends) as checkpoints:
        restored = _restore(experiment, checkpoints, step)
        if restored is None:
            raise UserError(f"{workdir}/checkpoints holds no finished checkpoint; train first.")
        state, record = restored
        task = int(state.task)
        earlier = _earlier_classes(experiment, task, checkpoints)
    measured = (
        *record.measured[:task],
        measurement.measure(experiment, state, task, earlier, workdir),
    )
    return _write_results(
        experiment, dataclasses.replace(record, step=int(state.step), measured=measured), workdir
    )
