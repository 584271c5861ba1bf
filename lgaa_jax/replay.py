"""Generative replay: what is drawn of the earlier tasks, and how it enters a batch."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from lgaa_jax.data import to_uint8, to_unit
from lgaa_jax.models import Nets
from lgaa_jax.state import TrainState

POOL_BATCH = 250  # images drawn at once outside of a step


class Batch(NamedTuple):
    """Rows of one training batch; rows from `n_real` on are placeholders that replay fills."""

    x: jax.Array  # [B, H, W, C] uint8
    u: jax.Array  # [B] int32, -1: no label
    d: jax.Array  # [B] int32, index of the task
    n_real: jax.Array  # [] int32


class Rows(NamedTuple):
    """A batch as the phases take it, real and replayed rows together."""

    x: jax.Array  # [B, H, W, C] in [-1, 1]
    u: jax.Array  # [B] int32, -1: no label
    d: jax.Array  # [B] int32, index of the task
    soft: jax.Array  # [B, U] float32, q(u|x) of the frozen class model; zeros: it was not asked


@dataclasses.dataclass(frozen=True)
class Drawing:
    """How labelled images are drawn from a generator."""

    class_mask: jax.Array  # [N, U] bool, the classes that each task has; none: no class code
    label: str  # of a replayed row, from the frozen q(u|x): "model" or "soft"; "drawn": its u
    temperature: float  # of q(u|x) as the soft label
    spread: float  # of the codes of replay, as a multiple of their deviation


def drawing(config: ml_collections.ConfigDict, class_mask: jax.Array) -> Drawing:
    """How a run of this config draws; class_mask as in `Drawing`."""
    settings = config.replay
    return Drawing(class_mask, settings.label, settings.temperature, settings.spread)


def one_hot(index: jax.Array, size: int) -> jax.Array:
    """[B] int32 -> [B, size] float32; size may be 0 and then there is no column."""
    return jax.nn.one_hot(index, size, dtype=jnp.float32)


def has_classes(class_mask: jax.Array, d: jax.Array) -> jax.Array:
    """Whether a row's task has classes. class_mask: [N, U]; d: [B] -> [B] bool."""
    return jnp.any(class_mask, axis=-1)[d]


def draw_classes(key: jax.Array, d: jax.Array, class_mask: jax.Array) -> jax.Array:
    """A class per row, uniform over those of its task; -1 where it has none.

    d: [B]; class_mask: [N, U] -> [B] int32.
    """
    if not class_mask.shape[1]:
        return jnp.full(d.shape, -1, jnp.int32)
    u = jax.random.categorical(key, jnp.log(class_mask[d].astype(jnp.float32)))
    return jnp.where(has_classes(class_mask, d), u, -1).astype(jnp.int32)


def draw_codes(key: jax.Array, codes: dict, u, d, size: int, spread: float = 1.0) -> jax.Array:
    """Content codes as images of the rows' classes and tasks have them: z ~ N(m_du, spread^2 C_du).

    codes: moments, see `TrainState.codes`; empty: z ~ N(0, I). u, d: [B] -> z: [B, size].
    """
    z = spread * jax.random.normal(key, (len(d), size))
    if not codes:
        return z
    cell = d, jnp.maximum(u, 0)  # a task without classes has the first column
    return codes["mean"][cell] + jnp.einsum("bij,bj->bi", codes["factor"][cell], z)


def generate(nets: Nets, generator: dict, z: jax.Array, u: jax.Array, d: jax.Array) -> jax.Array:
    """G for class and task indices. z: [B, Z]; u, d: [B] -> x: [B, H, W, C] in [-1, 1]."""
    codes = one_hot(u, nets.num_classes), one_hot(d, nets.num_tasks)
    return nets.apply("generator", {"generator": generator}, z, *codes)


def draw(nets: Nets, drawn: dict, key_z, key_u, d: jax.Array, class_mask, spread: float = 1.0):
    """Images of the tasks d: [n], of their classes in equal shares (docs/fidelity.md, "replay").

    drawn: generator and codes, as `TrainState.drawing` has them. Returns x: [n, H, W, C] in
    [-1, 1] and u: [n] int32, the classes that were asked for.
    """
    u = draw_classes(key_u, d, class_mask)
    z = draw_codes(key_z, drawn["codes"], u, d, nets.code_size, spread)
    return generate(nets, drawn["generator"], z, u, d), u


