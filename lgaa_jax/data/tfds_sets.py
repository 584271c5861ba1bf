"""TFDS sets on disk: finding, checking, preparing and reading them.

Only preparing needs TensorFlow and the network. Reading needs neither, because the sets are written
as array_record, and nothing here ever downloads while it reads. The one module that knows TFDS,
which it imports inside functions: the import takes a second. What TFDS raises for a damaged set
becomes a UserError here, with the file or the folder and the command that prepares the set anew.
"""

import contextlib
import importlib.metadata
import importlib.util
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import logging
from PIL import Image

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

from lgaa_jax.data import set_files
from lgaa_jax.data.decoding import BrokenImageError, opened
from lgaa_jax.data.set_files import boundary, command, damaged_set, reason_of
from lgaa_jax.errors import UserError
from lgaa_jax.files import expand

FORMAT = "array_record"  # of TFDS's formats, one that is read without TensorFlow
CHUNK = 2000  # examples fetched at once
MAX_CLASSES = 100  # a set with more labels (say, one per person) is taken as unlabelled
SPLITS = ("train", "test")
Example = tuple[Image.Image, int | None]  # with its label, if it has one


def find(name: str, data_dir: str) -> "tfds.core.DatasetBuilder | None":
    """TFDS's builder of the set `name`, or None where neither TFDS nor data_dir has one.

    Raises UserError where data_dir has one that is damaged.
    """
    if not re.fullmatch(r"\w+", name):  # TFDS would look for a name like a:b on the network
        return None
    import tensorflow_datasets as tfds

    folder = Path(_folder(data_dir) or tfds.core.constants.DATA_DIR) / name
    with boundary(name, folder, data_dir, lambda: set_files.damaged_json(folder)), _quiet():
        try:
            return tfds.builder(name, data_dir=_folder(data_dir))
        except tfds.core.DatasetNotFoundError:
            if any(folder.rglob("dataset_info.json")):
                raise FileNotFoundError(f"{folder} has no features.json") from None
            return None


def is_prepared(builder: "tfds.core.DatasetBuilder") -> bool:
    """Tells whether the set lies in its folder, ready to be read."""
    with _quiet():
        return builder.is_prepared()


def prepared(name: str, data_dir: str) -> "tfds.core.DatasetBuilder":
    """TFDS's builder of a set that can be read. Raises UserError, with the command that helps."""
    builder = find(name, data_dir)
    if builder is None:
        raise UserError(f"TFDS has no data set {name!r}; tensorflow.org/datasets lists them.")
    folder = Path(builder.data_dir)
    if not is_prepared(builder):
        raise UserError(
            f"data set {name!r} is not prepared (looked in {folder}); prepare it once with: "
            f"{command(name, data_dir)}"
        )
    with boundary(name, folder, data_dir):
        formats = sorted(f.value for f in builder.info.available_file_formats())
        if FORMAT not in formats:
            raise UserError(
                f"data set {name!r} in {folder} is stored as {', '.join(formats)}, which cannot be "
                "read without TensorFlow; prepare it in another folder, and name that one in "
                f"data.data_dir: {command(name, 'NEW_FOLDER')}"
            )
        _check_contents(builder)
        if reason := set_files.absent(path for path, _ in shards(builder)):
            raise damaged_set(name, folder, data_dir, reason)
    return builder


def _check_contents(builder: "tfds.core.DatasetBuilder") -> None:
    """Raises UserError unless there are a train and a test split of 8-bit images."""
    import tensorflow_datasets as tfds

    missing = set(SPLITS) - set(builder.info.splits)
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


def class_names(builder: "tfds.core.DatasetBuilder", data_dir: str) -> tuple[str, ...]:
    """Names of the classes of the feature `label`; () where there are none or too many."""
    import tensorflow_datasets as tfds

    with boundary(builder.name, Path(builder.data_dir), data_dir):
        label = dict(builder.info.features.items()).get("label")
        if not isinstance(label, tfds.features.ClassLabel) or not label.num_classes:
            return ()
        return tuple(label.names) if label.num_classes <= MAX_CLASSES else ()


def read(
    builder: "tfds.core.DatasetBuilder", split: str, data_dir: str
) -> tuple[int, Iterator[Example]]:
    """Returns the number of examples of a split and an iterator over them."""
    return int(builder.info.splits[split].num_examples), _examples(builder, split, data_dir)


def _examples(builder: "tfds.core.DatasetBuilder", split: str, data_dir: str) -> Iterator[Example]:
    import tensorflow_datasets as tfds

    # Undecoded: Pillow alone is a third quicker than TFDS's way through Pillow to an array.
    decoders = {"image": tfds.decode.SkipDecoding()}
    name, folder = builder.name, Path(builder.data_dir)
    with boundary(name, folder, data_dir, lambda: set_files.damaged(shards(builder))):
        source: Any = builder.as_data_source(split, decoders=decoders)
        for start in range(0, len(source), CHUNK):
            # A list, not an array: array_record takes no NumPy integers.
            indices = list(range(start, min(start + CHUNK, len(source))))
            for index, example in zip(indices, source.__getitems__(indices), strict=True):
                try:
                    with opened(io.BytesIO(example["image"])) as image:
                        pass  # decoded; nothing more is read of the file
                except BrokenImageError as error:
                    raise ValueError(
                        f"image {index} of the split {split} cannot be decoded: {error}"
                    ) from error
                yield image, example.get("label")


def shards(
    builder: "tfds.core.DatasetBuilder", splits: Sequence[str] = SPLITS
) -> list[tuple[Path, int]]:
    """The files of these splits, with their numbers of records."""
    return [
        (Path(path), int(count))
        for split in splits
        for info in [builder.info.splits[split]]
        for path, count in zip(info.filepaths, info.shard_lengths, strict=True)
    ]


def prepare(name: str, data_dir: str) -> str:
    """Writes a set as array_record, unless it can be read already; returns the folder it is in."""
    builder = find(name, data_dir)
    if builder is not None and not is_prepared(builder):
        if importlib.util.find_spec("tensorflow") is None:
            raise UserError(
                f"preparing {name!r} needs TensorFlow, which is not installed here; run: "
                f"{command(name, data_dir)}"
            )
        import tensorflow_datasets as tfds

        try:
            builder = tfds.builder(name, data_dir=_folder(data_dir), file_format=FORMAT)
            builder.download_and_prepare()
        except Exception as error:  # of the network, the disk, the set's own code
            raise UserError(
                f"data set {name!r} could not be prepared in {builder.data_dir} "
                f"({reason_of(error)}); mend that and run the same command again."
            ) from error
    return str(prepared(name, data_dir).data_dir)


def _folder(data_dir: str) -> str | None:
    return str(expand(data_dir)) if data_dir else None  # None: TFDS's own default


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps TFDS's warnings about folders that are not there from the user, who gets a sentence."""
    level = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(level)
