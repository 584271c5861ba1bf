"""What the batches of a run are taken from: a pool on the devices, or rows that are read ahead."""

import dataclasses
from typing import NamedTuple

import jax
import ml_collections
import numpy as np

from lgaa_jax.data.loading import Task
from lgaa_jax.data.stored import Images
from lgaa_jax.networks.nets import Nets
from lgaa_jax.training import replay
from lgaa_jax.training.batch import Pool
from lgaa_jax.training.devices import ONE_DEVICE, Layout
from lgaa_jax.training.places import Places, by_label
from lgaa_jax.training.replay import ReplaySpec
from lgaa_jax.training.state import TrainState


class Part(NamedTuple):
    """Images that batches are taken from, of one task or of what is kept of earlier ones."""

    x: Images  # uint8 [n, H, W, C]
    u: np.ndarray  # int32 [n], -1: no label
    d: np.ndarray  # int32 [n], index of the task


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """The rows of each call of the program, read when they are asked for. It can be pickled."""

    places: Places
    parts: list[Part]
    task: int
    calls: np.ndarray  # int [n, 2], the first step of each call and the one after
    steps: int  # K, the most in a call
    columns: slice  # of a batch's rows, those that are read

    def __len__(self) -> int:
        return len(self.calls)

    def __getitem__(self, index: int) -> Pool:
        """The rows of a call: x [K, b, H, W, C], u and d [K, b]. Each image is read once.

        Those of steps that the call does not take are zero.
        """
        start, end = self.calls[index].tolist()
        places = np.stack([self.places.indices(self.task, step) for step in range(start, end)])
        places = places[:, self.columns]
        wanted, inverse = np.unique(places, return_inverse=True)
        first = np.cumsum([0, *(len(part.u) for part in self.parts)])
        cuts = np.searchsorted(wanted, first)
        found = [
            tuple(column[wanted[low:high] - begin] for column in part)
            for part, begin, low, high in zip(self.parts, first, cuts, cuts[1:], strict=False)
            if low < high
        ]
        columns = (np.concatenate(column) for column in zip(*found, strict=True))
        return Pool(*(self._call(column, inverse.reshape(places.shape)) for column in columns))

    def _call(self, column: np.ndarray, inverse: np.ndarray) -> np.ndarray:
        rows = np.zeros((self.steps, *inverse.shape[1:], *column.shape[1:]), column.dtype)
        np.take(column, inverse, axis=0, out=rows[: len(inverse)])
        return rows


class Batches:
    """The batches of a run under its strategy. Holds the data; nothing in it changes."""

    def __init__(
        self,
        config: ml_collections.ConfigDict,
        tasks: tuple[Task, ...],
        nets: Nets,
        spec: ReplaySpec,
        pool_key: jax.Array,
        layout: Layout = ONE_DEVICE,
    ):
        self._tasks, self._nets = tasks, nets
        self._spec, self._pool_key, self._layout = spec, pool_key, layout
        labels = [task.train.labels for task in tasks]
        sizes = tuple(map(len, labels))
        self.places = Places(config, sizes, by_label(labels), nets.num_tasks)

    def pool(self, task: int, state: TrainState) -> Pool:
        """What the batches of a task are taken from, on each device; of one size for all tasks."""
        columns = [np.concatenate(column) for column in zip(*self.parts(task, state), strict=True)]
        rest = self.places.capacity() - len(columns[0])
        padded = [np.pad(c, [(0, rest)] + [(0, 0)] * (c.ndim - 1)) for c in columns]
        return self._layout.place(Pool(*padded), self._layout.whole)

    def rows(
        self, task: int, state: TrainState, calls: np.ndarray, steps: int, columns: slice
    ) -> Rows:
        """The same images, call by call; arguments as in `Rows`."""
        return Rows(self.places, self.parts(task, state), task, calls, steps, columns)

    def parts(self, task: int, state: TrainState) -> list[Part]:
        """What the batches of a task are taken from, in the order of their places."""
        joint = self.places.memory == "data"
        parts = [self._part(i) for i in (range(len(self._tasks)) if joint else [task])]
        if self.places.memory == "buffer":
            parts += [self._part(i, self.places.buffered(i)) for i in range(task)]
        elif n := self.places.num_kept(task):
            key = jax.random.fold_in(self._pool_key, task)
            kept = replay.materialise(self._nets, state, key, n, self._spec, self._layout)
            parts.append(Part(*kept))
        return parts

    def _part(self, task: int, kept: np.ndarray | None = None) -> Part:
        """The training images of a task, or those that are kept of them, in memory."""
        split = self._tasks[task].train
        split = split if kept is None else split.take(kept).held()
        d = np.broadcast_to(np.int32(task), len(split.labels))
        return Part(split.images, split.labels, d)
