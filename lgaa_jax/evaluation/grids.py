"""Images of one task for the eye: samples, and test images with their reconstructions."""

import jax
import jax.numpy as jnp
import numpy as np

from lgaa_jax.data.images import to_uint8, to_unit
from lgaa_jax.data.loading import Task
from lgaa_jax.evaluation.inference import reconstruct
from lgaa_jax.networks.nets import Nets
from lgaa_jax.training.codes import sample_codes
from lgaa_jax.training.sampling import generate
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
) -> np.ndarray:
    """Samples of the task `index`: a column per class that it has, or ten columns without classes.

    class_mask: [N, U]. Returns [rows, columns, H, W, C] uint8. With the same `key` the codes come
    from the same normal numbers.
    """
    classes = np.array([*np.flatnonzero(class_mask[index])] or [-1] * COLUMNS, np.int32)
    n = rows * len(classes)
    u, d = np.tile(classes, rows), np.full(n, index, np.int32)
    key = jax.random.fold_in(key, index)
    z = sample_codes(key, state.codes, jnp.asarray(u), jnp.asarray(d), nets.code_size)
    x = _generate(nets, state.sampling_generator, z, u, d)
    return np.asarray(to_uint8(x)).reshape(rows, len(classes), *nets.image_shape)


def reconstruction_grids(
    nets: Nets, state: TrainState, class_mask: np.ndarray | jax.Array, task: Task, rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Test images and their reconstructions, both [rows, columns, H, W, C] uint8.

    A column per class of the task, or ten columns without classes. Where a column has fewer test
    images than rows, the cells below them are `EMPTY`. class_mask: as in `reconstruct`.
    """
    indices = _chosen(task, rows)
    given = (indices >= 0)[..., None, None, None]
    real = task.test.images[np.maximum(indices, 0).ravel()]
    x_rec = np.asarray(to_uint8(_reconstruct(nets, state, real, class_mask)))
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


_generate = jax.jit(generate, static_argnums=0)


@jax.jit(static_argnums=0)
def _reconstruct(
    nets: Nets, state: TrainState, images: jax.Array, class_mask: jax.Array
) -> jax.Array:
    return reconstruct(nets, state, to_unit(images), class_mask)[0]
