"""What a run says of itself, as text: its opening lines and the table of its accuracies."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lgaa_jax.data.folders import is_folder
from lgaa_jax.data.loading import Task
from lgaa_jax.evaluation import lifelong
from lgaa_jax.report.page import REPORT
from lgaa_jax.run.experiment import Experiment
from lgaa_jax.training import hosts
from lgaa_jax.training.state import TrainState
from lgaa_jax.workdir.picture_files import SEQUENCE, short_names
from lgaa_jax.workdir.record import Record
from lgaa_jax.workdir.results import matrix

# What the table shows of each task after each other, the first of these that was measured: its
# name, its unit and what one of that unit is.
SHOWN = (
    ("accuracy", "%", 0.01),
    ("clustering_accuracy", "%", 0.01),
    ("psnr", "dB", 1.0),
    ("domain_accuracy", "%", 0.01),
)
# Its last rows, of each task after the last: title, metric and what one of its unit is.
LAST = (
    ("PSNR (dB)", "psnr", 1.0),
    ("chroma (%)", "chroma", 0.01),
    ("sampled chroma (%)", "generation/chroma", 0.01),
)
MOST_CLASSES = 20  # that are listed of a folder
MOST_TASKS = 12  # whose figures a line, or the columns of a table, have room for


def opening(
    experiment: Experiment, workdir: Path, state: TrainState, status: str
) -> Iterator[tuple[str, str]]:
    """Label and text of each line at the start of a run."""
    config, total = experiment.config, experiment.ends[-1]
    yield "workdir", f"{workdir} ({status})"
    devices = jax.devices()
    used = ", ".join(dict.fromkeys((devices[0].platform, devices[0].device_kind)))
    joined = f", of {hosts.count()} processes" if hosts.count() > 1 else ""
    yield "device", f"{used}{_part(experiment.layout.num_devices, len(devices))}{joined}"
    yield "strategy", f"{config.strategy}, labels {config.labels}, seed {config.seed}"
    for i, task in enumerate(experiment.tasks):
        yield f"task {i + 1}", f"{task.name}: {task_line(task, config.eval.split)}"
        if is_folder(task.base):
            yield from (("", line) for line in class_lines(task))
        yield from (("", note) for note in task.notes)
    sizes = {name: num_parameters(tree) for name, tree in state.evaluated.items()}
    yield "parameters", ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    ends = np.diff(experiment.ends, prepend=0)
    each = f"{ends[0]:,} a task" if len({*ends}) == 1 else " + ".join(f"{n:,}" for n in ends)
    yield "steps", f"{total:,} of {config.batch_size} images ({each})"


def _part(used: int, there: int) -> str:
    """Which of the devices that are there a run uses."""
    if there == 1:
        return ""
    some = "the first" if used == 1 else f"the first {used}"
    return f" (all {used})" if used == there else f" ({some} of {there})"


def task_line(task: Task, split: str = "test") -> str:
    """Images, classes and labelled share of a task. split: what is measured on, `eval.split`."""
    train, test = task.train, task.test
    text = f"{len(train.images):,} training and {len(test.images):,} {split} images"
    text += " (streamed)" if task.streamed else ""
    if not task.classes:
        return f"{text}, no labels"
    share = np.mean(train.labels >= 0)
    labelled = "" if share == 1 else f", {100 * share:.3g} % labelled"
    return f"{text}, {len(task.classes)} classes{labelled}"


def class_lines(task: Task) -> Iterator[str]:
    """The classes of a task by name, the first ones, with their training and test images."""
    for label in task.classes[:MOST_CLASSES]:
        train, test = (int(np.sum(s.truth == label)) for s in (task.train, task.test))
        yield f"class {label}, {task.class_names[label]}: {train} training, {test} test"
    if (more := len(task.classes) - MOST_CLASSES) > 0:
        yield f"and {more} classes more"


def num_parameters(tree: Any) -> int:
    """Numbers in all arrays of a tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def shown_metric(record: Record) -> tuple[str, str, float]:
    """The first of `SHOWN` that was measured of any task."""
    measured = {name for values in record.measured[-1].values() for name in values}
    return next(metric for metric in SHOWN if metric[0] in measured)


