"""What follows the training of a task: its evaluation, results.json and report.html."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from lgaa_jax.files import read_json
from lgaa_jax.run import drawing, measurement
from lgaa_jax.run.experiment import Experiment
from lgaa_jax.run.reporting import report_run
from lgaa_jax.run.session import Session
from lgaa_jax.training import hosts
from lgaa_jax.training.state import TrainState
from lgaa_jax.workdir.record import Record
from lgaa_jax.workdir.results import measured_with, summary
from lgaa_jax.workdir.scalars import EVALUATION, ScalarLog

RESULTS = "results.json"
EXPLORED = "explored.json"  # what --mode=explore found; of its step, results.json holds it, too


def finish_task(
    session: Session, state: TrainState, record: Record, task: int, log: ScalarLog | None
) -> Record:
    """Evaluates the state at the end of `task` and draws its pictures, where that is not done.

    Done before with other `eval.*` values, it is done again. Returns the record with it.
    """
    settings, state = measured_with(session.experiment.config), session.experiment.evaluable(state)
    if len(record.measured) <= task or record.measured_with[task] != settings:
        record = evaluate_task(session, state, record, task)
        session.keep(record)
        if log is not None:
            log.scalars(int(state.step), task, flat(record.measured[task]))
    if session.first:
        drawing.draw_missing(session, state, task, log)
    return record


def evaluate_task(session: Session, state: TrainState, record: Record, task: int) -> Record:
    """The record with the evaluation of `state`, which is in or at the end of `task`."""
    measured = measurement.measure(
        session.experiment, state, task, earlier_classes(session, task), session.workdir
    )
    settings = measured_with(session.experiment.config)
    return record.with_task(task, int(state.step), measured, settings)


def complete(session: Session, record: Record, before: int) -> Record:
    """The record with the evaluations and pictures of the tasks `before` a task, all of them.

    What is missing, because it failed or was deleted, is made from the checkpoints of the tasks'
    ends; so is what was measured with other `eval.*` values.
    """
    settings = measured_with(session.experiment.config)
    for task in range(before):
        measured = len(record.measured) > task and record.measured_with[task] == settings
        drawn = hosts.shared(functools.partial(drawing.all_drawn, session, task))
        if not measured or not drawn:
            step = session.experiment.ends[task]
            session.console.say(f"evaluating again what step {step} left")
            state, _ = session.at(step)
            record = finish_task(session, state, record, task, None)
    return record


def earlier_classes(session: Session, task: int) -> list[dict[str, Any]]:
    """Parameters of the class model at the end of each task before `task`, for the risk."""
    experiment = session.experiment
    if experiment.strategy.memory != "replay" or experiment.nets.class_model is None:
        return []
    wanted = {"params": {"class": jax.eval_shape(experiment.init).params["class"]}}

    def read() -> list[dict[str, Any]]:
        parts = (session.checkpoints.restore_part(end, wanted) for end in experiment.ends[:task])
        return [jax.device_get(part["params"]["class"]) for part in parts]

    return experiment.layout.place(hosts.shared(read), experiment.layout.whole)


def results_of(experiment: Experiment, record: Record) -> dict[str, Any]:
    """The object of results.json."""
    config = experiment.config
    return summary(
        experiment.names,
        config.strategy,
        config.seed,
        record,
        end=experiment.ends[-1],
        class_names=experiment.class_names,
    )


def write_results(session: Session, record: Record, name: str = RESULTS) -> dict[str, Any]:
    """Writes results.json and report.html, or the file `name` alone; returns its object."""
    results = results_of(session.experiment, record)
    if not session.first:
        return results
    if name == RESULTS:
        results |= explored(session.workdir, results["steps"])
    session.write(name, results)
    if name == RESULTS:
        report_run(session.workdir, session.console.say)
    return results


def explored(workdir: Path, step: int) -> dict[str, Any]:
    """What results.json holds of exploring this step: `explore`, or nothing where it was not."""
    found = read_json(workdir / EXPLORED)
    return {"explore": found} if isinstance(found, dict) and found.get("step") == step else {}


def flat(measured: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """{"eval/<task>/<metric>": value} of one evaluation."""
    return {
        f"{EVALUATION}{task}/{metric}": value
        for task, values in measured.items()
        for metric, value in values.items()
    }


def evaluations(experiment: Experiment, record: Record) -> list[tuple[int, int, dict[str, float]]]:
    """Step, task and test metrics of each task that is evaluated as the config says."""
    settings = measured_with(experiment.config)
    return [
        (experiment.ends[task], task, flat(measured))
        for task, measured in enumerate(record.measured)
        if record.measured_with[task] == settings
    ]