def sample(nets: Nets, frozen: dict, key, task, n: int, drawing: Drawing) -> Rows:
    """Draws `n` labelled images of the tasks before `task`; the class model has no dropout here.

    frozen: `TrainState.replay`; task: [] int32, at least 1.
    """
    key_z, key_u, key_d = jax.random.split(key, 3)
    d = jax.random.randint(key_d, (n,), 0, task)
    x, u = draw(nets, frozen, key_z, key_u, d, drawing.class_mask, drawing.spread)
    soft = jnp.zeros((n, nets.num_classes))
    if drawing.label != "drawn" and nets.class_model is not None:
        logits = nets.apply("class", frozen, x)
        # Of a task without classes a row has no label: the class model has nothing to say of it.
        classed = has_classes(drawing.class_mask, d)
        u = jnp.where(classed, jnp.argmax(logits, axis=-1).astype(jnp.int32), -1)
        if drawing.label == "soft":
            # Of a class that no earlier task has, the frozen class model knows nothing.
            earlier = jnp.arange(nets.num_tasks) < task
            met = jnp.any(drawing.class_mask & earlier[:, None], axis=0)[None]
            soft = jax.nn.softmax(logits / drawing.temperature, where=met)
            soft = jnp.where(classed[:, None], soft, 0.0)
    return Rows(x, u, d, soft)


def real_rows(nets: Nets, batch: Batch) -> Rows:
    """The batch as it is, nothing of it drawn."""
    return Rows(to_unit(batch.x), batch.u, batch.d, jnp.zeros((len(batch.u), nets.num_classes)))


def mix(nets: Nets, state: TrainState, key, batch: Batch, rows: int, drawing: Drawing) -> Rows:
    """The batch with its placeholder rows replaced by replay.

    Which rows are replaced depends on `batch.n_real` by index, so that shapes, and the compiled
    program, are the same for every task; `rows` is the most that any task replaces.
    """
    n = batch.x.shape[0]
    real = real_rows(nets, batch)
    tail = jax.tree.map(lambda column: column[n - rows :], real)

    def replayed() -> Rows:
        drawn = sample(nets, state.replay, key, state.task, rows, drawing)
        keep = jnp.arange(n - rows, n) < batch.n_real
        return jax.tree.map(
            lambda r, f: jnp.where(keep.reshape(-1, *[1] * (r.ndim - 1)), r, f), tail, drawn
        )

    mixed = jax.lax.cond(state.task > 0, replayed, lambda: tail)  # task 0 has nothing to replay
    return jax.tree.map(lambda r, m: jnp.concatenate([r[: n - rows], m]), real, mixed)


def materialise(nets: Nets, state: TrainState, key, n: int, drawing: Drawing):
    """Draws a pool of `n` replay images at once, as the published code does at a task change.

    Returns host arrays x: [n, H, W, C] uint8; u, d: [n] int32. A pure function of its arguments, so
    that a resumed run draws the same pool again.
    """

    @jax.jit
    def batch(key):
        rows = sample(nets, state.replay, key, state.task, POOL_BATCH, drawing)
        return to_uint8(rows.x), rows.u, rows.d

    return _gather(batch, key, n)


def images(nets: Nets, drawn: dict, key: jax.Array, task: int, n: int, class_mask: jax.Array):
    """Draws `n` images of one task; `drawn` as in `draw`. Repeatable, as `materialise` is.

    Returns host arrays x: [n, H, W, C] uint8 and u: [n] int32, the classes that were asked for.
    """
    return _gather(lambda key: _images(nets, drawn, key, jnp.int32(task), class_mask), key, n)


@functools.partial(jax.jit, static_argnums=0)
def _images(nets: Nets, drawn: dict, key: jax.Array, task: jax.Array, class_mask: jax.Array):
    key_z, key_u = jax.random.split(key)
    x, u = draw(nets, drawn, key_z, key_u, jnp.full(POOL_BATCH, task), class_mask)
    return to_uint8(x), u


def _gather(batch, key: jax.Array, n: int):
    """The first `n` rows of as many batches `batch(key)` as that takes, on the host."""
    keys = (jax.random.fold_in(key, i) for i in range(-(-n // POOL_BATCH)))
    parts = [jax.device_get(batch(key_i)) for key_i in keys]
    return tuple(np.concatenate(column)[:n] for column in zip(*parts, strict=True))
