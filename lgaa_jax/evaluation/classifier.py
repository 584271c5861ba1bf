"""Classifiers trained apart from the run, by which generated images are judged.

Their architecture, recipe and labels are their own: no key of the networks and no share of labels
changes them, so that figures of runs that differ in those can be compared.
"""

import dataclasses
import functools
import hashlib
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import logging

from lgaa_jax.data.fingerprint import sample
from lgaa_jax.data.images import to_unit
from lgaa_jax.data.order import stream_indices
from lgaa_jax.data.split import Split
from lgaa_jax.data.stored import Images, Stored
from lgaa_jax.files import write_bytes
from lgaa_jax.networks import ops
from lgaa_jax.networks.layers import ClassNetwork
from lgaa_jax.networks.modules import ClassModel
from lgaa_jax.networks.nets import Params
from lgaa_jax.seals import closed, read_closed
from lgaa_jax.training import hosts, losses
from lgaa_jax.training.devices import ONE_DEVICE, Layout

FOLDER = "reference"  # of a workdir, where they are kept
BATCH, PREDICT_BATCH = 64, 250
LEARNING_RATE = 1e-3  # at the start; it falls to 0 along a cosine
WIDTH, DROPOUT = 16, 0.5  # of the judge, a class model
RECIPE = 2  # to be raised when training changes in what the constants above do not tell

Carry = tuple[Params, optax.OptState]
Begin = Callable[[jax.Array, np.ndarray], Carry]
TakeStep = Callable[[Carry, jax.Array, np.ndarray, np.ndarray], Carry]


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A class model, of the published layers or residual, with parameters of its own."""

    model: ClassNetwork
    params: Params
    layout: Layout = ONE_DEVICE  # of the devices that the parameters lie on

    def __call__(self, images: Images) -> tuple[np.ndarray, np.ndarray]:
        """images: [n, H, W, C] uint8 -> classes [n] int32, hidden features [n, F] float32."""
        classes, features = (np.concatenate(c) for c in zip(*self._parts(images), strict=True))
        return classes, features

    def accuracy(self, images: Images, labels: np.ndarray) -> float:
        """Share of the images [n, H, W, C] uint8 that get their label [n]."""
        classes = np.concatenate([part for part, _ in self._parts(images)])
        return float(np.mean(classes == labels))

    def _parts(self, images: Images) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Classes and features, some at a time."""
        n, size = len(images), self.layout.round_up(PREDICT_BATCH)
        for start in range(0, n, size):
            # Always a full batch: one shape, one program.
            batch = self.layout.put(images[np.arange(start, start + size) % n])
            classes, features = self.layout.fetch(_predict(self.model, self.params, batch))
            yield classes[: n - start], features[: n - start]


def train(
    model: ClassNetwork,
    images: Images,
    labels: np.ndarray,
    steps: int,
    seed: int,
) -> Classifier:
    """Trains from scratch on images [n, H, W, C] uint8 and labels [n]; -1 is skipped."""
    labelled = np.flatnonzero(labels >= 0)
    init_key, dropout_key = jax.random.split(jax.random.key(seed))
    begin, take_step = _programs(model, steps)
    carry = begin(init_key, images[:1])
    for step in range(steps):
        indices = labelled[stream_indices(len(labelled), BATCH, seed, 0, step)]
        key = jax.random.fold_in(dropout_key, step)
        carry = take_step(carry, key, images[indices], labels[indices])
    return Classifier(model, jax.block_until_ready(carry[0]))


def reference(split: Split, steps: int, folder: str | os.PathLike[str]) -> Classifier:
    """The judge: learned from all true labels of a training set, once, and kept in `folder`."""
    model = judge_model(split)
    path = pathlib.Path(folder) / f"{_name(model, split, steps)}.msgpack"
    params = _read(model, split.images[:1], path)
    if params is not None:
        return Classifier(model, params)
    trained = train(model, split.images, split.truth, steps, seed=0)
    try:
        write_bytes(path, closed(flax.serialization.to_bytes(trained.params)))
    except OSError as error:
        logging.warning(
            "a reference classifier cannot be kept in %s (%s): it is trained anew when it is "
            "needed again.",
            folder,
            error.strerror,
        )
    return trained


def judge_model(split: Split) -> ClassModel:
    """The networks of the judge of a training set."""
    return ClassModel(int(split.truth.max()) + 1, WIDTH, DROPOUT)


def made_once(layout: Layout, model: ClassNetwork, make: Callable[[], Classifier]) -> Classifier:
    """A classifier with these networks on all devices of a layout.

    Of several processes the first makes it: what its disk holds, the others need not have.
    """
    if layout.num_devices == 1:
        return make()
    params = hosts.shared(lambda: jax.device_get(make().params))
    return Classifier(model, layout.place(params, layout.whole), layout)


def _name(model: ClassModel, split: Split, steps: int) -> str:
    """A name that differs whenever the classifier would: by its recipe and its training set."""
    recipe = f"{RECIPE} {model} {steps} {BATCH} {LEARNING_RATE} {split.images.shape}"
    content = hashlib.sha256(recipe.encode())
    images = split.images
    if isinstance(images, Stored):  # some stand for all: to read them takes longer than to learn
        content.update(b"sample")
        images = sample(images)
    for column in (images, split.truth):
        content.update(np.ascontiguousarray(column).data)
    return content.hexdigest()[:16]


def sound(path: pathlib.Path) -> bool:
    """Whether a file of `reference` is what was written."""
    return read_closed(path) is not None


def _read(model: ClassModel, image: np.ndarray, path: pathlib.Path) -> Params | None:
    """The parameters in a file; None when it is absent or damaged: it can be made again."""
    content = read_closed(path)
    if content is None:
        return None
    like = jax.eval_shape(lambda: model.init(jax.random.key(0), to_unit(image))["params"])
    return flax.serialization.from_bytes(like, content)


def _apply(model: ClassNetwork, params: Params, images: jax.Array, **options: Any) -> Any:
    return model.apply({"params": params}, to_unit(images), **options)


@functools.partial(jax.jit, static_argnums=0)
def _predict(model: ClassNetwork, params: Params, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    logits, features = _apply(model, params, images, features=True)
    return jnp.argmax(logits, axis=-1).astype(jnp.int32), features


@functools.cache
def _programs(model: ClassModel, steps: int) -> tuple[Begin, TakeStep]:
    """Compiled `(key, image) -> carry` and `(carry, key, images, labels) -> carry`."""
    tx = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))

    def begin(key: jax.Array, image: jax.Array) -> Carry:
        params = model.init(key, to_unit(image))["params"]
        return params, tx.init(params)

    def step(carry: Carry, key: jax.Array, images: jax.Array, labels: jax.Array) -> Carry:
        params, opt = carry

        def objective(params: Params) -> jax.Array:
            logits = _apply(model, params, images, train=True, rngs={"dropout": key})
            return jnp.mean(losses.cross_entropy(logits, labels))

        updates, opt = tx.update(jax.grad(objective)(params), opt, params)
        return optax.apply_updates(params, updates), opt

    options = ops.compiler_options()
    return jax.jit(begin), jax.jit(step, donate_argnums=0, compiler_options=options)
