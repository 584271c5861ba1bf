"""Tasks, in memory or on disk, from the text of `config.tasks`."""

import dataclasses
import functools
import os
import re
import zlib

import ml_collections
import numpy as np

from lgaa_jax.data import folders, held_out, reading
from lgaa_jax.data.images import BACKGROUNDS, Form
from lgaa_jax.data.labels import keep_share, label_share
from lgaa_jax.data.notation import TaskSpec, check_tasks
from lgaa_jax.data.reading import Loaded
from lgaa_jax.data.split import Split
from lgaa_jax.data.stored import checksums
from lgaa_jax.data.streaming import streams
from lgaa_jax.data.task_notes import task_notes
from lgaa_jax.errors import UserError, require
from lgaa_jax.files import expand, user_cache


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
    streamed: bool = False  # whether its images are read when they are needed, as all tasks' are


def load(config: ml_collections.ConfigDict) -> tuple[Task, ...]:
    """Loads every task of `config.tasks`, or its labels alone. Raises UserError.

    Images stay on disk where `data.streaming` says so.
    """
    settings = config.data
    size, channels, background = settings.size, settings.channels, settings.background
    require(isinstance(size, int) and size > 0, "data.size", size, "a number of pixels")
    require(channels in (1, 3), "data.channels", channels, "1 or 3")
    require(
        background in tuple(BACKGROUNDS), "data.background", background, " or ".join(BACKGROUNDS)
    )
    share = label_share(config.labels)
    specs = check_tasks(config.tasks, settings.data_dir)
    form = functools.partial(Form, size, channels, background=background)
    forms = [form(crop=crop) for crop in crops(settings.crop, len(specs))]
    sources = zip((spec.source for spec in specs), forms, strict=True)
    stream = streams(settings, sources)
    return tuple(
        _task(spec, _loaded(spec, form, stream, settings), share, stream, config)
        for spec, form in zip(specs, forms, strict=True)
    )


def _loaded(
    spec: TaskSpec, form: Form, stream: bool, settings: ml_collections.ConfigDict
) -> Loaded:
    """The whole source of a task."""
    kept_in = expand(settings.cache_dir) if settings.cache_dir else user_cache("images")
    if folders.is_folder(spec.source):
        return reading.folder(spec.source, form, settings.skip_broken, kept_in, stream)
    return reading.other(spec.source, settings.data_dir, form, kept_in, stream)


def crops(text: str, tasks: int) -> list[int]:
    """Reads data.crop: nothing, one number for all tasks, or one for each."""
    parts = [part.strip() for part in text.split(",")] if text else ["0"]
    if not all(re.fullmatch("[0-9]+", part) for part in parts) or len(parts) not in (1, tasks):
        raise UserError(
            f"data.crop={text!r} cannot be used; it must be a number of pixels, or one for each of "
            f"the {tasks} tasks, such as 128,250."
        )
    return [int(part) for part in parts] * (tasks // len(parts))


def _task(
    spec: TaskSpec,
    loaded: Loaded,
    share: float,
    stream: bool,
    config: ml_collections.ConfigDict,
) -> Task:
    """Takes the spec's classes out of its source and hides the labels that are not to be used."""
    train, test = _take(loaded, spec)
    if config.eval.split == "validation":
        chosen = held_out.validation(checksums(train.images), train.truth)
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
        stream,
    )


def _take(loaded: Loaded, spec: TaskSpec) -> tuple[Split, Split]:
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
