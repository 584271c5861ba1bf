"""Which rows make up the batch of a step: a pure function of (config, task, step)."""

import math
from collections.abc import Callable

import jax
import ml_collections
import numpy as np

from lgaa_jax import config as configuration
from lgaa_jax import data, replay
from lgaa_jax.errors import UserError
from lgaa_jax.models import Nets
from lgaa_jax.replay import Batch
from lgaa_jax.state import TrainState

POOL = 1 << 20  # offset of the task index in the data order of replay pools, so that orders differ


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
        self._drawing, self._pool_key = drawing, pool_key
        if config.batch_size < len(tasks):
            raise UserError(
                f"batch_size={config.batch_size} cannot hold a row of each of the "
                f"{len(tasks)} tasks; raise it to at least {len(tasks)}."
            )

    def real_rows(self, task: int) -> int:
        """Rows of a batch that hold real images of the current task."""
        size = self._config.batch_size
        if task == 0 or self._config.strategy != "lgaa":
            return size
        fraction = configuration.replay_fraction(self._config)
        fraction = task / (task + 1) if fraction is None else fraction
        return min(max(1, round(size * (1 - fraction))), size - 1)

    def drawn_rows(self) -> int:
        """The most rows that the step itself must fill with replay, over all tasks."""
        if self._config.strategy != "lgaa" or self._config.replay.mode != "online":
            return 0
        tasks = range(len(self._tasks))
        return max(self._config.batch_size - self.real_rows(task) for task in tasks)

    def steps(self, task: int) -> int:
        """Training steps of a task."""
        if self._config.steps_per_task:
            return self._config.steps_per_task
        images = len(self._tasks[task].train.images)
        return math.ceil(self._config.epochs_per_task * images / self.real_rows(task))

    def ends(self) -> tuple[int, ...]:
        """The step at which each task ends, counted from the start of the run."""
        return tuple(np.cumsum([self.steps(task) for task in range(len(self._tasks))]).tolist())

    def start(self, task: int) -> int:
        """The first step of a task."""
        return self.ends()[task] - self.steps(task)

    def open(self, task: int, state: TrainState) -> Callable[[int], Batch]:
        """The function from a step of the run to its batch, for one task."""
        start = self.start(task)
        if self._config.strategy == "joint":
            return self._joint
        pool = None
        if task and self._config.strategy == "lgaa" and self._config.replay.mode == "materialised":
            pool = self._materialise(task, state)
        return lambda step: self._single(task, step - start, pool)

    def _rows(self, task: int, count: int, step: int):
        split = self._tasks[task].train
        index = data.stream_indices(len(split.images), count, self._config.seed, task, step)
        return split.images[index], split.labels[index], np.full(count, task, np.int32)

    def _single(self, task: int, step: int, pool) -> Batch:
        size, n_real = self._config.batch_size, self.real_rows(task)
        parts = [self._rows(task, n_real, step)]
        if pool is not None:
            index = data.stream_indices(
                len(pool[0]), size - n_real, self._config.seed, task + POOL, step
            )
            parts.append(tuple(column[index] for column in pool))
        x, u, d = (np.concatenate(column) for column in zip(*parts, strict=True))
        index = np.arange(size) % len(x)  # the step overwrites what this repeats
        return Batch(x[index], u[index], d[index], np.int32(len(x)))

    def _joint(self, step: int) -> Batch:
        """All tasks in each batch, in equal shares; the first tasks take the odd rows."""
        size, n = self._config.batch_size, len(self._tasks)
        counts = [size // n + (task < size % n) for task in range(n)]
        parts = [self._rows(task, count, step) for task, count in enumerate(counts)]
        return Batch(*(np.concatenate(c) for c in zip(*parts, strict=True)), np.int32(size))

    def _materialise(self, task: int, state: TrainState):
        key = jax.random.fold_in(self._pool_key, task)
        n = task * self._config.replay.pool_size
        return replay.materialise(self._nets, state, key, n, self._drawing)
