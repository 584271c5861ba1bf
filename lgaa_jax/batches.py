"""What a batch is taken from, and which rows make it up: pure in (config, task, step)."""

import math
from typing import NamedTuple

import jax
import ml_collections
import numpy as np

from lgaa_jax import config as configuration
from lgaa_jax import data, replay
from lgaa_jax.errors import UserError
from lgaa_jax.models import Nets
from lgaa_jax.state import TrainState
from lgaa_jax.strategies import STRATEGIES

# Offsets of the task index in the data order, so that orders differ: of what a pool holds of the
# earlier tasks, of which images of a task a buffer keeps, and of those that carry a label where
# some do not.
POOL, BUFFER, LABELLED = 1 << 20, 1 << 21, 1 << 22


class Pool(NamedTuple):
    """Labelled images that batches are taken from; rows past the last image are never taken."""

    x: jax.Array  # [M, H, W, C] uint8
    u: jax.Array  # [M] int32, -1: no label
    d: jax.Array  # [M] int32, index of the task


class Source:
    """The batches of a run under its strategy. Holds the data; nothing in it changes."""

    def __init__(
        self,
        config: ml_collections.ConfigDict,
        tasks: tuple[data.Task, ...],
        nets: Nets,
        drawing: replay.Drawing,
        pool_key: jax.Array,
    ):
        self._config, self._tasks, self._nets = config, tasks, nets
        self._memory = STRATEGIES[config.strategy].memory
        self._drawing, self._pool_key = drawing, pool_key
        carries = [task.train.labels >= 0 for task in tasks]
        self._by_label = [(np.flatnonzero(c), np.flatnonzero(~c)) for c in carries]
        if config.batch_size < nets.num_tasks:
            raise UserError(
                f"batch_size={config.batch_size} cannot hold a row of each of the "
                f"{nets.num_tasks} tasks; raise it to at least {nets.num_tasks}."
            )

    @property
    def _online(self) -> bool:
        return self._memory == "replay" and self._config.replay.mode == "online"

    def real_rows(self, task: int) -> int:
        """Rows of a batch that hold real images of the current task."""
        size = self._config.batch_size
        if task == 0 or self._memory not in ("replay", "buffer"):
            return size
        fraction = configuration.replay_fraction(self._config)
        fraction = task / (task + 1) if fraction is None else fraction
        return min(max(1, round(size * (1 - fraction))), size - 1)

    def pool_rows(self, task: int) -> int:
        """Rows of a batch that come from the pool; the step itself fills the others with replay."""
        return self.real_rows(task) if self._online else self._config.batch_size

    def drawn_rows(self) -> int:
        """The most rows that the step itself must fill with replay, over all tasks there may be."""
        tasks = range(self._nets.num_tasks)
        return max(self._config.batch_size - self.pool_rows(task) for task in tasks)

    def steps(self, task: int) -> int:
        """Training steps of a task; one that is only reserved is as large as the last."""
        if self._config.steps_per_task:
            return self._config.steps_per_task
        images = self._sizes()[min(task, len(self._tasks) - 1)]
        return math.ceil(self._config.epochs_per_task * images / self.real_rows(task))

    def ends(self) -> tuple[int, ...]:
        """The step at which each task ends, counted from the start of the run."""
        return self.planned_ends()[: len(self._tasks)]

    def planned_ends(self) -> tuple[int, ...]:
        """`ends`, with those of the tasks that are only reserved: one program, extended or not."""
        tasks = range(self._nets.num_tasks)
        return tuple(np.cumsum([self.steps(task) for task in tasks]).tolist())

    def start(self, task: int) -> int:
        """The first step of a task."""
        return self.ends()[task] - self.steps(task)

    def pool(self, task: int, state: TrainState) -> Pool:
        """What the batches of a task are taken from, on the device; of one size for all tasks."""
        joint = self._memory == "data"
        parts = [self._images(i) for i in (range(len(self._tasks)) if joint else [task])]
        if self._memory == "buffer":
            parts += [self._buffer(i) for i in range(task)]
        elif n := self._kept(task):
            key = jax.random.fold_in(self._pool_key, task)
            parts.append(replay.materialise(self._nets, state, key, n, self._drawing))
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        rest = self._capacity() - len(columns[0])
        padded = [np.pad(c, [(0, rest)] + [(0, 0)] * (c.ndim - 1)) for c in columns]
        return jax.device_put(Pool(*padded))

    def rows(self, task: int, step: int) -> np.ndarray:
        """Which of the pool make up the batch of a step of the run. Returns [B] int32."""
        size, seed = self._config.batch_size, self._config.seed
        sizes = self._sizes()
        if self._memory == "data":
            # All tasks in each batch, in equal shares; the first tasks take the odd rows.
            n = len(sizes)
            counts = [size // n + (i < size % n) for i in range(n)]
            first = np.cumsum([0, *sizes])
            parts = [first[i] + self._real(i, counts[i], step) for i in range(n)]
        else:
            step -= self.start(task)
            real = self.real_rows(task)
            parts = [self._real(task, real, step)]
            if n := self._kept(task):
                kept = data.stream_indices(n, size - real, seed, task + POOL, step)
                parts.append(sizes[task] + kept)
        # Where the pool does not fill the batch, the step overwrites what this repeats.
        return np.resize(np.concatenate(parts), size).astype(np.int32)

    def _real(self, task: int, count: int, step: int) -> np.ndarray:
        """Which `count` images of a task a step takes: [count].

        Where some carry a label and some do not, `labelled_share` says how many are taken of each.
        """
        seed, n = self._config.seed, self._sizes()[task]
        labelled, others = self._by_label[task]
        share = self._config.labelled_share
        if not (share and labelled.size and others.size):
            return data.stream_indices(n, count, seed, task, step)
        of_labelled = math.ceil(share * count)
        streams = ((labelled, of_labelled, LABELLED), (others, count - of_labelled, 0))
        return np.concatenate(
            [
                images[data.stream_indices(images.size, k, seed, task + offset, step)]
                for images, k, offset in streams
            ]
        )

    def _sizes(self) -> list[int]:
        return [len(task.train.images) for task in self._tasks]

    def _capacity(self) -> int:
        if self._memory == "data":
            return sum(self._sizes())
        return max(n + self._kept(task) for task, n in enumerate(self._sizes()))

    def _kept(self, task: int) -> int:
        """Images of the earlier tasks that the pool of a task holds."""
        if self._memory == "buffer":
            return sum(min(n, self._config.replay.buffer_size) for n in self._sizes()[:task])
        materialised = self._memory == "replay" and not self._online
        return task * self._config.replay.pool_size if materialised else 0

    def _images(self, task: int):
        split = self._tasks[task].train
        return split.images, split.labels, np.full(len(split.labels), task, np.int32)

    def _buffer(self, task: int):
        """The real images of an earlier task that are kept: the same in every task after it."""
        n = self._sizes()[task]
        size = min(n, self._config.replay.buffer_size)
        kept = data.stream_indices(n, size, self._config.seed, task + BUFFER, 0)
        return tuple(column[kept] for column in self._images(task))
