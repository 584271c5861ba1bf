"""Images of one task for the eye: samples, and test images with their reconstructions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from lgaa_jax.data.images import to_uint8
from lgaa_jax.data.loading import Task
from lgaa_jax.evaluation.batches import in_batches
from lgaa_jax.evaluation.confidence import confident
from lgaa_jax.evaluation.inference import decode, reconstruct
from lgaa_jax.networks.nets import Nets
from lgaa_jax.training.codes import sample_codes
from lgaa_jax.training.sampling import one_hot, turned
from lgaa_jax.training.state import TrainState

COLUMNS = 10  # of a grid of a task without classes
EMPTY = np.uint8(128)  # pixels of a cell without an image: grey, as the lines between the cells


def generated_grid(
    nets: Nets,
    state: TrainState,
    key: jax.Array,
    class_mask: np.ndarray | jax.Array,
    index: int,
    rows: int,
    size: int,
    spread: float = 1.0,
    confidence: float = 0.0,
) -> np.ndarray:
    """Samples of the task `index`: a column per class that it has, or ten columns without classes.

    class_mask: [N, U]; size: of the batches; spread: of the codes; confidence: the least of
    confidence.py. Returns [rows, columns, H, W, C] uint8. With the same `key` the codes come from
    the same normal numbers.
    """
    classes = np.array([*np.flatnonzero(class_mask[index])] or [-1] * COLUMNS, np.int32)
    n = rows * len(classes)
    u, d = jnp.asarray(np.tile(classes, rows)), jnp.full(n, index)
    key = jax.random.fold_in(key, index)
    program = functools.partial(decode, nets, state.evaluated)

    def drawn(turn: int) -> np.ndarray:
        z = sample_codes(turned(key, turn), state.codes, u, d, nets.code_size, spread)
        given = z, one_hot(u, nets.num_classes), one_hot(d, nets.num_tasks)
        return np.asarray(to_uint8(in_batches(program, size, *map(np.asarray, given))))

    asked = np.asarray(u)
    x = confident(drawn(0), drawn, nets, state, asked, confidence, size)
    return x.reshape(rows, len(classes), *nets.image_shape)


def reconstruction_grids(
    nets: Nets,
    state: TrainState,
    class_mask: np.ndarray | jax.Array,
    task: Task,
    rows: int,
    size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Test images and their reconstructions, both [rows, columns, H, W, C] uint8.

    A column per class of the task, or ten columns without classes. Where a column has fewer test
    images than rows, the cells below them are `EMPTY`. class_mask, size: as above.
    """
    indices = _chosen(task, rows)
    given = (indices >= 0)[..., None, None, None]
    real = task.test.images[np.maximum(indices, 0).ravel()]
    program = functools.partial(reconstruct, nets, state.evaluated, class_mask)
    x_rec = to_uint8(in_batches(program, size, real)[0])
    shape = (*indices.shape, *nets.image_shape)
    filled, reconstructed = (
        np.where(given, cells.reshape(shape), EMPTY) for cells in (real, x_rec)
    )
    return filled, reconstructed


def _chosen(task: Task, rows: int) -> np.ndarray:
    """Which test images a grid shows: [rows, columns] indices, -1 where there is none."""
    columns = [np.flatnonzero(task.test.labels == c)[:rows] for c in task.classes]
    if not columns:
        n = min(len(task.test.images), rows * COLUMNS)
        columns = np.array_split(np.arange(n), COLUMNS)
    indices = np.full((rows, len(columns)), -1)
    for column, found in enumerate(columns):
        indices[: len(found), column] = found
    return indices
