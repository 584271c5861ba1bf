"""Tasks: from `config.tasks` to arrays in memory, and the order in which training sees them.

What every image goes through, to uint8 [size, size, channels] (config.data):
  channels  grey to RGB repeats the channel; RGB to grey is the Rec. 601 luma; alpha is dropped.
  square    the middle square of one that is not.
  size      up to 4 pixels too small: zeros around it (28x28 to 32x32 keeps every pixel), the odd
            one below and to the right. Otherwise Pillow's BILINEAR, which widens its triangle on
            reduction: BOX would weigh pixels unevenly at ratios like 28/16.
Networks see them as float32 in [-1, 1]: `to_unit`.

Labels: a TFDS set outside `SOURCES` has those of its ClassLabel feature `label`, if that counts at
most 100. Omniglot is unlabelled because its train and test splits share no character, CelebA
because it has no class label.
"""

import dataclasses
import difflib
import functools
import re
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from lgaa_jax import embedded, prepare
from lgaa_jax.errors import UserError

MAX_PADDING = 4  # pixels that an image may lack in height and width to be padded, not resized


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a task's images come from."""

    num_classes: int  # 0: unlabelled
    read: Callable | None = None  # () -> (train, test), each (images, labels); None: a TFDS set


SOURCES = {
    "digits": Source(10, embedded.digits),
    "letters": Source(10, embedded.letters),
    "mnist": Source(10),
    "fashion_mnist": Source(10),
    "svhn_cropped": Source(10),
    "cifar10": Source(10),
    "omniglot": Source(0),
    "celeb_a": Source(0),
}


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """One element of `config.tasks`."""

    name: str  # as written, without spaces
    source: str
    classes: tuple[int, ...] | None  # ascending; None: all


@dataclasses.dataclass(frozen=True)
class Split:
    """Images with their labels."""

    images: np.ndarray  # uint8 [n, H, W, C]
    labels: np.ndarray  # int32 [n], -1 where there is none


@dataclasses.dataclass(frozen=True)
class Task:
    """What is learnt at one time."""

    name: str
    train: Split
    test: Split
    classes: tuple[int, ...]  # labels that occur; () if unlabelled
    num_classes: int  # of the whole source, also when the task takes a few; 0 if unlabelled


def parse_tasks(text, data_dir=""):
    """Reads `config.tasks`, such as "mnist[0-4],letters"; returns a tuple of TaskSpec."""
    parts = [part.strip() for part in re.split(r",(?![^\[]*\])", text)]
    if "" in parts:
        raise UserError(
            f"config.tasks = {text!r} has an empty task; write it like 'digits,letters'."
        )
    specs = tuple(_parse_task(part, data_dir) for part in parts)
    for i, spec in enumerate(specs):
        if (spec.source, spec.classes) in [(s.source, s.classes) for s in specs[:i]]:
            raise UserError(
                f"config.tasks = {text!r} has the task {spec.name!r} twice; name it once."
            )
    return specs


def _parse_task(text, data_dir):
    match = re.fullmatch(r"([^\[\]]+)(\[[^\[\]]*\])?", text)
    if not match:
        raise UserError(
            f"cannot read the brackets of task {text!r}; write it like 'mnist[0,2,7-9]'."
        )
    source, bracket = match[1].strip(), re.sub(r"\s", "", match[2] or "")
    limit = _lookup(source, data_dir).num_classes
    if not bracket:
        return TaskSpec(source, source, None)
    if not limit:
        raise UserError(
            f"task {text!r} asks for classes, but {source} is unlabelled; drop {bracket}."
        )
    classes = [c for item in bracket[1:-1].split(",") for c in _parse_classes(item, text, limit)]
    repeated = sorted({c for c in classes if classes.count(c) > 1})
    if repeated:
        raise UserError(f"task {text!r} has class {repeated[0]} more than once; name it once.")
    return TaskSpec(source + bracket, source, tuple(sorted(classes)))


def _parse_classes(item, text, limit):
    """Reads `3` or `7-9`; `limit` is the source's number of classes."""
    match = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", item)
    if not match:
        raise UserError(f"cannot read {item!r} in task {text!r}; write it like 'mnist[0,2,7-9]'.")
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise UserError(f"the range {item!r} in task {text!r} descends; write '{last}-{first}'.")
    if last >= limit:
        raise UserError(f"task {text!r} asks for class {last}; its classes are 0 to {limit - 1}.")
    return range(first, last + 1)


def _lookup(name, data_dir):
    """Returns the Source called `name`: one of SOURCES, or any TFDS set prepared in data_dir."""
    if name in SOURCES:
        return SOURCES[name]
    builder = prepare.find(name, data_dir)
    if builder is not None and prepare.is_prepared(builder):
        return Source(prepare.num_classes(builder))
    close = difflib.get_close_matches(name.lower(), SOURCES, n=1)
    end = f"; did you mean {close[0]!r}?" if close else "."
    raise UserError(
        f"unknown task {name!r}: there are {', '.join(SOURCES)}, and every TFDS image set that is "
        f"prepared in {data_dir or 'the default TFDS folder'} (config.data.data_dir){end}"
    )


def check_tasks(tasks, data_dir):
    """Returns the TaskSpecs of the text; UserError if one cannot be loaded; reads no image."""
    specs = parse_tasks(tasks, data_dir)
    for name in dict.fromkeys(spec.source for spec in specs):
        if _lookup(name, data_dir).read is None:
            prepare.check(prepare.find(name, data_dir), data_dir)
    return specs


