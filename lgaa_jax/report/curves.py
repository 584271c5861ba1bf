"""What training logged, as curves that a page can show: few points, grouped into panels."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

Line = Mapping[str, Any]  # of metrics.jsonl
Point = dict[str, Any]  # step, task and a value by the name of each curve

MOST_POINTS = 250  # of a curve: what a panel can show, and a page can carry
STEEP = 50  # a curve that falls by more has a logarithmic axis


@dataclasses.dataclass(frozen=True)
class Panel:
    """One chart. points: in the order of the steps; curves: names in them."""

    title: str
    curves: tuple[str, ...]
    points: Sequence[Point]

    @property
    def logarithmic(self) -> bool:
        """Whether the values are positive and of several magnitudes."""
        values = [p[curve] for p in self.points for curve in self.curves if curve in p]
        return min(values) > 0 and max(values) > STEEP * min(values)


def loss_panels(lines: Iterable[Line]) -> list[Panel]:
    """A panel for each term of the objectives."""
    return _single(list(lines), ("train/loss/",))


def other_panels(lines: Iterable[Line]) -> list[Panel]:
    """The other terms; then norms of gradients and learning rates, all phases in one; the rate."""
    lines = list(lines)
    panels = _single(lines, ("train/kl/", "train/info/", "train/wasserstein", "train/gradient_p"))
    for begin in ("train/grad_norm/", "train/learning_rate/"):
        if names := _names(lines, (begin,)):
            shown = {name: name.removeprefix(begin) for name in names}
            panels.append(_panel(_words(begin), lines, shown))
    return panels + _single(lines, ("train/images_per_second",))


def _single(lines: Sequence[Line], begins: tuple[str, ...]) -> list[Panel]:
    """A panel for each metric with one of these beginnings."""
    return [
        _panel(_words(name), lines, {name: _words(name)}) for name in sorted(_names(lines, begins))
    ]


def _names(lines: Sequence[Line], begins: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(n for line in lines for n in line if n.startswith(begins)))


def _words(name: str) -> str:
    """train/loss/critic: "loss critic"."""
    return name.removeprefix("train/").rstrip("/").replace("/", " ").replace("_", " ")


def _panel(title: str, lines: Sequence[Line], shown: Mapping[str, str]) -> Panel:
    own = [line for line in lines if any(name in line for name in shown)]
    points = [
        {"step": line["step"], "task": line["task"]}
        | {words: line[name] for name, words in shown.items() if name in line}
        for line in own
    ]
    return Panel(title, tuple(shown.values()), thinned(points, MOST_POINTS))


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """Some `most` points: means over neighbours of one task, each at the last of their steps."""
    window = -(-len(points) // most)
    if window <= 1:
        return list(points)
    found: list[Point] = []
    for task in dict.fromkeys(p["task"] for p in points):
        own = [p for p in points if p["task"] == task]
        found += [_mean(own[i : i + window]) for i in range(0, len(own), window)]
    return found


def _mean(points: Sequence[Point]) -> Point:
    names = dict.fromkeys(n for p in points for n in p if n not in ("step", "task"))
    means = {n: float(np.mean([p[n] for p in points if n in p])) for n in names}
    return {"step": points[-1]["step"], "task": points[0]["task"]} | means


def boundaries(lines: Iterable[Line]) -> list[int]:
    """The step of the last line of each task but the last."""
    ends = {line["task"]: line["step"] for line in lines}
    return [ends[task] for task in sorted(ends)][:-1]


def compared_panels(by_strategy: Mapping[str, Sequence[Line]]) -> list[Panel]:
    """A panel for each term of the objectives, a curve in it for each strategy that has it."""
    names = dict.fromkeys(
        name for lines in by_strategy.values() for name in _names(lines, ("train/loss/",))
    )
    panels = []
    for name in sorted(names):
        curves: dict[int, Point] = {}
        having = [s for s, lines in by_strategy.items() if any(name in line for line in lines)]
        for strategy in having:
            for line in by_strategy[strategy]:
                if name in line:
                    point = {"step": line["step"], "task": line["task"]}
                    curves.setdefault(line["step"], point)[strategy] = line[name]
        points = thinned([curves[step] for step in sorted(curves)], MOST_POINTS)
        panels.append(Panel(_words(name), tuple(having), points))
    return panels


def over_seeds(runs: Sequence[Sequence[Line]]) -> list[Line]:
    """The mean over the seeds of a strategy of each metric, at the steps that all have logged."""
    by_step = [{line["step"]: line for line in lines} for lines in runs]
    found: list[Line] = []
    for step, first in by_step[0].items():
        lines = [own[step] for own in by_step if step in own]
        if len(lines) == len(runs):
            names = [n for n in first if n.startswith("train/") and all(n in ln for ln in lines)]
            means = {name: float(np.mean([line[name] for line in lines])) for name in names}
            found.append({"step": step, "task": first["task"], **means})
    return found
