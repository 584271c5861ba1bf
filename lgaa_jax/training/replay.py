"""Generative replay: labelled images of the earlier tasks, and how they enter a batch."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from lgaa_jax.data.images import to_uint8
from lgaa_jax.networks.nets import Nets
from lgaa_jax.training.batch import Batch, Examples, as_examples
from lgaa_jax.training.devices import ONE_DEVICE, Layout
from lgaa_jax.training.sampling import CHUNK, has_classes, in_chunks, sample_images
from lgaa_jax.training.state import TrainState


@dataclasses.dataclass(frozen=True)
class ReplaySpec:
    """How replay is sampled and labelled."""

    class_mask: jax.Array  # [N, U] bool, the classes that each task has; none: no class code
    label: str  # "model" or "soft": by the frozen q(u|x); "drawn": the u that was sampled
    temperature: float  # of q(u|x) as the soft label
    spread: float  # of the codes of replay, as a multiple of the deviation in their moments


def replay_spec(config: ml_collections.ConfigDict, class_mask: jax.Array) -> ReplaySpec:
    """How a run of this config replays; class_mask as in `ReplaySpec`."""
    settings = config.replay
    return ReplaySpec(class_mask, settings.label, settings.temperature, settings.spread)


def sample_replay(
    nets: Nets,
    frozen: dict[str, Any],
    key: jax.Array,
    task: jax.Array,
    n: int,
    spec: ReplaySpec,
    place: Callable[[Any], Any] = lambda rows: rows,
) -> Examples:
    """Samples `n` labelled images of the tasks before `task`; the class model has no dropout here.

    frozen: `TrainState.replay`; task: [] int32, at least 1; place: as in `sample_images`.
    """
    key_z, key_u, key_d = jax.random.split(key, 3)
    d = jax.random.randint(key_d, (n,), 0, task, jnp.int32)
    x, u, d = sample_images(nets, frozen, key_z, key_u, d, spec.class_mask, spec.spread, place)
    soft = jnp.zeros((len(x), nets.num_classes))
    if spec.label != "drawn" and nets.class_model is not None:
        logits = nets.apply("class", frozen, x)
        # An image of a task without classes gets no label: the class model knows none for it.
        classed = has_classes(spec.class_mask, d)
        u = jnp.where(classed, jnp.argmax(logits, axis=-1).astype(jnp.int32), -1)
        if spec.label == "soft":
            # The frozen class model knows nothing of a class that no earlier task has.
            earlier = jnp.arange(nets.num_tasks) < task
            met = jnp.any(spec.class_mask & earlier[:, None], axis=0)[None]
            soft = jax.nn.softmax(logits / spec.temperature, where=met)
            soft = jnp.where(classed[:, None], soft, 0.0)
    return Examples(x, u, d, soft)


def mix(
    nets: Nets,
    state: TrainState,
    key: jax.Array,
    batch: Batch,
    num_replay: int,
    spec: ReplaySpec,
    layout: Layout = ONE_DEVICE,
) -> Examples:
    """The batch with its placeholders replaced by replay.

    Which examples are replaced depends on `batch.num_real` by index, so that shapes, and the
    compiled program, are the same for every task; `num_replay` is the most that any task replaces.
    """
    n = batch.x.shape[0]
    real = as_examples(batch, nets.num_classes)
    # On several devices an image is made for every row. No row moves then to another device, and it
    # takes no longer: those that have real rows only would wait for the others.
    rest = n - num_replay
    first = rest if layout.num_devices == 1 else 0
    place = functools.partial(layout.split_padded, before=rest)
    tail = jax.tree.map(lambda column: column[first:], real)

    def replayed() -> Examples:
        frozen = layout.assemble(state.replay)
        sampled = sample_replay(nets, frozen, key, state.task, num_replay, spec, place)
        keep = jnp.arange(first, n) < batch.num_real
        return jax.tree.map(
            lambda r, f: jnp.where(keep.reshape(-1, *[1] * (r.ndim - 1)), r, f), tail, sampled
        )

    mixed = jax.lax.cond(state.task > 0, replayed, lambda: tail)  # task 0 has nothing to replay
    if not first:
        return mixed
    return jax.tree.map(lambda r, m: jnp.concatenate([r[:first], m]), real, mixed)


def materialise(
    nets: Nets,
    state: TrainState,
    key: jax.Array,
    n: int,
    spec: ReplaySpec,
    layout: Layout = ONE_DEVICE,
) -> tuple[np.ndarray, ...]:
    """Samples a pool of `n` replay images at once, as the published code does at a task change.

    Returns host arrays x: [n, H, W, C] uint8; u, d: [n] int32. A pure function of its arguments, so
    that a resumed run samples the same pool again.
    """

    @jax.jit
    def chunk(key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        frozen, place = layout.assemble(state.replay), layout.split_padded
        x, u, d, _ = sample_replay(nets, frozen, key, state.task, CHUNK, spec, place)
        return to_uint8(x)[:CHUNK], u[:CHUNK], d[:CHUNK]

    return in_chunks(chunk, key, n, layout)
