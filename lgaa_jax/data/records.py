"""The images of a prepared TFDS set, read one by one from its array_record files."""

import contextlib
import dataclasses
import functools
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from lgaa_jax.data import columns, set_files
from lgaa_jax.data.decoding import BrokenImageError, opened
from lgaa_jax.data.images import Form
from lgaa_jax.data.stored import CHUNK, checksums, chunks, stored
from lgaa_jax.errors import UserError

VERSION = 1  # of what is found out of a set; another one finds it out anew


@dataclasses.dataclass(frozen=True, eq=False)
class Records:
    """A split of a set. Its images are in the order in which `tfds_sets.read` has them."""

    name: str  # of the set
    data_dir: str
    folder: Path
    shards: tuple[tuple[Path, int], ...]  # files with their numbers of records
    form: Form
    kept_in: Path  # where labels and checksums are kept

    @property
    def shape(self) -> tuple[int, ...]:
        """[n, H, W, C]."""
        n = sum(count for _, count in self.shards)
        return n, self.form.size, self.form.size, self.form.channels

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The images at `rows`, int [k]: uint8 [k, H, W, C]; raises UserError for a damaged set."""
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for i, features in enumerate(self._examples(rows.tolist())):
            content = features["image"].bytes_list.value[0]
            try:
                with opened(io.BytesIO(content)) as image:
                    pass  # decoded
            except BrokenImageError as error:
                reason = f"image {rows[i]} of {self.shards[0][0].name} cannot be decoded: {error}"
                raise self._damaged(reason) from error
            images[i] = self.form.fit_of(self.name, image)
        return images

    def labels(self) -> np.ndarray:
        """The feature `label` of each example: int32 [n]. Reads all records, and decodes none."""
        return self._kept("labels", [], self._read_labels)

    def checksums(self) -> np.ndarray:
        """CRC-32 of the pixels of each image: uint32 [n]. Decodes all images."""
        facts = [PIL.__version__, dataclasses.asdict(self.form)]
        return self._kept("crc32", facts, self._read_checksums)

    def _kept(self, kind: str, facts: list, make: Callable[[], np.ndarray]) -> np.ndarray:
        """A number of each image, as `make` finds it out, or as it was kept."""
        stamps = [path.stat() for path, _ in self.shards]
        files = [
            [str(path.resolve()), count, stamp.st_size, stamp.st_mtime_ns]
            for (path, count), stamp in zip(self.shards, stamps, strict=True)
        ]
        return columns.column(self.kept_in, kind, [VERSION, files, *facts], make)

    def _read_labels(self) -> np.ndarray:
        from array_record.python.array_record_module import ArrayRecordReader

        parts = []
        with self._boundary():
            for path, count in self.shards:
                reader = ArrayRecordReader(str(path))
                for start in range(0, count, CHUNK):
                    # A range: to name each record takes twice the time.
                    found = self._features(reader.read(start, min(start + CHUNK, count)))
                    labels = [features["label"].int64_list.value[0] for features in found]
                    parts.append(np.array(labels, np.int32))
                reader.close()
        return np.concatenate(parts)

    def _read_checksums(self) -> np.ndarray:
        return np.concatenate([checksums(images) for images in chunks(stored(self))])

    def _examples(self, rows: list[int]) -> Iterator[Any]:
        """The features of the examples at `rows`, by name."""
        with self._boundary():
            # array_record takes no NumPy integers.
            found = self._source.__getitems__(rows) if rows else []
            return iter(list(self._features(found)))

    def _features(self, records: Iterable[bytes]) -> Iterator[Any]:
        """The features that records hold, by name."""
        # TFDS's own way of reading an example takes twenty times as long as this message does.
        from tensorflow_datasets.proto import tf_example_pb2

        return (tf_example_pb2.Example.FromString(r).features.feature for r in records)

    def _boundary(self) -> contextlib.AbstractContextManager[None]:
        return set_files.boundary(
            self.name, self.folder, self.data_dir, lambda: set_files.damaged(self.shards)
        )

    @functools.cached_property
    def _source(self) -> Any:
        from array_record.python.array_record_data_source import ArrayRecordDataSource

        # With their numbers, so that not every file is opened to count what it has.
        return ArrayRecordDataSource([f"{path}[0:{count}]" for path, count in self.shards])

    def _damaged(self, reason: str) -> UserError:
        return set_files.damaged_set(self.name, self.folder, self.data_dir, reason)

    def __getstate__(self) -> dict[str, Any]:
        """Without the open files, for other processes."""
        return {name: value for name, value in self.__dict__.items() if name != "_source"}
