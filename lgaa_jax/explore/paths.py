"""Images of codes that are asked for, as grids: uint8 [rows, columns, H, W, C]."""

from collections.abc import Sequence

import numpy as np

from lgaa_jax.explore.codes import effects
from lgaa_jax.model.model import Model

STEPS = 9  # columns of a way
SPAN = 3.0  # deviations of the prior that a dimension is moved by
COLUMNS = 10  # of a task without classes


def interpolations(
    model: Model, pairs: Sequence[tuple[np.ndarray, np.ndarray]], codes: str = "all"
) -> np.ndarray:
    """A row for each pair of images, from the first to the last; codes: as in `interpolate`."""
    return np.stack([model.interpolate(*pair, STEPS, codes=codes) for pair in pairs])


def traversals(model: Model, images: np.ndarray, rows: int) -> tuple[np.ndarray, dict[int, float]]:
    """The first of the images with one dimension of z moved; effect of each of the dimensions.

    A row for each of the dimensions that change the images most, the strongest first (`effects`).
    """
    effect = effects(model, images, SPAN)
    strongest = np.argsort(-effect, kind="stable")[:rows].tolist()
    grid = [model.traverse(images[0], dim, STEPS, SPAN) for dim in strongest]
    return np.stack(grid), {dim: float(effect[dim]) for dim in strongest}


def translations(
    model: Model, images: np.ndarray, tasks: Sequence[str], carried: bool = True
) -> np.ndarray:
    """A row for each image: its content in each of the tasks; carried: as in `translate`."""
    return np.stack([model.translate(images, task, carried=carried) for task in tasks], axis=1)


def classes(model: Model, task: str, rows: int) -> np.ndarray:
    """New images of a task: a column for each of its classes, ten where it has none.

    In a row all are of the same normal numbers, so that they differ in what the class makes of
    them; without classes all differ.
    """
    labels = list(model.classes(task))
    if not labels:
        images = model.generate(COLUMNS * rows, task)
        return images.reshape(rows, COLUMNS, *images.shape[1:])
    return np.stack([model.generate(rows, task, label) for label in labels], axis=1)


def tasks(model: Model, rows: int) -> np.ndarray:
    """New images of each task in a column: of its classes in turn, by the same normal numbers."""
    return np.stack([model.generate(rows, task) for task in model.tasks], axis=1)
