"""Which images make up the batch of a step: pure in (config, task, step), and without an image.

An image is named by its place: among those of the tasks whose data a batch is taken from, one task
after the other, and after them what is kept of the earlier tasks.
"""

import dataclasses
import math
from collections.abc import Sequence

import ml_collections
import numpy as np

from lgaa_jax.data.order import stream_indices
from lgaa_jax.errors import UserError, require
from lgaa_jax.training.strategies import STRATEGIES

# Offsets of the task index in the data order, so that these orders differ from that of a task: of
# what a pool holds of the earlier tasks; of the images of a task, to choose those that a buffer
# keeps; of the images with a label, where some have none.
POOL, BUFFER, LABELLED = 1 << 20, 1 << 21, 1 << 22

ByLabel = tuple[np.ndarray, np.ndarray]  # the images with a label, and those without


@dataclasses.dataclass(frozen=True, eq=False)
class Places:
    """The places of the batches of a run under its strategy. It holds nothing of other rooms."""

    config: ml_collections.ConfigDict
    sizes: tuple[int, ...]  # training images of each task
    by_label: tuple[ByLabel | None, ...]  # of each task; None: all have a label, or none has
    num_tasks: int  # that the networks have room for

    def __post_init__(self) -> None:
        mixes = self.memory in ("replay", "buffer") and self.num_tasks > 1
        if mixes and self.config.batch_size < 2:
            raise UserError(
                f"batch_size={self.config.batch_size} cannot hold an image of the task and one of "
                "the tasks before it; raise it to at least 2."
            )

    @property
    def memory(self) -> str:
        """What stands for the earlier tasks, as `Strategy` has it."""
        return STRATEGIES[self.config.strategy].memory

    @property
    def online(self) -> bool:
        """Whether the step itself makes the replay that it takes."""
        return self.memory == "replay" and self.config.replay.mode == "online"

    def num_real(self, task: int) -> int:
        """How many examples of a batch are real images of the current task."""
        size = self.config.batch_size
        if task == 0 or self.memory not in ("replay", "buffer"):
            return size
        fraction = replay_fraction(self.config)
        fraction = task / (task + 1) if fraction is None else fraction
        return min(max(1, round(size * (1 - fraction))), size - 1)

    def num_pool(self, task: int) -> int:
        """How many examples come from the pool; the step itself fills the others with replay."""
        return self.num_real(task) if self.online else self.config.batch_size

    def num_replay(self) -> int:
        """The most examples that a step must fill with replay, over all tasks there may be."""
        return max(self.config.batch_size - self.num_pool(task) for task in range(self.num_tasks))

    def steps(self, task: int) -> int:
        """Training steps of a task; a reserved task counts as large as the last one."""
        if self.config.steps_per_task:
            return self.config.steps_per_task
        images = self.sizes[min(task, len(self.sizes) - 1)]
        return math.ceil(self.config.epochs_per_task * images / self.num_real(task))

    def ends(self) -> tuple[int, ...]:
        """The step at which each task ends, counted from the start of the run."""
        return self.planned_ends()[: len(self.sizes)]

    def planned_ends(self) -> tuple[int, ...]:
        """`ends` with those of reserved tasks, so that an extended run has the same program."""
        return tuple(np.cumsum([self.steps(task) for task in range(self.num_tasks)]).tolist())

    def start(self, task: int) -> int:
        """The first step of a task."""
        return self.ends()[task] - self.steps(task)

    def num_kept(self, task: int) -> int:
        """Images of the earlier tasks that batches of a task are taken from."""
        if self.memory == "buffer":
            return sum(min(n, self.config.replay.buffer_size) for n in self.sizes[:task])
        materialised = self.memory == "replay" and not self.online
        return task * self.config.replay.pool_size if materialised else 0

    def capacity(self) -> int:
        """The most places there are, over all tasks."""
        if self.memory == "data":
            return sum(self.sizes)
        return max(n + self.num_kept(task) for task, n in enumerate(self.sizes))

    def indices(self, task: int, step: int) -> np.ndarray:
        """The places of the batch of a step of the run: [B] int32."""
        size, seed = self.config.batch_size, self.config.seed
        if self.memory == "data":
            first = np.cumsum([0, *self.sizes])
            parts = [first[i] + self._real(i, count, turn) for i, count, turn in self._joint(step)]
        else:
            step -= self.start(task)
            real = self.num_real(task)
            parts = [self._real(task, real, step)]
            if n := self.num_kept(task):
                kept = stream_indices(n, size - real, seed, task + POOL, step)
                parts.append(self.sizes[task] + kept)
        # Where these do not fill the batch, they are repeated and the step replaces them by replay.
        return np.resize(np.concatenate(parts), size).astype(np.int32)

    def buffered(self, task: int) -> np.ndarray:
        """The images of an earlier task that a buffer keeps: the same in every task after it."""
        n = self.sizes[task]
        size = min(n, self.config.replay.buffer_size)
        return stream_indices(n, size, self.config.seed, task + BUFFER, 0)

    def _joint(self, step: int) -> list[tuple[int, int, int]]:
        """Whose images make up a batch of all tasks: task, images, and which turn of it this is.

        All tasks in equal shares, of which the first take the odd ones. Where there are more tasks
        than a batch holds, each gives one image in its turn.
        """
        n, size = len(self.sizes), self.config.batch_size
        if size >= n:
            return [(i, size // n + (i < size % n), step) for i in range(n)]
        return [(place % n, 1, place // n) for place in range(step * size, (step + 1) * size)]

    def _real(self, task: int, count: int, step: int) -> np.ndarray:
        """Which `count` images of a task a step takes: [count].

        Where some carry a label and some do not, `labelled_share` says how many are taken of each;
        a single image is by turns of the one kind and of the other.
        """
        seed, n, share = self.config.seed, self.sizes[task], self.config.labelled_share
        kinds = self.by_label[task]
        if not share or kinds is None:
            return stream_indices(n, count, seed, task, step)
        labelled, others = kinds
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


def by_label(labels: Sequence[np.ndarray]) -> tuple[ByLabel | None, ...]:
    """The `by_label` of tasks whose training images have these labels, -1 where there is none."""
    kinds = [(np.flatnonzero(u >= 0), np.flatnonzero(u < 0)) for u in labels]
    return tuple(both if all(kind.size for kind in both) else None for both in kinds)


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