def fit(image, size, channels):
    """Brings a Pillow image to uint8 [size, size, channels], by the rules above."""
    mode = "L" if channels == 1 else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    if image.width != image.height:
        image = image.crop((left, top, left + side, top + side))
    if 0 < size - side <= MAX_PADDING:
        before = (size - side) // 2
        image = image.crop((-before, -before, size - before, size - before))  # zeros outside
    elif side != size:
        image = image.resize((size, size), Image.BILINEAR)
    return np.asarray(image).reshape(size, size, channels)


def to_unit(images):
    """Maps uint8 0..255 to float32 in [-1, 1]; NumPy or JAX arrays."""
    return images.astype("float32") / 127.5 - 1


def to_uint8(x):
    """Undoes `to_unit`: rounds to the nearest level; values outside [-1, 1] are clipped."""
    return ((x + 1) * 127.5).round().clip(0, 255).astype("uint8")


def load(config):
    """Loads every task of `config.tasks` into memory; returns a tuple of Task. Raises UserError."""
    size, channels = config.data.size, config.data.channels
    if not (isinstance(size, int) and size > 0):
        raise UserError(f"config.data.size = {size!r} is no image size; give a number of pixels.")
    if channels not in (1, 3):
        raise UserError(f"config.data.channels = {channels!r} is not known; give 1 or 3.")
    share = _label_share(config.labels)
    specs = check_tasks(config.tasks, config.data.data_dir)
    tasks = []
    for spec in specs:
        splits = _load_source(spec.source, config.data.data_dir, size, channels)
        num_classes = _lookup(spec.source, config.data.data_dir).num_classes
        tasks.append(_task(spec, splits, num_classes, share, config.seed))
    return tuple(tasks)


def _label_share(text):
    """Returns which share of the training labels is kept: 1 for "all", 0 for "none"."""
    if text in ("all", "none"):
        return float(text == "all")
    if not re.fullmatch(r"0?\.[0-9]*[1-9][0-9]*", str(text)):
        raise UserError(f"config.labels = {text!r} is not known; give all, none or, say, 0.1.")
    return float(text)


@functools.lru_cache(maxsize=4)  # tasks that share a source decode it once
def _load_source(name, data_dir, size, channels):
    """Returns (train, test) of a whole source."""
    source = _lookup(name, data_dir)
    if source.read:
        splits = [(len(i), zip(map(Image.fromarray, i), u, strict=True)) for i, u in source.read()]
    else:
        builder = prepare.find(name, data_dir)
        splits = [prepare.read(builder, split) for split in ("train", "test")]
    return tuple(_gather(*split, source.num_classes > 0, size, channels) for split in splits)


def _gather(n, rows, labelled, size, channels):
    """Makes a Split of `n` rows (Pillow image, label)."""
    images = np.empty((n, size, size, channels), np.uint8)
    labels = np.full(n, -1, np.int32)
    for i, (image, label) in enumerate(rows):
        images[i] = fit(image, size, channels)
        labels[i] = label if labelled else -1
    images.flags.writeable = labels.flags.writeable = False  # tasks share them
    return Split(images, labels)


def _task(spec, splits, num_classes, share, seed):
    """Takes the spec's classes out of its source and hides the labels that are not to be used."""
    train, test = (_take(split, spec) for split in splits)
    if not share:
        train, test = (
            Split(split.images, np.full_like(split.labels, -1)) for split in (train, test)
        )
    elif share < 1:
        # A checksum, because Python's hash of a string differs between processes.
        rng = np.random.default_rng((seed, zlib.crc32(spec.name.encode())))
        train = Split(train.images, _keep_share(train.labels, share, rng))
    classes = tuple(int(c) for c in np.unique(train.labels) if c >= 0)
    return Task(spec.name, train, test, classes, num_classes if classes else 0)


def _take(split, spec):
    """Returns the examples of the spec's classes, in their order."""
    if spec.classes is not None:
        absent = sorted(set(spec.classes) - set(split.labels.tolist()))
        if absent:
            raise UserError(
                f"task {spec.name!r} has no example of class {absent[0]}; leave it out."
            )
        rows = np.isin(split.labels, spec.classes)
        split = Split(split.images[rows], split.labels[rows])
    return split


def _keep_share(labels, share, rng):
    """Replaces all but a share of each class's labels, and at least one of each, by -1."""
    kept = np.full_like(labels, -1)
    for c in np.unique(labels[labels >= 0]):
        rows = rng.permutation(np.flatnonzero(labels == c))
        kept[rows[: max(1, round(share * len(rows)))]] = c
    return kept


def stream_indices(n, count, seed, task, step):
    """Returns int64 [count]: which of `n` examples step `step` of a task takes.

    An endless stream of freshly shuffled epochs, cut into pieces of `count`: a pure function of its
    arguments, in which every example occurs once an epoch, whether or not `count` divides `n`.
    """
    positions = np.arange(step * count, (step + 1) * count)
    indices = np.empty(count, np.int64)
    for epoch in range(step * count // n, -(-(step + 1) * count // n)):
        here = positions // n == epoch
        indices[here] = _permutation(n, seed, task, epoch)[positions[here] % n]
    return indices


@functools.lru_cache(maxsize=32)  # joint training has every task's epoch open at once
def _permutation(n, seed, task, epoch):
    return np.random.default_rng((seed, task, epoch)).permutation(n)
