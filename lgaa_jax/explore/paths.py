"""Images on ways through the codes of a model, as grids: uint8 [rows, columns, H, W, C]."""

from collections.abc import Sequence

import numpy as np

from lgaa_jax.explore.codes import effects
from lgaa_jax.model.model import Model

STEPS = 9  # columns of a way
SPAN = 3.0  # deviations of the prior that a dimension is moved by


def interpolations(
    model: Model, pairs: Sequence[tuple[np.ndarray, np.ndarray]], codes: str = "all"
) -> np.ndarray:
    """A row for each pair of images, from the first to the last; codes: as in `interpolate`."""
    return np.stack([model.interpolate(*pair, STEPS, codes=codes) for pair in pairs])


def traversals(model: Model, images: np.ndarray, rows: int) -> tuple[np.ndarray, list[int]]:
    """The first of the images with one dimension of z moved, and which dimensions these are.

    A row for each of the dimensions that change the images most, the strongest first.
    """
    strongest = np.argsort(-effects(model, images, SPAN), kind="stable")[:rows].tolist()
    grid = [model.traverse(images[0], dim, STEPS, SPAN) for dim in strongest]
    return np.stack(grid), strongest


def translations(model: Model, images: np.ndarray, tasks: Sequence[str]) -> np.ndarray:
    """A row for each image: itself, its reconstruction, and its content in each of the tasks."""
    columns = [images, model.reconstruct(images)]
    columns += [model.translate(images, task) for task in tasks]
    return np.stack(columns, axis=1)
