"""The samples of each task along the sequence, and the grids after its last task."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

from lgaa_jax.report import samples
from lgaa_jax.report.samples import Card, Moment, Size, Strip
from lgaa_jax.report.written import Written
from lgaa_jax.workdir.picture_files import GRID_ROWS

KINDS = ("real", "reconstructed", "generated")
NOT_LEARNED = "not learned yet"

# What stands below a strip: of the strategy, after a task, of a task; "" for nothing.
Note = Callable[[str, int, int], str]


def cards(runs: Mapping[str, Written], rows: int, note: Note) -> list[Card]:
    """For each task its samples after each task, of each run in turn.

    runs: by what they are called, all of the same tasks and images; where there are several, real
    images stand above them. rows: at most, of a grid.
    """
    first = next(iter(runs.values()))
    real = [_last(first, index, "real") for index in range(len(first.names))]
    drawn = [path for run in runs.values() for path in _drawn(run)]
    above = [path for path in real if path is not None] if len(runs) > 1 else []
    size = samples.fitting([*drawn, *above], first.image_shape, rows)
    found = []
    for index, title in enumerate(first.short):
        strips = [_strip(name, run, index, size, note) for name, run in runs.items()]
        if real[index] in above:
            strips = [_still("real", first, index, size), *strips]
        if any(moment.picture for strip in strips for moment in strip.moments):
            found.append(Card(title, samples.headings(first, index, size), strips))
    return found


def last_grids(written: Written) -> list[Card]:
    """For each task its real, reconstructed and generated images after the last task so far."""
    tasks = range(len(written.names))
    kinds = {i: [k for k in KINDS if _last(written, i, k)] for i in tasks}
    paths = [written.grid(written.stops - 1, i, k) for i in tasks for k in kinds[i]]
    size = samples.fitting(paths, written.image_shape, GRID_ROWS)
    return [
        Card(
            written.short[index],
            samples.headings(written, index, size),
            [_still(kind, written, index, size) for kind in kinds[index]],
        )
        for index in tasks
        if kinds[index]
    ]


def _drawn(run: Written) -> list[Path]:
    """The generated grids of a run that are there."""
    tasks = range(len(run.names))
    paths = [run.grid(t, i, "generated") for t in range(run.stops) for i in tasks]
    return [path for path in paths if path.exists()]


def _last(written: Written, index: int, kind: str) -> Path | None:
    """The grid of a task after the last one so far; None where there is none."""
    if not written.stops:
        return None
    path = written.grid(written.stops - 1, index, kind)
    return path if path.exists() else None


def _strip(name: str, run: Written, index: int, size: Size, note: Note) -> Strip:
    """The samples of one task after each task; before it was learned, the words for that."""
    moments = []
    known = [t for t in range(run.stops) if run.grid(t, index, "generated").exists()]
    if unknown := known[0] if known else run.stops:
        moments.append(Moment(0, unknown - 1, None, NOT_LEARNED))
    for t, following in itertools.pairwise([*known, run.stops]):
        alt = samples.described(
            f"{name} generated".strip(),
            run.short[index],
            run.short[t],
            samples.headings(run, index, size),
        )
        grid = samples.picture(run.grid(t, index, "generated"), run.image_shape, size, alt)
        # It stays where the task was not drawn after the next ones.
        moments.append(Moment(t, following - 1, grid, note(name, t, index)))
    return Strip(name, moments)


def _still(kind: str, written: Written, index: int, size: Size) -> Strip:
    """The grid of one kind after the last task, which stays."""
    last = written.stops - 1
    columns = samples.headings(written, index, size)
    alt = samples.described(kind, written.short[index], written.short[last], columns)
    path = written.grid(last, index, kind)
    return Strip(kind, [Moment(0, last, samples.picture(path, written.image_shape, size, alt), "")])
