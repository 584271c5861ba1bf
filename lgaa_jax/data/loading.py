"""Tasks as arrays in memory, from the text of `config.tasks`."""

import dataclasses
import functools
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

import ml_collections
import numpy as np
from PIL import Image

from lgaa_jax.data import folders, tfds_sets
from lgaa_jax.data.images import Form
from lgaa_jax.data.notation import TaskSpec, check_tasks
from lgaa_jax.data.sources import lookup
from lgaa_jax.errors import UserError
from lgaa_jax.files import user_cache


@dataclasses.dataclass(frozen=True)
class Split:
    """Images with their labels."""

    images: np.ndarray  # uint8 [n, H, W, C]
    labels: np.ndarray  # int32 [n], what training may know; -1 where there is none
    truth: np.ndarray  # int32 [n], the source's own labels, read by evaluation alone

    def take(self, rows: np.ndarray) -> "Split":
        """The examples at `rows`, an index or a mask."""
        return Split(self.images[rows], self.labels[rows], self.truth[rows])


@dataclasses.dataclass(frozen=True)
class Task:
    """What is learnt at one time."""

    name: str
    train: Split
    test: Split
    classes: tuple[int, ...]  # labels that occur; () if unlabelled
    num_classes: int  # of the whole source, also when the task takes a few; 0 if unlabelled
    base: str  # name of the first task with the same images


def load(config: ml_collections.ConfigDict) -> tuple[Task, ...]:
    """Loads every task of `config.tasks` into memory. Raises UserError."""
    size, channels = config.data.size, config.data.channels
    if not (isinstance(size, int) and size > 0):
        raise UserError(f"data.size={size!r} cannot be used; it must be a number of pixels.")
    if channels not in (1, 3):
        raise UserError(f"data.channels={channels!r} cannot be used; it must be 1 or 3.")
    share, settings = _label_share(config.labels), config.data
    specs = check_tasks(config.tasks, settings.data_dir)
    tasks = []
    for spec, crop in zip(specs, crops(settings.crop, len(specs)), strict=True):
        form = Form(size, channels, crop)
        if folders.is_folder(spec.source):
            splits = _load_folder(spec.source, form, settings.skip_broken, settings.cache_dir)
        else:
            splits = _load_source(spec.source, settings.data_dir, form)
        num_classes = lookup(spec.source, settings.data_dir).num_classes
        tasks.append(_task(spec, splits, num_classes, share, config.seed))
    return tuple(tasks)


def crops(text: str, tasks: int) -> list[int]:
    """Reads data.crop: nothing, one number for all tasks, or one for each."""
    parts = [part.strip() for part in text.split(",")] if text else ["0"]
    if not all(re.fullmatch("[0-9]+", part) for part in parts) or len(parts) not in (1, tasks):
        raise UserError(
            f"data.crop={text!r} cannot be used; it must be a number of pixels, or one for each of "
            f"the {tasks} tasks, such as 128,250."
        )
    return [int(part) for part in parts] * (tasks // len(parts))


def _label_share(text: str) -> float:
    """Returns which share of the training labels is kept: 1 for "all", 0 for "none"."""
    if text in ("all", "none"):
        return float(text == "all")
    if not re.fullmatch(r"0?\.[0-9]*[1-9][0-9]*", str(text)):
        raise UserError(
            f"labels={text!r} cannot be used; it must be all, none or a share such as 0.1."
        )
    return float(text)


@functools.lru_cache(maxsize=4)
def _load_folder(source: str, form: Form, skip_broken: bool, cache_dir: str) -> tuple[Split, ...]:
    """Returns (train, test) of a whole folder."""
    cache = Path(cache_dir) if cache_dir else user_cache("images")
    splits = folders.load(source, form.fit, dataclasses.asdict(form), skip_broken, cache)
    return tuple(_shared(*split) for split in splits)


@functools.lru_cache(maxsize=4)  # tasks that share a source decode it once
def _load_source(name: str, data_dir: str, form: Form) -> tuple[Split, ...]:
    """Returns (train, test) of a whole source."""
    source = lookup(name, data_dir)
    if source.read:
        splits = [(len(i), zip(map(Image.fromarray, i), u, strict=True)) for i, u in source.read()]
    else:
        builder = tfds_sets.find(name, data_dir)
        splits = [tfds_sets.read(builder, split) for split in ("train", "test")]
    try:
        return tuple(_gather(*split, source.num_classes > 0, form) for split in splits)
    except UserError as error:
        raise UserError(f"task {name!r} has an image of {error}; lower data.crop.") from None


def _gather(n: int, rows: Iterable[tuple], labelled: bool, form: Form) -> Split:
    """Makes a Split of `n` rows (Pillow image, label)."""
    images = np.empty((n, form.size, form.size, form.channels), np.uint8)
    labels = np.full(n, -1, np.int32)
    for i, (image, label) in enumerate(rows):
        images[i] = form.fit(image)
        labels[i] = label if labelled else -1
    return _shared(images, labels)


def _shared(images: np.ndarray, labels: np.ndarray) -> Split:
    """A Split that no task that shares it can change."""
    images.flags.writeable = labels.flags.writeable = False
    return Split(images, labels, truth=labels)


def _task(
    spec: TaskSpec, splits: tuple[Split, ...], num_classes: int, share: float, seed: int
) -> Task:
    """Takes the spec's classes out of its source and hides the labels that are not to be used."""
    train, test = (_take(split, spec) for split in splits)
    if not share:
        train, test = (
            dataclasses.replace(split, labels=np.full_like(split.labels, -1))
            for split in (train, test)
        )
    elif share < 1:
        # A checksum, because Python's hash of a string differs between processes.
        rng = np.random.default_rng((seed, zlib.crc32(spec.base.encode())))
        train = dataclasses.replace(train, labels=_keep_share(train.labels, share, rng))
    classes = tuple(int(c) for c in np.unique(train.labels) if c >= 0)
    return Task(spec.name, train, test, classes, num_classes if classes else 0, spec.base)


def _take(split: Split, spec: TaskSpec) -> Split:
    """Returns the examples of the spec's classes, in their order."""
    if spec.classes is not None:
        absent = sorted(set(spec.classes) - set(split.labels.tolist()))
        if absent:
            raise UserError(
                f"task {spec.name!r} has no example of class {absent[0]}; leave it out."
            )
        split = split.take(np.isin(split.labels, spec.classes))
    return split


def _keep_share(labels: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Replaces all but a share of each class's labels, and at least one of each, by -1."""
    kept = np.full_like(labels, -1)
    for c in np.unique(labels[labels >= 0]):
        rows = rng.permutation(np.flatnonzero(labels == c))
        kept[rows[: max(1, round(share * len(rows)))]] = c
    return kept
