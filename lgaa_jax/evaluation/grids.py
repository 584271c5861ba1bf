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


def generated_grid(
    nets: Nets, state: TrainState, key, class_mask, index: int, rows: int
) -> np.ndarray:
    """Samples of the task `index`, a column per class that it has (or ten columns without).

    class_mask: [N, U]. Returns [rows, columns, H, W, C] uint8. The codes are those of
    `sample_codes`, from the same normal numbers whenever `key` is the same.
    """
    classes = np.array([*np.flatnonzero(class_mask[index])] or [-1] * 10, np.int32)
    n = rows * len(classes)
    u, d = np.tile(classes, rows), np.full(n, index, np.int32)
    key = jax.random.fold_in(key, index)
    z = sample_codes(key, state.codes, jnp.asarray(u), jnp.asarray(d), nets.code_size)
    x = _generate(nets, state.sampling_generator, z, u, d)
    return np.asarray(to_uint8(x)).reshape(rows, len(classes), *nets.image_shape)


def reconstruction_grids(nets: Nets, state: TrainState, class_mask, task: Task, rows: int):
    """Test images of each class and their reconstructions, both [rows, columns, H, W, C] uint8.

    class_mask: as in `reconstruct`.
    """
    columns = [np.flatnonzero(task.test.labels == c)[:rows] for c in task.classes]
    if not columns:
        columns = np.array_split(np.arange(10 * rows) % len(task.test.images), 10)
    index = np.array([np.resize(column, rows) for column in columns]).T
    real = task.test.images[index.ravel()]
    x_rec = _reconstruct(nets, state, real, class_mask)
    shape = (*index.shape, *nets.image_shape)
    return real.reshape(shape), np.asarray(to_uint8(x_rec)).reshape(shape)


_generate = jax.jit(generate, static_argnums=0)


@jax.jit(static_argnums=0)
def _reconstruct(nets: Nets, state: TrainState, images: jax.Array, class_mask) -> jax.Array:
    return reconstruct(nets, state, to_unit(images), class_mask)[0]
