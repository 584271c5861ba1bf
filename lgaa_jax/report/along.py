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

    def known(t: int, i: int) -> float | None:
        return matrix[t][i] if matrix else None

    def forgotten(t: int, i: int) -> float | None:
        """The best there was before the task t less that after it."""
        before = [value for s in range(t) if (value := known(s, i)) is not None]
        return max(before) - now if before and (now := known(t, i)) is not None else None

    found = [
        _chart(written, f"{metric(name).title} on each task", name, known),
        _chart(written, "forgotten of each task (points)", "forgetting", forgotten),
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
    unit, short = metric(name), written.short
    rows: list[Row] = [
        {"after": short[t], "series": short[i], "value": v / unit.one}
        for i in range(len(short))
        for t in range(len(short))
        if (v := value(t, i)) is not None
    ]
    if len({row["after"] for row in rows}) < 2:
        return None
    return Chart(title, charts.along(f"{title}, after each task", short, rows, unit.unit))


def _measured(written: Written, name: str) -> Callable[[int, int], float | None]:
    """Of evaluations.json."""

    def value(t: int, i: int) -> float | None:
        if t >= len(written.measured):
            return None
        return written.measured[t].get(written.names[i], {}).get(name)

    return value


def _words(term: str) -> str:
    return term.replace("_", " ")