def known_tasks(names: Sequence[str], record: Record) -> str:
    """The figure of each task in the last evaluation; of many their number and the least one."""
    name, _, one = shown_metric(record)
    last = matrix(record.measured, names, name)[len(record.measured) - 1]
    pairs = zip(short_names(names), last, strict=True)
    known = [(value / one, task) for task, value in pairs if value is not None]
    if len(known) > MOST_TASKS:
        least, task = min(known)
        return f"{len(known)} tasks, the least {task} {least:.1f}"
    return "  ".join(f"{task} {value:.1f}" for value, task in known)


def so_far(names: Sequence[str], record: Record) -> str:
    """The last evaluation in the few words that a bar has room for."""
    return f"{spoken(shown_metric(record)[0])} {known_tasks(names, record)}"


def after_task(names: Sequence[str], record: Record) -> str:
    """One line of the last evaluation: each task's figure, their mean and the forgetting."""
    name, unit, one = shown_metric(record)
    cells = matrix(record.measured, names, name)
    last = len(record.measured) - 1
    parts = [known_tasks(names, record)]
    if name == "accuracy" and {*names[: last + 1]} <= record.measured[-1].keys():
        known = cells[: last + 1]
        parts.append(f"mean {lifelong.average_accuracy(known) / one:.1f}")
        if (forgotten := lifelong.forgetting(known)) is not None:
            parts.append(f"forgotten {forgotten / one:.1f}")
    return f"after {short_names(names)[last]}: {spoken(name)} ({unit})  " + "  ".join(parts)


def spoken(metric: str) -> str:
    """The name of a metric as a person writes it."""
    return metric.replace("_", " ").replace("psnr", "PSNR")


def closing_rows(names: Sequence[str], record: Record) -> Iterator[list[str]]:
    """The cells of the closing table, its head first.

    A figure of each task after each task. In the end the PSNR of their reconstructions and, where
    there is colour, how much of that of the real images reconstructions and samples have. Many
    tasks have a row each, with their figures when they were learned and in the end.
    """
    name, unit, one = shown_metric(record)
    head, short = f"{spoken(name)} ({unit})", short_names(names)
    after = matrix(record.measured, names, name)[: len(record.measured)]
    last = {}
    for title, metric, own in LAST:
        values = [record.measured[-1].get(task, {}).get(metric) for task in names]
        if metric != name and any(value is not None for value in values):
            last[title] = _cells(values, own)
    if len(names) > MOST_TASKS:
        known = ([v for v in values if v is not None] for values in zip(*after, strict=True))
        first = [values[0] if values else None for values in known]
        columns = {"learned": _cells(first, one), "in the end": _cells(after[-1], one), **last}
        yield [head, *columns]
        yield from map(list, zip(short, *columns.values(), strict=True))
    else:
        yield [head, *short]
        for task, values in zip(short, after, strict=False):
            yield [f"after {task}", *_cells(values, one)]
        yield from ([title, *cells] for title, cells in last.items())


def _cells(values: Sequence[float | None], one: float) -> list[str]:
    return ["-" if value is None else f"{value / one:.1f}" for value in values]


def closing(results: dict[str, Any], path: Path, pictures: Path) -> Iterator[tuple[str, str]]:
    """Label and text of the lines below the table.

    results: what is in results.json, at `path`; pictures: their folder.
    """
    if "average_accuracy" in results:
        text = f"{100 * results['average_accuracy']:.1f} %"
        if "forgetting" in results:
            text += f", forgotten {100 * results['forgetting']:.1f} points"
        yield "average", text
    yield "results", str(path)
    if (report := path.with_name(REPORT)).is_file():
        yield "report", str(report)
    if pictures.is_dir():  # where no task has ended there are none
        whole = f" (all tasks: {SEQUENCE})" if (pictures / SEQUENCE).exists() else ""
        yield "pictures", f"{pictures}{whole}"
