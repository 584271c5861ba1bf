"""report.html of a comparison, made from the files of its runs alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lgaa_jax.files import write_bytes
from lgaa_jax.report import charts, comparison_table, curves, facts, page, sequence, tables
from lgaa_jax.report.charts import Chart
from lgaa_jax.report.metric_names import metric
from lgaa_jax.report.settings_table import settings
from lgaa_jax.report.written import Written, read

SAMPLE_ROWS = 2  # of a strategy's samples of a task
DIFFER = ("strategy", "seed")  # keys that are not of the comparison as a whole

Runs = Mapping[str, Sequence[Written]]  # of each seed, by strategy


def write(root: Path, folders: Mapping[str, Sequence[Path]]) -> Path:
    """Writes the report, at once or not at all; returns its path.

    folders: the workdirs of the runs, by strategy, all of the same tasks. Raises UserError where
    one holds no run that has measured anything.
    """
    runs = {strategy: [read(folder) for folder in own] for strategy, own in folders.items()}
    path = root / page.REPORT
    write_bytes(path, page.render("comparison.html", **context(runs)))
    return path


def context(runs: Runs) -> dict[str, Any]:
    """What the template shows."""
    first = next(iter(runs.values()))[0]
    seeds = sorted({run.results["seed"] for own in runs.values() for run in own})
    lines = {s: curves.over_seeds([run.lines for run in own]) for s, own in runs.items()}
    losses = curves.compared_panels(lines)
    ends = curves.boundaries(first.lines)
    return {
        "title": page.heading(runs, first.short),
        "stops": first.short[: min(own[0].stops for own in runs.values())],
        "seeds": seeds,
        "table": table(runs),
        "accuracy": accuracy_charts(runs),
        "cards": sequence.cards({s: own[0] for s, own in runs.items()}, SAMPLE_ROWS, _note(runs)),
        "losses": [Chart(p.title, charts.training(p, first.short, ends)) for p in losses],
        "facts": [
            ("seeds", ", ".join(map(str, seeds))),
            *((f"training took, {s}", _durations(own)) for s, own in runs.items()),
            *facts.machine(first.metadata),
        ],
        "settings": settings(first.metadata, without=DIFFER),
        "knows_defaults": "changed" in first.metadata,
    }


def table(runs: Runs) -> tables.Table:
    """A column for each strategy: mean and deviation over the seeds, and between them all seeds."""
    found = comparison_table.columns({s: [run.results for run in own] for s, own in runs.items()})
    rows = []
    for name in comparison_table.metrics_of(found):
        cells = []
        for columns in found.values():
            values = columns.get(name)
            if values is None:
                cells.append(tables.Cell(tables.MISSING))
                continue
            least, most = values.min() + 0.0, values.max() + 0.0  # no -0
            note = f"{least:.4g} to {most:.4g}" if len(values) > 1 else ""
            text = comparison_table.shown(values)
            cells.append(tables.Cell(text, float(np.mean(values)), note=note))
        rows.append((name, cells))
    caption = (
        "After the last task: the mean over the seeds ± their standard deviation, and from the "
        "least to the greatest. A dash: the run of some seed lacks it. Accuracies are shares."
    )
    return tables.Table(caption, "metric", list(found), rows)


def accuracy_charts(runs: Runs) -> list[Chart]:
    """For each task with classes the accuracy on it along the sequence, by strategy."""
    first = next(iter(runs.values()))[0]
    unit = metric("accuracy")
    found = []
    for i, task in enumerate(first.short):
        rows = [
            _point(first.short[t], strategy, values / unit.one)
            for strategy in runs
            for t in range(len(first.names))
            if (values := _accuracies(runs[strategy], t, i)) is not None
        ]
        if len({row["after"] for row in rows}) > 1:
            text = f"accuracy on {task} after each task, by strategy"
            spec = charts.along(text, first.short, rows, unit.unit, "strategy")
            found.append(Chart(f"{unit.title} on {task}", spec))
    return found


def _point(after: str, strategy: str, values: np.ndarray) -> dict[str, Any]:
    """The mean over the seeds, with a band of one deviation where there are several."""
    mean = float(np.mean(values))
    point: dict[str, Any] = {"after": after, "series": strategy, "value": mean}
    if len(values) > 1:
        spread = float(comparison_table.spread(values))
        each = ", ".join(f"{value:.1f}" for value in values)
        point |= {"low": mean - spread, "high": mean + spread, "seeds": each}
    return point


def _accuracies(runs: Sequence[Written], t: int, i: int) -> np.ndarray | None:
    """Of each seed after the task t on the task i; None where one lacks it."""
    values = [run.results["accuracy"][t][i] for run in runs if "accuracy" in run.results]
    complete = len(values) == len(runs) and all(value is not None for value in values)
    return np.array(values) if complete else None


def _note(runs: Runs) -> sequence.Note:
    """The mean accuracy of a strategy on a task after another."""

    def note(strategy: str, t: int, i: int) -> str:
        values = _accuracies(runs[strategy], t, i)
        return "" if values is None else f"accuracy {metric('accuracy').text(np.mean(values))} %"

    return note


def _durations(runs: Sequence[Written]) -> str:
    return ", ".join(facts.duration(run.results["seconds"]) for run in runs)
