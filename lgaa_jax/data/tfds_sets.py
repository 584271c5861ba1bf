"""TFDS sets on disk: finding, checking, preparing and reading them.

Only preparing needs TensorFlow and the network. Reading needs neither, because the sets are written
as array_record, and nothing here ever downloads while it reads. The one module that knows TFDS,
which it imports inside functions: the import takes a second.
"""

import contextlib
import importlib.metadata
import importlib.util
import io
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from absl import logging
from PIL import Image

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

from lgaa_jax.errors import UserError

FORMAT = "array_record"  # of TFDS's formats, one that is read without TensorFlow


CHUNK = 2000  # rows fetched at once


MAX_CLASSES = 100  # a set with more labels (say, one per person) is taken as unlabelled


def find(name: str, data_dir: str) -> "tfds.core.DatasetBuilder | None":
    """Returns TFDS's builder of the set `name`, or None where neither TFDS nor data_dir has one."""
    if not re.fullmatch(r"\w+", name):  # TFDS would look for a name like a:b on the network
        return None
    import tensorflow_datasets as tfds

    try:
        with _quiet():
            return tfds.builder(name, data_dir=_folder(data_dir))
    except tfds.core.DatasetNotFoundError:
        return None


def is_prepared(builder: "tfds.core.DatasetBuilder") -> bool:
    """Tells whether the set lies in its folder, ready to be read."""
    with _quiet():
        return builder.is_prepared()


def check(builder: "tfds.core.DatasetBuilder", data_dir: str) -> None:
    """Raises UserError, with the command that helps, unless the set can be read."""
    name, folder = builder.name, builder.data_dir
    if not is_prepared(builder):
        raise UserError(
            f"data set {name!r} is not prepared (looked in {folder}); prepare it once with: "
            f"{command(name, data_dir)}"
        )
    formats = sorted(f.value for f in builder.info.available_file_formats())
    if FORMAT not in formats:
        raise UserError(
            f"data set {name!r} in {folder} is stored as {', '.join(formats)}, which cannot be read"
            f" without TensorFlow; prepare it in another folder, and name that one in "
            f"data.data_dir: {command(name, 'NEW_FOLDER')}"
        )
    _check_contents(builder)


def _check_contents(builder: "tfds.core.DatasetBuilder") -> None:
    """Raises UserError unless there are a train and a test split of 8-bit images."""
    import tensorflow_datasets as tfds

    missing = {"train", "test"} - set(builder.info.splits)
    if missing:
        raise UserError(
            f"data set {builder.name!r} has the splits {', '.join(builder.info.splits)}; "
            "a task needs train and test."
        )
    features = dict(builder.info.features.items())
    image = features.get("image")
    if not isinstance(image, tfds.features.Image) or np.dtype(image.np_dtype) != np.uint8:
        raise UserError(
            f"data set {builder.name!r} has no 8-bit feature 'image', only "
            f"{', '.join(features)}; it cannot be a task."
        )


def num_classes(builder: "tfds.core.DatasetBuilder") -> int:
    """Returns the number of classes of the feature `label`; 0 where it is none or has too many."""
    import tensorflow_datasets as tfds

    label = dict(builder.info.features.items()).get("label")
    count = label.num_classes if isinstance(label, tfds.features.ClassLabel) else None
    return count if count and count <= MAX_CLASSES else 0


def read(builder: "tfds.core.DatasetBuilder", split: str) -> tuple[int, Iterator[tuple]]:
    """Returns the number of examples of a split and an iterator of (Pillow image, label)."""
    import tensorflow_datasets as tfds

    # Undecoded: Pillow alone is a third quicker than TFDS's way through Pillow to an array.
    decoders = {"image": tfds.decode.SkipDecoding()}
    source = builder.as_data_source(split, decoders=decoders)
    return len(source), _rows(source)


def _rows(source: Sequence[dict]) -> Iterator[tuple[Image.Image, int | None]]:
    for start in range(0, len(source), CHUNK):
        # A list, not an array: array_record takes no NumPy integers.
        for row in source.__getitems__(list(range(start, min(start + CHUNK, len(source))))):
            yield Image.open(io.BytesIO(row["image"])), row.get("label")


def command(name: str, data_dir: str) -> str:
    """Returns the shell command that prepares a set."""
    where = f" --data_dir={shlex.quote(data_dir)}" if data_dir else ""
    return f"pip install 'lgaa-jax[prepare]' && python -m lgaa_jax.prepare {name}{where}"


def prepare(name: str, data_dir: str) -> str:
    """Writes a set as array_record, unless it can be read already; returns the folder it is in."""
    builder = find(name, data_dir)
    if builder is None:
        raise UserError(f"TFDS has no data set {name!r}; tensorflow.org/datasets lists them.")
    if not is_prepared(builder):
        if importlib.util.find_spec("tensorflow") is None:
            raise UserError(
                f"preparing {name!r} needs TensorFlow, which is not installed here; run: "
                f"{command(name, data_dir)}"
            )
        import tensorflow_datasets as tfds

        builder = tfds.builder(name, data_dir=_folder(data_dir), file_format=FORMAT)
        builder.download_and_prepare()
    check(builder, data_dir)
    return builder.data_dir


def _folder(data_dir: str) -> str | None:
    return os.path.expanduser(data_dir) if data_dir else None  # None: TFDS's own default


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps TFDS's warnings about folders that are not there from the user, who gets a sentence."""
    level = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(level)
