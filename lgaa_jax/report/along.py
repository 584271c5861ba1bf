"""What was measured along the sequence, as charts: accuracy, forgetting, PSNR and the risk."""

from collections.abc import Callable
from typing import Any

from lgaa_jax.report import charts
from lgaa_jax.report.charts import Chart
from lgaa_jax.report.metric_names import RISK, metric
from lgaa_jax.report.tables import MATRICES
from lgaa_jax.report.written import Written

Row = dict[str, Any]


def sequence_charts(written: Written) -> list[Chart]:
    """Accuracy, forgetting and PSNR of each task after each task; none before the second."""
    name = next((m for m in MATRICES if m in written.results), "accuracy")
    matrix: list[list[float | None]] = written.results.get(name, [])
    found = [
        _chart(written, f"{metric(name).title} on each task", name, lambda t, i: matrix[t][i]),
        _chart(
            written,
            "forgotten of each task (points)",
            "forgetting",
            lambda t, i: _forgotten(matrix, t, i),
        ),
        _chart(written, "PSNR of reconstructions (dB)", "psnr", _measured(written, "psnr")),
    ]
    return [chart for chart in found if chart is not None]


def risk_charts(written: Written) -> list[Chart]:
    """The terms of the risk of each task that is not the last, along the sequence."""
    entries = written.results.get("risk", [])
    short = dict(zip(written.names, written.short, strict=True))
    found = []
    for name in dict.fromkeys(entry["task"] for entry in entries):
        own = [entry for entry in entries if entry["task"] == name]
        if len(own) < 2:
            continue
        rows = [
            {"after": short[entry["after_task"]], "series": _words(term), "value": entry[term]}
            for entry in own
            for term in RISK
            if term in entry
        ]
        stops = [short[entry["after_task"]] for entry in own]
        text = f"terms of the risk of {short[name]} along the sequence"
        found.append(
            Chart(f"risk of {short[name]}", charts.along(text, stops, rows, "share", "term"))
        )
    return found


def _chart(
    written: Written, title: str, name: str, value: Callable[[int, int], float | None]
) -> Chart | None:
    """A line for each task that has a value after two tasks or more; None where none has."""
    unit = metric(name)
    rows: list[Row] = []
    for i, task in enumerate(written.short):
        own = [
            {"after": written.short[t], "series": task, "value": v / unit.one}
            for t in range(written.stops)
            if (v := value(t, i)) is not None
        ]
        rows += own
    if len({row["after"] for row in rows}) < 2:
        return None
    stops = written.short[: written.stops]
    spec = charts.along(f"{title}, after each task", stops, rows, unit.unit)
    return Chart(title, spec)


def _forgotten(matrix: list[list[float | None]], t: int, i: int) -> float | None:
    """The best there was before the task t less that after it; None where task i is not older."""
    if t >= len(matrix) or (now := matrix[t][i]) is None:
        return None
    before = [value for row in matrix[:t] if (value := row[i]) is not None]
    return max(before) - now if before else None


def _measured(written: Written, name: str) -> Callable[[int, int], float | None]:
    """Of evaluations.json."""

    def value(t: int, i: int) -> float | None:
        if t >= len(written.measured):
            return None
        return written.measured[t].get(written.names[i], {}).get(name)

    return value


def _words(term: str) -> str:
    return term.replace("_", " ")
