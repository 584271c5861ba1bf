"""What a call of the program takes its batches from: all images, or rows that are read ahead."""

import contextlib
import functools
from collections.abc import Callable, Generator
from typing import Protocol

import jax
import numpy as np

from lgaa_jax.data.ahead import ahead
from lgaa_jax.run.experiment import Experiment
from lgaa_jax.training.batch import Array, Pool
from lgaa_jax.training.devices import Layout
from lgaa_jax.training.state import TrainState

Given = Callable[[], tuple[Pool, Array | None]]  # pool and indices, as `TrainSteps` takes them


class Feed(Protocol):
    """What each call of a task is given, in their order."""

    def __iter__(self) -> Generator[Given, None, None]: ...


class Held:
    """All images of the task on the devices; a call is given places."""

    def __init__(self, experiment: Experiment, state: TrainState, task: int, calls: np.ndarray):
        self._experiment, self._task, self._calls = experiment, task, calls
        self._pool = experiment.batches.pool(task, state)

    def __iter__(self) -> Generator[Given, None, None]:
        for start, end in self._calls.tolist():
            yield functools.partial(self._given, start, end)

    def _given(self, start: int, end: int) -> tuple[Pool, jax.Array]:
        experiment = self._experiment
        indices = np.zeros((experiment.steps_per_call, experiment.config.batch_size), np.int32)
        for row, step in enumerate(range(start, end)):
            indices[row] = experiment.batches.places.indices(self._task, step)
        return self._pool, experiment.layout.place(indices, experiment.layout.by_row(axis=1))


class Streamed:
    """The rows of each call and no others, read while the call before runs."""

    def __init__(self, experiment: Experiment, state: TrainState, task: int, calls: np.ndarray):
        config, self._layout = experiment.config, experiment.layout
        self._size, self._workers = config.batch_size, config.data.workers
        columns = local_columns(self._layout, self._size)
        self._rows = experiment.batches.rows(task, state, calls, experiment.steps_per_call, columns)

    def __iter__(self) -> Generator[Given, None, None]:
        with contextlib.closing(ahead(self._rows, self._workers)) as read:
            for rows in read:
                yield functools.partial(self._given, rows)

    def _given(self, rows: Pool) -> tuple[Pool, None]:
        place = functools.partial(placed, layout=self._layout, size=self._size)
        return Pool(*map(place, rows)), None


def local_columns(layout: Layout, size: int) -> slice:
    """The rows of a batch that the devices of this process compute; of one process all."""
    parts = layout.by_row().addressable_devices_indices_map((size,))
    ends = [index[0].indices(size) for index in parts.values() if index is not None]
    return slice(min(start for start, _, _ in ends), max(stop for _, stop, _ in ends))


def placed(rows: Array, layout: Layout, size: int) -> jax.Array:
    """Rows of K batches on the devices that compute them, as an array [K, B, ...].

    rows: [K, b, ...], those of `local_columns`; size: B.
    """
    first, sharding = local_columns(layout, size).start, layout.by_row(axis=1)
    shape = (len(rows), size, *rows.shape[2:])
    parts = []
    for device, index in sharding.addressable_devices_indices_map(shape).items():
        start, stop, _ = (index[1] if index else slice(None)).indices(size)
        parts.append(jax.device_put(rows[:, start - first : stop - first], device))
    return jax.make_array_from_single_device_arrays(shape, sharding, parts)
