"""results.json: what a run has measured, for people and tools.

strategy, tasks, seed   as in the config; tasks: their names, in order
classes                 {task: names of its classes, by label}, of the tasks with labels
steps                   training steps at which it was measured
seconds                 of training, over all restarts
finished                whether all tasks are learned and measured
eval                    the settings with which the last of it was measured
retries                 [{task, step, back_to, rate}]: where a number was not finite, and the task
                        went on from an earlier step with its learning rates times `rate`
accuracy                R[t][i], test accuracy on task i after task t; null where task i is not
                        learned yet, was not measured then (`eval.every`) or has no classes
average_accuracy, forgetting, forgetting_by_task {task: value}, backward_transfer
                        of that matrix (evaluation/lifelong.py)
clustering_accuracy     a matrix of that form, where labels are found
linear_probe            of each learned task, where there are no labels
domain_accuracy         of each learned task
reconstruction          {task: {mse, psnr, ssim, and in colour psnr_luma, psnr_chroma, chroma}}
generation              {task: metrics of generated images} (docs/theory.md)
risk                    [{after_task, task, terms of the bound}] (docs/theory.md)

What was not computed, or came out as inf or nan, is absent. Metrics that have no matrix and no
`after_task` are those after the last task after which all learned ones were measured.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections

from lgaa_jax.evaluation import lifelong
from lgaa_jax.files import PathLike, read_json
from lgaa_jax.workdir.record import RECONSTRUCTION, Measured, Record

Matrix = list[list[float | None]]


METRICS_VERSION = 2  # to be raised when a metric is added or changes its meaning


def measured_with(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """The `eval` section as plain JSON values, and the version of the metrics.

    Without `reference_dir`, which changes no number, and keys of later versions where they are as
    they were without them. What was measured with another one is not compared with this, but
    measured again.
    """
    settings = json.loads(json.dumps(config.eval.to_dict()))
    settings["metrics_version"] = METRICS_VERSION
    without = {"reference_dir": settings["reference_dir"], "every": 1, "confidence": 0.0}
    return {key: value for key, value in settings.items() if without.get(key) != value}


def read(workdir: PathLike) -> dict[str, Any] | None:
    """The object in results.json of a run; None where it is missing, damaged or no run's."""
    results = read_json(Path(workdir, "results.json"))
    if not isinstance(results, dict) or not isinstance(results.get("tasks"), list):
        return None
    return results if {"strategy", "seed", "seconds"} <= results.keys() else None


def matrix(measured: Sequence[Measured], names: Sequence[str], metric: str) -> Matrix:
    """R[t][i], the metric of task i after task t; None where not learned yet or not measured."""
    cells = [[after.get(name, {}).get(metric) for name in names] for after in measured]
    return cells + [[None] * len(names) for _ in range(len(names) - len(measured))]


def summary(
    names: Sequence[str],
    strategy: str,
    seed: int,
    record: Record,
    *,
    end: int,
    class_names: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """The object of results.json, as this module describes it.

    end: step at which the last task ends; class_names: those of each task with labels.
    """
    last = _whole(names, record.measured)
    settings = record.measured_with[-1] if record.measured_with else None
    classes = {name: list(class_names[name]) for name in names if class_names.get(name)}
    result = {
        "strategy": strategy,
        "tasks": list(names),
        **({"classes": classes} if classes else {}),
        "seed": seed,
        "steps": record.step,
        "seconds": round(record.seconds, 1),
        # A run that was stopped inside its last task can be measured there, too.
        "finished": len(record.measured) == len(names) and record.step == end,
        **({} if settings is None else {"eval": dict(settings)}),
        **({"retries": [dict(retry) for retry in record.retries]} if record.retries else {}),
        **_accuracies(names, record.measured),
    }
    if _has(last, "clustering_accuracy"):
        result["clustering_accuracy"] = matrix(record.measured, names, "clustering_accuracy")
    for metric in ("linear_probe", "domain_accuracy"):
        if _has(last, metric):
            result[metric] = [last[name].get(metric) for name in names if name in last]
    groups = {
        "reconstruction": _by_task(last, lambda values: _chosen(values, RECONSTRUCTION)),
        "generation": _by_task(last, lambda values: _group(values, "generation")),
        "risk": _risk(names, record.measured),
    }
    return result | {name: group for name, group in groups.items() if group}


def _whole(names: Sequence[str], measured: Sequence[Measured]) -> Measured:
    """The last evaluation of all tasks that were learned by then; empty where there is none."""
    whole = [row for t, row in enumerate(measured) if {*names[: t + 1]} <= row.keys()]
    return whole[-1] if whole else {}


def _accuracies(names: Sequence[str], measured: Sequence[Measured]) -> dict[str, Any]:
    """The accuracy matrix and what is computed of it; empty where no task has classes."""
    if not _has(_whole(names, measured), "accuracy"):
        return {}
    accuracy = matrix(measured, names, "accuracy")
    trained = accuracy[: len(measured)]
    by_task = lifelong.forgetting_by_task(trained)
    computed = {
        "average_accuracy": lifelong.average_accuracy(trained),
        "forgetting": lifelong.forgetting(trained),
        "backward_transfer": lifelong.backward_transfer(trained),
        "forgetting_by_task": {names[i]: value for i, value in by_task.items()},
    }
    known = {name: value for name, value in computed.items() if value not in (None, {})}
    return {"accuracy": accuracy} | known


def _has(measured: Measured, metric: str) -> bool:
    """Whether any task has this metric."""
    return any(metric in values for values in measured.values())


def _by_task(measured: Measured, pick: Callable[[dict[str, float]], dict[str, float]]) -> Measured:
    """What `pick` takes of each task's values; tasks of which it takes nothing are left out."""
    picked = {name: pick(values) for name, values in measured.items()}
    return {name: values for name, values in picked.items() if values}


def _chosen(values: dict[str, float], keys: tuple[str, ...]) -> dict[str, float]:
    return {key: values[key] for key in keys if key in values}


def _group(values: dict[str, float], group: str) -> dict[str, float]:
    """The values whose names begin with the group's, under the rest of their names."""
    begin = f"{group}/"
    return {k.removeprefix(begin): v for k, v in values.items() if k.startswith(begin)}


def _risk(names: Sequence[str], measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """One entry for each learned task after each task that has the terms of the analysis."""
    return [
        {"after_task": after, "task": name, **terms}
        for after, values in zip(names, measured, strict=False)
        for name in names
        if (terms := _group(values.get(name, {}), "risk"))
    ]
