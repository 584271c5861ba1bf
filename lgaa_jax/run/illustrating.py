"""The figures of `--mode=explore`, into images/explore of a workdir."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lgaa_jax.data.loading import Task
from lgaa_jax.data.order import stream_indices
from lgaa_jax.data.split import Split
from lgaa_jax.explore import codes, paths
from lgaa_jax.model.model import Model
from lgaa_jax.workdir import pictures, plots
from lgaa_jax.workdir.picture_files import short_names, stems

ROWS = 8  # of a grid
SHOWN = 300  # most images of a task in the scatter of codes
MOVES = {"z, u and d move": "all", "z alone moves": "z"}  # name of a way, and its `codes`


@dataclasses.dataclass(frozen=True)
class Explored:
    """What is explored: a model and some test images of each of its tasks."""

    model: Model
    tasks: Sequence[Task]
    images: Sequence[Split]
    folder: Path  # where the figures go

    def save(self, index: int, kind: str, picture: np.ndarray) -> None:
        """Writes a figure of one task."""
        stem = stems([task.name for task in self.tasks])[index]
        pictures.save_png(self.folder / f"{stem}_{kind}.png", picture)

    @property
    def names(self) -> list[str]:
        """What the tasks are called in figures."""
        return short_names([task.name for task in self.tasks])


def some(split: Split, most: int) -> Split:
    """At most so many examples, the same ones in every call."""
    n = len(split.images)
    return split.take(stream_indices(n, min(n, most), 0, 0, 0)).held()


def of_each_class(split: Split, rows: int) -> np.ndarray:
    """Images of as many classes as there are, in turn: [rows, H, W, C], repeated where few."""
    _, place = np.unique(split.truth, return_inverse=True)
    turn = np.zeros(len(place), int)
    for c in range(place.max() + 1):
        turn[place == c] = np.arange((place == c).sum())
    order = np.lexsort((place, turn))
    return split.images[np.resize(order, rows)]


def draw(explored: Explored) -> None:
    """All figures but those that come with numbers."""
    _ways(explored)
    _translations(explored)
    _generations(explored)
    _scatter(explored)


def _ways(explored: Explored) -> None:
    """Ways within each task, and from each task to the next."""
    chosen = [of_each_class(split, 2 * ROWS) for split in explored.images]

    def figure(first: np.ndarray, last: np.ndarray, name: str) -> np.ndarray:
        pairs = list(zip(first, last, strict=True))
        grids = [paths.interpolations(explored.model, pairs, codes=kind) for kind in MOVES.values()]
        return pictures.table([grids], [name], list(MOVES))

    for index, (own, name) in enumerate(zip(chosen, explored.names, strict=True)):
        explored.save(index, "interpolation", figure(own[::2], own[1::2], name))
        if index:
            before, name = chosen[index - 1], f"{explored.names[index - 1]} to {name}"
            between = figure(before[:ROWS], own[:ROWS], name)
            explored.save(index, "from_the_task_before", between)


def _translations(explored: Explored) -> None:
    """The content of test images in every task: z carried to the codes there, and z as it is."""
    model = explored.model
    headings = [*explored.names, *(f"{name}, same z" for name in explored.names)]
    for index, split in enumerate(explored.images):
        images = of_each_class(split, ROWS)
        own = np.stack([images, model.reconstruct(images)], axis=1)
        grids = [paths.translations(model, images, model.tasks, c) for c in (True, False)]
        grid = np.concatenate([own, *grids], axis=1)
        headed = pictures.grid(grid, ["image", "reconstruction", *headings], cell=64)
        explored.save(index, "translation", headed)


def _generations(explored: Explored) -> None:
    """New images by class, and by task."""
    model = explored.model
    for index, task in enumerate(model.tasks):
        grid = paths.classes(model, task, ROWS)
        explored.save(index, "generation", pictures.grid(grid, [*model.classes(task).values()]))
    by_task = pictures.grid(paths.tasks(model, ROWS), explored.names, cell=64)
    pictures.save_png(explored.folder / "generation_by_task.png", by_task)


def _scatter(explored: Explored) -> None:
    """The codes of some images of all tasks in a plane."""
    parts = [some(split, SHOWN) for split in explored.images]
    z = np.concatenate([explored.model.encode(part.images) for part in parts])
    of_task, of_class = [], []
    for task, name, part in zip(explored.tasks, explored.names, parts, strict=True):
        of_task += [name] * len(part.images)
        known = task.class_names or [str(u) for u in range(part.truth.max() + 1)]
        of_class += [f"{name} {known[u]}" if u >= 0 else name for u in part.truth]
    plots.scatter(
        explored.folder / "codes.png",
        {method: codes.plane(z, method) for method in ("PCA", "t-SNE")},
        {"task": of_task, "class": of_class},
    )


def draw_traversal(explored: Explored, index: int) -> dict[int, float]:
    """The strongest dimensions of z for one task, each moved; returns their effects."""
    images = of_each_class(explored.images[index], 10)
    grid, effect = paths.traversals(explored.model, images, ROWS)
    steps = [f"{step:g}" for step in np.linspace(-paths.SPAN, paths.SPAN, paths.STEPS)]
    explored.save(index, "traversal", pictures.grid(grid, steps))
    return effect
