"""Tasks as arrays in memory, from the text of `config.tasks`."""

import dataclasses
import functools
import os
import re
import zlib
from collections.abc import Iterable
from typing import NamedTuple

import ml_collections
import numpy as np
from PIL import Image

from lgaa_jax.data import folder_images, folders, held_out, tfds_sets
from lgaa_jax.data.images import BACKGROUNDS, Form
from lgaa_jax.data.labels import keep_share, label_share
from lgaa_jax.data.notation import TaskSpec, check_tasks
from lgaa_jax.data.sources import lookup
from lgaa_jax.data.task_notes import task_notes
from lgaa_jax.data.tfds_sets import Example
from lgaa_jax.errors import UserError, require
from lgaa_jax.files import expand, user_cache


@dataclasses.dataclass(frozen=True)
class Split:
    """Images with their labels."""

    images: np.ndarray  # uint8 [n, H, W, C]
    labels: np.ndarray  # int32 [n], what training may know; -1 where there is none
    truth: np.ndarray  # int32 [n], the source's own labels, read by evaluation alone
    # int32 [n, K], which value each known factor of the images has, read by exploring alone; None:
    # their factors are not known.
    factors: np.ndarray | None = None

    def take(self, chosen: np.ndarray) -> "Split":
        """The examples that are chosen, by indices or a mask."""
        factors = None if self.factors is None else self.factors[chosen]
        return Split(self.images[chosen], self.labels[chosen], self.truth[chosen], factors)


@dataclasses.dataclass(frozen=True)
class Task:
    """What is learnt at one time."""

    name: str
    train: Split
    test: Split
    classes: tuple[int, ...]  # labels that occur; () if unlabelled
    num_classes: int  # of the whole source, also when the task takes a few; 0 if unlabelled
    base: str  # name of the first task with the same images
    class_names: tuple[str, ...] = ()  # of each label, 0 to num_classes - 1; () if unlabelled
    notes: tuple[str, ...] = ()  # sentences on how the source is taken, and what is left out
    factor_names: tuple[str, ...] = ()  # of the columns of `Split.factors`


class _Loaded(NamedTuple):
    """A whole source."""

    train: Split
    test: Split
    class_names: tuple[str, ...]  # () if unlabelled
    notes: tuple[str, ...]
    factor_names: tuple[str, ...] = ()


def load(config: ml_collections.ConfigDict) -> tuple[Task, ...]:
    """Loads every task of `config.tasks` into memory. Raises UserError."""
    settings = config.data
    size, channels, background = settings.size, settings.channels, settings.background
    require(isinstance(size, int) and size > 0, "data.size", size, "a number of pixels")
    require(channels in (1, 3), "data.channels", channels, "1 or 3")
    require(
        background in tuple(BACKGROUNDS), "data.background", background, " or ".join(BACKGROUNDS)
    )
    share = label_share(config.labels)
    specs = check_tasks(config.tasks, settings.data_dir)
    tasks = []
    for spec, crop in zip(specs, crops(settings.crop, len(specs)), strict=True):
        form = Form(size, channels, crop, background)
        if folders.is_folder(spec.source):
            loaded = _load_folder(spec.source, form, settings.skip_broken, settings.cache_dir)
        else:
            loaded = _load_source(spec.source, settings.data_dir, form)
        tasks.append(_task(spec, loaded, share, config))
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


@functools.lru_cache(maxsize=4)
def _load_folder(source: str, form: Form, skip_broken: bool, cache_dir: str) -> _Loaded:
    """A whole folder."""
    kept_in = expand(cache_dir) if cache_dir else user_cache("images")
    rules = dataclasses.asdict(form)
    images = folder_images.load(source, form.fit, rules, skip_broken, kept_in)
    train, test = _shared(*images.train), _shared(*images.test)
    return _Loaded(train, test, images.class_names, images.notes)


@functools.lru_cache(maxsize=4)  # tasks that share a source decode it once
def _load_source(name: str, data_dir: str, form: Form) -> _Loaded:
    """A whole set that is no folder."""
    source = lookup(name, data_dir)
    splits: list[tuple[int, Iterable[Example]]]
    if source.read:
        splits = [(len(i), zip(map(Image.fromarray, i), u, strict=True)) for i, u in source.read()]
        names = source.class_names
    else:
        builder = tfds_sets.prepared(name, data_dir)
        splits = [tfds_sets.read(builder, split, data_dir) for split in tfds_sets.SPLITS]
        names = tfds_sets.class_names(builder, data_dir)
    train, test = (_gather(name, *split, source.num_classes > 0, form) for split in splits)
    # Sets that say nothing of their classes number them.
    names = (
        names if len(names) == source.num_classes else tuple(map(str, range(source.num_classes)))
    )
    if source.factors is None:
        return _Loaded(train, test, names, ())
    train, test = (
        dataclasses.replace(split, factors=values)
        for split, values in zip((train, test), source.factors.read(), strict=True)
    )
    return _Loaded(train, test, names, (), source.factors.names)


def _gather(
    name: str, count: int, examples: Iterable[Example], labelled: bool, form: Form
) -> Split:
    """Makes a Split of `count` examples of the set `name`."""
    images = np.empty((count, form.size, form.size, form.channels), np.uint8)
    labels = np.full(count, -1, np.int32)
    for i, (image, label) in enumerate(examples):
        try:
            images[i] = form.fit(image)
        except UserError as error:
            raise UserError(f"task {name!r} has an image of {error}; lower data.crop.") from None
        labels[i] = label if labelled and label is not None else -1
    return _shared(images, labels)


def _shared(images: np.ndarray, labels: np.ndarray) -> Split:
    """A Split that no task that shares it can change."""
    images.flags.writeable = labels.flags.writeable = False
    return Split(images, labels, truth=labels)


def _task(spec: TaskSpec, loaded: _Loaded, share: float, config: ml_collections.ConfigDict) -> Task:
    """Takes the spec's classes out of its source and hides the labels that are not to be used."""
    train, test = _take(loaded, spec)
    if config.eval.split == "validation":
        chosen = held_out.validation(train.images, train.truth)
        train, test = train.take(~chosen), train.take(chosen)
    notes = (*loaded.notes, *task_notes(train.images, train.truth, test.truth, loaded.class_names))
    if not share:
        train, test = (
            dataclasses.replace(split, labels=np.full_like(split.labels, -1))
            for split in (train, test)
        )
    elif share < 1:
        # A checksum, because Python's hash of a string differs between processes.
        rng = np.random.default_rng((config.seed, zlib.crc32(os.fsencode(spec.base))))
        train = dataclasses.replace(train, labels=keep_share(train.labels, share, rng))
    classes = tuple(int(c) for c in np.unique(train.labels) if c >= 0)
    names = loaded.class_names if classes else ()
    return Task(
        spec.name,
        train,
        test,
        classes,
        len(names),
        spec.base,
        names,
        notes,
        loaded.factor_names,
    )


def _take(loaded: _Loaded, spec: TaskSpec) -> tuple[Split, Split]:
    """Returns the training and test examples of the spec's classes, in their order."""
    train, test = loaded.train, loaded.test
    if spec.classes is None:
        return train, test
    absent = sorted(set(spec.classes) - set(train.labels.tolist()))
    if absent:
        raise UserError(f"task {spec.name!r} has no example of class {absent[0]}; leave it out.")
    train, test = (split.take(np.isin(split.labels, spec.classes)) for split in (train, test))
    if not len(test.labels):
        raise UserError(f"task {spec.name!r} has no test image; name another class as well.")
    return train, test
