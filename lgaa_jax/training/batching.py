"""What a batch is taken from, and which examples make it up: pure in (config, task, step)."""

import math

import jax
import ml_collections
import numpy as np

from lgaa_jax.data.loading import Task
from lgaa_jax.data.order import stream_indices
from lgaa_jax.errors import UserError, require
from lgaa_jax.networks.nets import Nets
from lgaa_jax.training import replay
from lgaa_jax.training.batch import Pool
from lgaa_jax.training.devices import ONE_DEVICE, Layout
from lgaa_jax.training.replay import ReplaySpec
from lgaa_jax.training.state import TrainState
from lgaa_jax.training.strategies import STRATEGIES

# Offsets of the task index in the data order, so that these orders differ from that of a task: of
# what a pool holds of the earlier tasks; of the images of a task, to choose those that a buffer
# keeps; of the images with a label, where some have none.
POOL, BUFFER, LABELLED = 1 << 20, 1 << 21, 1 << 22


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
        self._config, self._tasks, self._nets = config, tasks, nets
        self._memory = STRATEGIES[config.strategy].memory
        self._spec, self._pool_key, self._layout = spec, pool_key, layout
        carries = [task.train.labels >= 0 for task in tasks]
        self._by_label = [(np.flatnonzero(c), np.flatnonzero(~c)) for c in carries]
        mixes = self._memory in ("replay", "buffer") and nets.num_tasks > 1
        if mixes and config.batch_size < 2:
            raise UserError(
                f"batch_size={config.batch_size} cannot hold an image of the task and one of the "
                "tasks before it; raise it to at least 2."
            )

    @property
    def _online(self) -> bool:
        return self._memory == "replay" and self._config.replay.mode == "online"

    def num_real(self, task: int) -> int:
        """How many examples of a batch are real images of the current task."""
        size = self._config.batch_size
        if task == 0 or self._memory not in ("replay", "buffer"):
            return size
        fraction = replay_fraction(self._config)
        fraction = task / (task + 1) if fraction is None else fraction
        return min(max(1, round(size * (1 - fraction))), size - 1)

    def num_pool(self, task: int) -> int:
        """How many examples come from the pool; the step itself fills the others with replay."""
        return self.num_real(task) if self._online else self._config.batch_size

    def num_replay(self) -> int:
        """The most examples that a step must fill with replay, over all tasks there may be."""
        tasks = range(self._nets.num_tasks)
        return max(self._config.batch_size - self.num_pool(task) for task in tasks)

    def steps(self, task: int) -> int:
        """Training steps of a task; a reserved task counts as large as the last one."""
        if self._config.steps_per_task:
            return self._config.steps_per_task
        images = self._sizes()[min(task, len(self._tasks) - 1)]
        return math.ceil(self._config.epochs_per_task * images / self.num_real(task))

    def ends(self) -> tuple[int, ...]:
        """The step at which each task ends, counted from the start of the run."""
        return self.planned_ends()[: len(self._tasks)]

    def planned_ends(self) -> tuple[int, ...]:
        """`ends` with those of reserved tasks, so that an extended run has the same program."""
        tasks = range(self._nets.num_tasks)
        return tuple(np.cumsum([self.steps(task) for task in tasks]).tolist())

    def start(self, task: int) -> int:
        """The first step of a task."""
        return self.ends()[task] - self.steps(task)

    def pool(self, task: int, state: TrainState) -> Pool:
        """What the batches of a task are taken from, on each device; of one size for all tasks."""
        joint = self._memory == "data"
        parts = [self._images(i) for i in (range(len(self._tasks)) if joint else [task])]
        if self._memory == "buffer":
            parts += [self._buffer(i) for i in range(task)]
        elif n := self._kept(task):
            key = jax.random.fold_in(self._pool_key, task)
            parts.append(replay.materialise(self._nets, state, key, n, self._spec, self._layout))
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        rest = self._capacity() - len(columns[0])
        padded = [np.pad(c, [(0, rest)] + [(0, 0)] * (c.ndim - 1)) for c in columns]
        return jax.device_put(Pool(*padded), self._layout.whole)

    def indices(self, task: int, step: int) -> np.ndarray:
        """The places in the pool of the batch of a step of the run: [B] int32."""
        size, seed = self._config.batch_size, self._config.seed
        sizes = self._sizes()
        if self._memory == "data":
            first = np.cumsum([0, *sizes])
            parts = [first[i] + self._real(i, count, turn) for i, count, turn in self._joint(step)]
        else:
            step -= self.start(task)
            real = self.num_real(task)
            parts = [self._real(task, real, step)]
            if n := self._kept(task):
                kept = stream_indices(n, size - real, seed, task + POOL, step)
                parts.append(sizes[task] + kept)
        # Where these do not fill the batch, they are repeated and the step replaces them by replay.
        return np.resize(np.concatenate(parts), size).astype(np.int32)

    def _joint(self, step: int) -> list[tuple[int, int, int]]:
        """Whose images make up a batch of all tasks: task, images, and which turn of it this is.

        All tasks in equal shares, of which the first take the odd ones. Where there are more tasks
        than a batch holds, each gives one image in its turn.
        """
        n, size = len(self._tasks), self._config.batch_size
        if size >= n:
            return [(i, size // n + (i < size % n), step) for i in range(n)]
        return [(place % n, 1, place // n) for place in range(step * size, (step + 1) * size)]

    def _real(self, task: int, count: int, step: int) -> np.ndarray:
        """Which `count` images of a task a step takes: [count].

        Where some carry a label and some do not, `labelled_share` says how many are taken of each;
        a single image is by turns of the one kind and of the other.
        """
        seed, n = self._config.seed, self._sizes()[task]
        labelled, others = self._by_label[task]
        share = self._config.labelled_share
        if not (share and labelled.size and others.size):
            return stream_indices(n, count, seed, task, step)
        if count == 1:
            before, after = (math.ceil(share * taken) for taken in (step, step + 1))
            if after > before:
                return labelled[stream_indices(labelled.size, 1, seed, task + LABELLED, before)]
            return others[stream_indices(others.size, 1, seed, task, step - before)]
        of_labelled = math.ceil(share * count)
        streams = ((labelled, of_labelled, LABELLED), (others, count - of_labelled, 0))
        return np.concatenate(
            [
                images[stream_indices(images.size, k, seed, task + offset, step)]
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

    def _images(self, task: int) -> tuple[np.ndarray, ...]:
        split = self._tasks[task].train
        return split.images, split.labels, np.full(len(split.labels), task, np.int32)

    def _buffer(self, task: int) -> tuple[np.ndarray, ...]:
        """The real images of an earlier task that are kept: the same in every task after it."""
        n = self._sizes()[task]
        size = min(n, self._config.replay.buffer_size)
        kept = stream_indices(n, size, self._config.seed, task + BUFFER, 0)
        return tuple(column[kept] for column in self._images(task))


def replay_fraction(config: ml_collections.ConfigDict) -> float | None:
    """The fixed share of replay in a batch, or None for "balanced"."""
    text = str(config.replay.fraction)
    if text == "balanced":
        return None
    try:
        fraction = float(text)
    except ValueError:
        fraction = -1.0
    require(0 < fraction < 1, "replay.fraction", text, '"balanced" or a number between 0 and 1')
    return fraction
