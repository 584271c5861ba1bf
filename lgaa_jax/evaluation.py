"""Evaluation: every test example once, summed under a mask and divided once on the host."""

from collections.abc import Callable

import dm_pix
import jax
import jax.numpy as jnp
import numpy as np

from lgaa_jax import replay
from lgaa_jax.data import Split, Task, to_uint8, to_unit
from lgaa_jax.models import Nets
from lgaa_jax.state import TrainState


def infer(nets: Nets, state: TrainState, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean of q(z|x) [B, Z] and argmax of q(u|x) [B] (-1 when U = 0). x: [B, H, W, C]."""
    z, _ = nets.apply("encoder", state.params, x)
    u = jnp.full(len(x), -1, jnp.int32)
    if nets.class_model is not None:
        u = jnp.argmax(nets.apply("class", state.params, x), axis=-1).astype(jnp.int32)
    return z, u


def reconstruct(
    nets: Nets, state: TrainState, x: jax.Array, class_mask: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """G(mean of q(z|x), argmax of q(u|x), argmax of q(d|z)): no sampling, so it is repeatable.

    The class code is 0 where that d is a task without classes. x: [B, H, W, C] in [-1, 1];
    class_mask: [N, U] -> reconstruction [B, H, W, C], class [B] (-1 when U = 0), task [B].
    """
    z, u = infer(nets, state, x)
    d = jnp.argmax(nets.apply("domain", state.params, z), axis=-1)
    given = jnp.where(replay.has_classes(class_mask, d), u, -1)
    return replay.generate(nets, state.drawing_generator, z, given, d), u, d


def make_batch_sums(nets: Nets, class_mask: jax.Array) -> Callable:
    """The jitted `(state, x, label, domains, mask) -> {name: sum over the rows of mask}`."""

    @jax.jit
    def batch_sums(state: TrainState, x, label, domains, mask):
        x = to_unit(x)
        x_rec, u, d = reconstruct(nets, state, x, class_mask)
        real, rec = 0.5 * (x + 1.0), 0.5 * (x_rec + 1.0)
        values = {
            "class": u == label,
            "domain": domains[d],
            "mse": jnp.mean(jnp.square(real - rec), axis=(1, 2, 3)),
            "psnr": dm_pix.psnr(real, rec),
            "ssim": dm_pix.ssim(real, rec),
        }
        return {name: jnp.sum(jnp.where(mask, v, 0.0)) for name, v in values.items()}

    return batch_sums


def padded(split: Split, size: int):
    """Batches of `size` rows and a mask; the last is filled up with masked copies of row 0."""
    for start in range(0, len(split.images), size):
        index = np.arange(start, start + size)
        mask = index < len(split.images)
        index = np.where(mask, index, 0)
        yield split.images[index], split.labels[index], mask


def evaluate(batch_sums: Callable, state: TrainState, domains, split: Split, size: int) -> dict:
    """Means over the split: domain_accuracy, mse, psnr (dB), ssim and, with labels, accuracy.

    domains: [N] bool, the tasks that an image of the split may be said to be of. Images are in
    [0, 1]; PSNR and SSIM are means of the per-image values (Wang et al. 2004).
    """
    total: dict[str, float] = {}
    for x, label, mask in padded(split, size):
        for name, value in jax.device_get(batch_sums(state, x, label, domains, mask)).items():
            total[name] = total.get(name, 0.0) + float(value)
    mean = {name: value / len(split.images) for name, value in total.items()}
    accuracy = {"accuracy": mean.pop("class")}
    mean["domain_accuracy"] = mean.pop("domain")
    return accuracy | mean if (split.labels >= 0).all() else mean


def inferred(nets: Nets, state: TrainState, split: Split, size: int) -> tuple[np.ndarray, ...]:
    """`infer` for all images of a split, in batches of `size`: [n, Z] and [n], on the host."""
    parts = []
    for x, _, mask in padded(split, size):
        z, u = jax.device_get(_infer(nets, state, x))
        parts.append((z[mask], u[mask]))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def generated_grid(
    nets: Nets, state: TrainState, key, class_mask, index: int, rows: int
) -> np.ndarray:
    """Samples of the task `index`, a column per class that it has (or ten columns without).

    class_mask: [N, U]. Returns [rows, columns, H, W, C] uint8. The codes are those of
    `replay.draw_codes`, from the same normal numbers whenever `key` is the same.
    """
    classes = np.array([*np.flatnonzero(class_mask[index])] or [-1] * 10, np.int32)
    n = rows * len(classes)
    u, d = np.tile(classes, rows), np.full(n, index, np.int32)
    key = jax.random.fold_in(key, index)
    z = replay.draw_codes(key, state.codes, jnp.asarray(u), jnp.asarray(d), nets.code_size)
    x = _generate(nets, state.drawing_generator, z, u, d)
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


_generate = jax.jit(replay.generate, static_argnums=0)


@jax.jit(static_argnums=0)
def _infer(nets: Nets, state: TrainState, images: jax.Array):
    return infer(nets, state, to_unit(images))


@jax.jit(static_argnums=0)
def _reconstruct(nets: Nets, state: TrainState, images: jax.Array, class_mask) -> jax.Array:
    return reconstruct(nets, state, to_unit(images), class_mask)[0]
