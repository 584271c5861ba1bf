"""report.html of a run, made from the files in its workdir alone."""

from pathlib import Path
from typing import Any

from lgaa_jax.files import PathLike, write_bytes
from lgaa_jax.report import along, charts, curves, explored, facts, page, sequence, tables
from lgaa_jax.report.metric_names import metric
from lgaa_jax.report.settings_table import settings
from lgaa_jax.report.written import Written, read

SAMPLE_ROWS = 4  # of a task's samples, along the sequence
READ_OUT = 12  # rows of the curves' values as a table


def write(workdir: PathLike) -> Path:
    """Writes the report, at once or not at all; returns its path.

    Raises UserError where the folder holds no run that has measured anything.
    """
    written = read(workdir)
    path = written.folder / page.REPORT
    write_bytes(path, page.render("run.html", **context(written)))
    return path


def context(written: Written) -> dict[str, Any]:
    """What the template shows."""
    ends, lines = curves.boundaries(written.lines), written.lines
    losses = curves.loss_panels(lines)
    return {
        "title": page.heading([written.results["strategy"]], written.short),
        "finished": written.results.get("finished", False),
        "split": written.split,
        "stops": written.short[: written.stops],
        "headline": list(facts.headline(written)),
        "facts": list(facts.facts(written)),
        "command": written.metadata.get("command", ""),
        "settings": settings(written.metadata),
        "knows_defaults": "changed" in written.metadata,
        "cards": sequence.cards({"": written}, SAMPLE_ROWS, _note(written)),
        "grids": sequence.last_grids(written),
        "matrix": tables.matrix_table(written),
        "forgetting": tables.forgetting_table(written),
        "along": along.sequence_charts(written),
        "images": tables.images_table(written),
        "risk": tables.risk_table(written),
        "risk_charts": along.risk_charts(written),
        "losses": _charts(losses, written, ends),
        "others": _charts(curves.other_panels(lines), written, ends),
        "values": _values(losses),
        "explored": list(explored.figures(written)),
        "explored_tables": list(explored.tables(written)),
    }


def _charts(panels: list[curves.Panel], written: Written, ends: list[int]) -> list[charts.Chart]:
    return [charts.Chart(p.title, charts.training(p, written.short, ends)) for p in panels]


def _values(panels: list[curves.Panel]) -> tables.Table | None:
    """The curves of several panels at some steps."""
    if not panels:
        return None
    by_step: dict[int, curves.Point] = {}
    for panel in panels:
        for point in panel.points:
            by_step.setdefault(point["step"], {}).update(point)
    rows = [by_step[step] for step in sorted(by_step)]
    return tables.values_table("Terms of the objectives at some steps.", rows, READ_OUT)


def _note(written: Written) -> sequence.Note:
    """The accuracy on a task after another."""
    name = next((m for m in tables.MATRICES if m in written.results), "")
    matrix = written.results.get(name, [])

    def note(_: str, t: int, i: int) -> str:
        value = matrix[t][i] if t < len(matrix) else None
        return "" if value is None else f"{metric(name).name} {metric(name).text(value)} %"

    return note
