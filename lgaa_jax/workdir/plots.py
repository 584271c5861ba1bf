"""Curves along the sequence of tasks, as PNG files. The only module that draws with Matplotlib."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lgaa_jax.files import PathLike, write_bytes

# One series: its mean at each task and its spread, nan where there is none.
Series = tuple[np.ndarray, np.ndarray]
PANEL = (3.6, 2.8)  # inches
MOST_NAMES = 40  # of colours in a legend


def curves(
    path: PathLike,
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
    lines = -(-len(panels) // columns)
    # A figure of its own needs no display and leaves no global state.
    figure = Figure((PANEL[0] * columns, PANEL[1] * lines + 0.5), dpi=110, layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True)
    x = np.arange(len(tasks))
    for axis, (title, series) in zip(axes.flat, panels.items(), strict=False):
        for name, (mean, spread) in series.items():
            (line,) = axis.plot(x, mean, marker="o", markersize=4, label=name)
            axis.fill_between(x, mean - spread, mean + spread, alpha=0.2, color=line.get_color())
        # A dollar sign in a folder's name begins no formula.
        axis.set_title(title, fontsize=10, parse_math=False)
        axis.set_xticks(x, tasks, rotation=30, ha="right", fontsize=8, parse_math=False)
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis in axes[:, 0]:
        axis.set_ylabel(label)
    for axis in axes[-1]:
        axis.set_xlabel("after task")
    handles = dict(zip(*reversed(axes.flat[0].get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles))
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png")
    write_bytes(path, encoded.getvalue())


def scatter(
    path: PathLike, points: Mapping[str, np.ndarray], names: Mapping[str, Sequence[str]]
) -> None:
    """A panel for each set of points and each way to colour them.

    points: {title: [n, 2]}; names: {title: the name of each point, which gives its colour}.
    """
    from matplotlib import colormaps  # as in `curves`
    from matplotlib.figure import Figure

    figure = Figure((5.8 * len(names), 4.2 * len(points)), dpi=110, layout="constrained")
    axes = figure.subplots(len(points), len(names), squeeze=False)
    for line, (method, places) in zip(axes, points.items(), strict=True):
        for axis, (title, of) in zip(line, names.items(), strict=True):
            known = sorted(set(of))
            for i, name in enumerate(known):
                own = places[[other == name for other in of]]
                color = (
                    colormaps["tab20"](i) if len(known) <= 20 else colormaps["hsv"](i / len(known))
                )
                axis.scatter(*own.T, s=7, label=name, color=color, linewidths=0)
            axis.set_title(f"{method}, by {title}", fontsize=10)
            axis.set_xticks([])
            axis.set_yticks([])
            if len(known) <= MOST_NAMES:
                legend = axis.legend(fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5))
                for text in legend.texts:
                    text.set_parse_math(False)
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png")
    write_bytes(path, encoded.getvalue())


def risk(path: PathLike, tasks: Sequence[str], entries: Sequence[Mapping[str, Any]]) -> None:
    """How the terms of each task's risk grow along the sequence; entries: results.json["risk"]."""
    terms = ("target_risk", "source_risk", "discrepancy", "labelling_error", "bound")
    unknown = np.full(len(tasks), np.nan)
    panels = {}
    for task in dict.fromkeys(entry["task"] for entry in entries):
        own = {entry["after_task"]: entry for entry in entries if entry["task"] == task}
        panels[task] = {
            term.replace("_", " "): (
                np.array([own.get(after, {}).get(term, np.nan) for after in tasks]),
                unknown,
            )
            for term in terms
        }
    curves(path, tasks, panels, "share of images")
