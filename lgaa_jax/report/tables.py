"""Tables of a report: cells that know their exact number beside the text that is shown."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lgaa_jax.report.metric_names import RISK, metric
from lgaa_jax.report.written import Written

MISSING = "-"
LEAST_SCALE = 0.1  # of the colours of a matrix, from the best value to where they fade
MATRICES = ("accuracy", "clustering_accuracy")


@dataclasses.dataclass(frozen=True)
class Cell:
    """text: as shown; value: the exact number; heat: in [0, 1], how strongly it is coloured."""

    text: str
    value: float | None = None
    heat: float | None = None
    note: str = ""  # below the text


@dataclasses.dataclass(frozen=True)
class Table:
    """corner: above the row names; rows: name and cells, as many as there are columns."""

    caption: str
    corner: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


def number(name: str, value: float | None, heat: float | None = None) -> Cell:
    """The cell of a metric; one that was not computed says so."""
    return Cell(MISSING) if value is None else Cell(metric(name).text(value), value, heat)


def matrix_table(written: Written) -> Table | None:
    """What results.json holds of each task after each task; None where no task has classes."""
    name = next((m for m in MATRICES if m in written.results), None)
    if name is None:
        return None
    short, matrix = written.short, written.results[name]
    known = [value for values in matrix for value in values if value is not None]
    scale = max(LEAST_SCALE, max(known) - min(known))
    rows = []
    for t, values in enumerate(matrix):
        if any(value is not None for value in values):
            heats = [None if v is None else 1 - (max(known) - v) / scale for v in values]
            cells = [number(name, v, heat) for v, heat in zip(values, heats, strict=True)]
            rows.append((f"after {short[t]}", cells))
    caption = (
        f"{written.split.capitalize()} {metric(name).title} on each task (columns) after each task "
        "(rows). Paler: worse. A dash: not learned or not measured then, or a task without classes."
    )
    return Table(caption, "", short, rows)


def forgetting_table(written: Written) -> Table | None:
    """Best accuracy of each earlier task, its last, and the difference."""
    found: Mapping[str, float] = written.results.get("forgetting_by_task", {})
    rows = [row for row in written.results.get("accuracy", []) if any(v is not None for v in row)]
    if not found:
        return None
    lines = []
    for name, forgotten in found.items():
        index = written.names.index(name)
        *before, last = [row[index] for row in rows if row[index] is not None]
        cells = [number("accuracy", max(before)), number("accuracy", last)]
        lines.append((written.short[index], [*cells, number("forgetting", forgotten)]))
    columns = ["best before the last task (%)", "after the last task (%)", "forgotten (points)"]
    caption = "What was forgotten of each earlier task. Below zero: it got better."
    return Table(caption, "task", columns, lines)


def risk_table(written: Written) -> Table | None:
    """The terms of the risk bound."""
    entries: list[Mapping[str, Any]] = written.results.get("risk", [])
    short = dict(zip(written.names, written.short, strict=True))
    terms = [term for term in RISK if any(term in entry for entry in entries)]
    rows = [
        (
            f"{short[entry['task']]} after {short[entry['after_task']]}",
            [number(term, entry.get(term)) for term in terms],
        )
        for entry in entries
    ]
    columns = [metric(term).title for term in terms]
    caption = "The terms of the risk bound of each task after each task."
    return Table(caption, "task", columns, rows) if rows else None


def images_table(written: Written) -> Table | None:
    """Reconstruction and generation of each task after the last one: a row for each metric."""
    results, names = written.results, written.names
    rows = []
    for group, of in (("reconstruction", "reconstructed"), ("generation", "generated")):
        found = results.get(group, {})
        for key in dict.fromkeys(key for values in found.values() for key in values):
            cells = [number(key, found.get(name, {}).get(key)) for name in names]
            rows.append((f"{titled(key)}, {of}", cells))
    for key in ("domain_accuracy", "linear_probe"):
        if key in results:
            rows.append((titled(key), [number(key, value) for value in results[key]]))
    caption = "Images and codes of each task after the last one. ↑ higher is better, ↓ lower."
    return Table(caption, "metric", written.short, rows) if rows else None


def titled(name: str) -> str:
    """The title of a metric with an arrow for the better way."""
    arrow = {"higher": " ↑", "lower": " ↓", "": ""}[metric(name).better]
    return f"{metric(name).title}{arrow}"


def values_table(caption: str, rows: Sequence[Mapping[str, Any]], most: int) -> Table:
    """Curves as a table for those who cannot hover: `most` of the rows, spread evenly."""
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in ("step", "task")))
    count = min(most, len(rows))
    places = [round(i * (len(rows) - 1) / max(1, count - 1)) for i in range(count)]
    lines = [(f"{rows[i]['step']:,}", _plain(rows[i].get(c) for c in columns)) for i in places]
    return Table(caption, "step", columns, lines)


def _plain(values: Iterable[float | None]) -> list[Cell]:
    return [Cell(MISSING) if value is None else Cell(f"{value:.4g}", value) for value in values]
