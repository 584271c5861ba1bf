"""Whole sources, in memory or on disk, brought to the form of a task's images."""

import dataclasses
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from lgaa_jax.data import folder_images, folders, tfds_sets
from lgaa_jax.data.images import Form
from lgaa_jax.data.records import Records
from lgaa_jax.data.sources import Source, lookup
from lgaa_jax.data.split import Split
from lgaa_jax.data.stored import Images, stored
from lgaa_jax.data.tfds_sets import Example


class Loaded(NamedTuple):
    """A whole source."""

    train: Split
    test: Split
    class_names: tuple[str, ...]  # () if unlabelled
    notes: tuple[str, ...]
    factor_names: tuple[str, ...] = ()


def count(name: str, data_dir: str) -> int:
    """How many images a source has, training and test; of those that are drawn here, none."""
    if folders.is_folder(name):
        return len(scanned(name).files)
    if lookup(name, data_dir).read:
        return 0
    builder = tfds_sets.prepared(name, data_dir)
    return sum(n for _, n in tfds_sets.shards(builder))


@functools.lru_cache(maxsize=4)
def scanned(source: str) -> folders.Folder:
    """`folders.scan`, once for a folder whose images are counted and then loaded."""
    return folders.scan(source)


@functools.lru_cache(maxsize=4)  # tasks that share a source decode it once
def folder(source: str, form: Form, skip_broken: bool, kept_in: Path, stream: bool) -> Loaded:
    """A whole folder."""
    rules = dataclasses.asdict(form)
    images = folder_images.load(
        source, scanned(source), form.fit, rules, skip_broken, kept_in, stream
    )
    train, test = _shared(*images.train), _shared(*images.test)
    return Loaded(train, test, images.class_names, images.notes)


@functools.lru_cache(maxsize=4)
def other(name: str, data_dir: str, form: Form, kept_in: Path, stream: bool) -> Loaded:
    """A whole set that is no folder; one that is drawn here is always in memory."""
    source = lookup(name, data_dir)
    if source.read:
        drawn = ((len(x), zip(map(Image.fromarray, x), u, strict=True)) for x, u in source.read())
        train, test = (_gather(name, *split, source.num_classes > 0, form) for split in drawn)
        names = source.class_names
    else:
        train, test, names = _prepared(name, data_dir, source, form, kept_in if stream else None)
    # Sets that say nothing of their classes number them.
    names = (
        names if len(names) == source.num_classes else tuple(map(str, range(source.num_classes)))
    )
    if source.factors is None:
        return Loaded(train, test, names, ())
    train, test = (
        dataclasses.replace(split, factors=values)
        for split, values in zip((train, test), source.factors.read(), strict=True)
    )
    return Loaded(train, test, names, (), source.factors.names)


def forget() -> None:
    """Lets go of all sources, so that those that have changed on disk are read anew."""
    for function in (scanned, folder, other):
        function.cache_clear()


def _prepared(
    name: str, data_dir: str, source: Source, form: Form, kept_in: Path | None
) -> tuple[Split, Split, tuple[str, ...]]:
    """Training and test images of a TFDS set, and what it calls its classes.

    kept_in: where labels and checksums of images that stay on disk are kept; None: in memory.
    """
    builder = tfds_sets.prepared(name, data_dir)
    names = tfds_sets.class_names(builder, data_dir)
    labelled = source.num_classes > 0

    def split(part: str) -> Split:
        if kept_in is None:
            return _gather(name, *tfds_sets.read(builder, part, data_dir), labelled, form)
        shards = tuple(tfds_sets.shards(builder, [part]))
        records = Records(name, data_dir, Path(builder.data_dir), shards, form, kept_in)
        none = np.full(records.shape[0], -1, np.int32)
        return _shared(stored(records), records.labels() if labelled and names else none)

    train, test = map(split, tfds_sets.SPLITS)
    return train, test, names


def _gather(
    name: str, count: int, examples: Iterable[Example], labelled: bool, form: Form
) -> Split:
    """Makes a Split of `count` examples of the set `name`."""
    images = np.empty((count, form.size, form.size, form.channels), np.uint8)
    labels = np.full(count, -1, np.int32)
    for i, (image, label) in enumerate(examples):
        images[i] = form.fit_of(name, image)
        labels[i] = label if labelled and label is not None else -1
    return _shared(images, labels)


def _shared(images: Images, labels: np.ndarray) -> Split:
    """A Split that no task that shares it can change."""
    for array in (images, labels):
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    return Split(images, labels, truth=labels)
