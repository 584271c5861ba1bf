"""Curves along the sequence of tasks, as PNG files. The only module that draws with Matplotlib."""

import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

# One series: its mean at each task and its spread, nan where there is none.
Series = tuple[np.ndarray, np.ndarray]
PANEL = (3.6, 2.8)  # inches


def curves(
    path: str | os.PathLike,
    tasks: Sequence[str],
    panels: Mapping[str, Mapping[str, Series]],
    label: str,
) -> None:
    """A panel per entry, a curve per series over the tasks, a band of one spread around it.

    tasks: names along the horizontal axis; panels: {title: {name: (mean [T], spread [T])}}.
    """
    # Here, because it takes a second and most commands have no use for it.
    from matplotlib.figure import Figure

    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    # A figure of its own needs no display and leaves no global state.
    figure = Figure((PANEL[0] * columns, PANEL[1] * rows + 0.5), dpi=110, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    x = np.arange(len(tasks))
    for axis, (title, series) in zip(axes.flat, panels.items(), strict=False):
        for name, (mean, spread) in series.items():
            (line,) = axis.plot(x, mean, marker="o", markersize=4, label=name)
            axis.fill_between(x, mean - spread, mean + spread, alpha=0.2, color=line.get_color())
        axis.set_title(title, fontsize=10)
        axis.set_xticks(x, tasks, rotation=30, ha="right", fontsize=8)
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis in axes[:, 0]:
        axis.set_ylabel(label)
    for axis in axes[-1]:
        axis.set_xlabel("after task")
    handles = dict(zip(*reversed(axes.flat[0].get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles))
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def risk(path: str | os.PathLike, tasks: Sequence[str], entries: Sequence[Mapping]) -> None:
    """How the terms of each task's risk grow along the sequence; entries: results.json["risk"]."""
    terms = ("target_risk", "source_risk", "discrepancy", "labelling_error", "bound")
    panels = {}
    for task in dict.fromkeys(entry["task"] for entry in entries):
        own = {entry["after_task"]: entry for entry in entries if entry["task"] == task}
        panels[task] = {
            term.replace("_", " "): (
                np.array([own[t][term] if t in own else np.nan for t in tasks]),
                np.zeros(len(tasks)),
            )
            for term in terms
        }
    curves(path, tasks, panels, "share of images")
