"""The driver: a loop over the tasks of a run, from the last checkpoint on."""

import dataclasses
from typing import Any

import ml_collections

from lgaa_jax.files import PathLike
from lgaa_jax.run import drawing, finishing, retrying, watching
from lgaa_jax.run.health import NotFiniteError
from lgaa_jax.run.reading import require_checkpoints
from lgaa_jax.run.session import Session, at_work, open_session
from lgaa_jax.run.tables import so_far
from lgaa_jax.run.training import train_task
from lgaa_jax.training import hosts
from lgaa_jax.training.settings import fixed_settings, keep_compiled
from lgaa_jax.training.state import TrainState, begin_task
from lgaa_jax.workdir.metadata import write_metadata
from lgaa_jax.workdir.picture_files import FOLDER
from lgaa_jax.workdir.record import Record


@fixed_settings()
def run(
    config: ml_collections.ConfigDict,
    workdir: PathLike,
    defaults: ml_collections.ConfigDict | None = None,
) -> TrainState:
    """Trains all tasks, or goes on where an earlier call stopped; returns the final state.

    defaults: the config from which config.json and the report mark what differs.

    Stopped anywhere and called again, it ends in the same bits as an uninterrupted run (on a CPU);
    and so does a run that is given more tasks at the end, within its `max_tasks`. Whatever it
    writes beside checkpoints and training metrics is made again where it is missing.
    """
    keep_compiled()
    opened = open_session(config, workdir, defaults)
    with at_work(opened) as session, session.told_when_interrupted():
        experiment = session.experiment
        restored = session.newest()
        if session.first:
            write_metadata(session.workdir, session.written)
        state, record = restored or (session.fresh(), Record())
        step, total = int(state.step), experiment.ends[-1]
        going_on = "finished" if step == total else f"going on at step {step} of {total}"
        status = going_on if restored else "new"
        session.console.opening(experiment, session.workdir, state, status)
        record = finishing.complete(session, record, int(state.task))
        while True:
            try:
                state, record = _train(session, state, record)
                break
            except NotFiniteError as failure:
                state, record = retrying.back(session, failure, record.retries)
        _close(session, record)
        hosts.together()  # the first writes for longer than the others
    return state


def _train(session: Session, state: TrainState, record: Record) -> tuple[TrainState, Record]:
    """Trains and evaluates the tasks that are left."""
    experiment, console = session.experiment, session.console
    logged = finishing.evaluations(experiment, record)
    step, total = int(state.step), experiment.ends[-1]
    if step < total:
        console.say("compiling ...")
    with (
        session.scalar_log(step, logged) as log,
        console.progress(total, step) as progress,
    ):
        for task in range(int(state.task), len(experiment.tasks)):
            if task > int(state.task):
                state = begin_task(state)
            progress.show(experiment.names[task], {})
            state, record = train_task(session, state, record, task, log, progress)
            progress.evaluating(experiment.names[task])
            record = finishing.finish_task(session, state, record, task, log)
            progress.measured(so_far(experiment.names, record))
            if step < total:
                finishing.write_results(session, record)
                console.after_task(experiment.names, record)
                shown = experiment.evaluable(state)
                for sentence in watching.warnings(experiment, shown, task) if session.first else ():
                    console.say(f"warning: {sentence}")
    return state, record


@fixed_settings()
def evaluate(
    config: ml_collections.ConfigDict, workdir: PathLike, step: int | None = None
) -> dict[str, Any]:
    """Evaluates a checkpoint, the last or that of `step`, and returns what results.json holds.

    The last rewrites results.json; another step goes into results-STEP.json beside it.
    """
    keep_compiled()
    hosts.shared(lambda: require_checkpoints(workdir))
    # The file of evaluations goes up to the last step: an earlier one must not cut it short.
    opened = dataclasses.replace(open_session(config, workdir), keeps=step is None)
    with at_work(opened) as session:
        state, record = session.at(step)
        state = session.experiment.evaluable(state)
        task, at_end = int(state.task), int(state.step) in session.experiment.ends
        status = f"step {int(state.step)} of {session.experiment.ends[-1]}"
        session.console.opening(session.experiment, session.workdir, state, status)
        record = finishing.complete(session, record, task)
        record = finishing.evaluate_task(session, state, record, task)
        if step is None and at_end:
            session.keep(record)
            if session.first:
                drawing.draw_missing(session, state, task, None)
        name = finishing.RESULTS if step is None else f"results-{step}.json"
        results = _close(session, record, name)
        hosts.together()
    return results


def _close(session: Session, record: Record, name: str = finishing.RESULTS) -> dict[str, Any]:
    """Writes and shows the results; of a finished run also the picture of the whole sequence."""
    results = finishing.write_results(session, record, name)
    if name == finishing.RESULTS and results["finished"] and session.first:
        drawing.draw_sequence(session)
    paths = session.workdir / name, session.workdir / FOLDER
    session.console.closing(session.experiment.names, record, results, *paths)
    return results
