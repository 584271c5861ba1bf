"""What is computed ahead of its use, in a thread or in processes. The one module that knows Grain.

Grain is imported where processes are asked for: a run without them needs no installation of it.
"""

import collections
import importlib.util
import itertools
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from absl import flags

from lgaa_jax.errors import UserError

AHEAD = 2  # elements that a thread has ready, or a process

T = TypeVar("T", covariant=True)


class Elements(Protocol[T]):
    """Elements of which each can be had by itself; for processes, it can be pickled."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> T: ...


def check(workers: int) -> None:
    """Raises UserError where so many processes are asked for in vain."""
    if workers and importlib.util.find_spec("grain") is None:
        raise UserError(
            f"data.workers={workers} needs Grain; run pip install 'lgaa-jax[stream]', or set it "
            "to 0."
        )


def ahead(elements: Elements[T], workers: int = 0) -> Generator[T, None, None]:
    """All elements in their order, each computed before it is asked for.

    workers: processes that compute them, by turns; 0: a thread. What an element raises is raised
    where it is asked for. Closing the iterator ends threads and processes.
    """
    return _by_processes(elements, workers) if workers else _by_thread(elements)


def _by_thread(elements: Elements[T]) -> Generator[T, None, None]:
    pool = ThreadPoolExecutor(1, "ahead")
    asked = (pool.submit(elements.__getitem__, i) for i in range(len(elements)))
    waiting = collections.deque(itertools.islice(asked, AHEAD))
    try:
        while waiting:
            found = waiting.popleft().result()
            waiting.extend(itertools.islice(asked, 1))
            yield found
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _by_processes(elements: Elements[T], workers: int) -> Generator[T, None, None]:
    import grain

    if not flags.FLAGS.is_parsed():  # Grain reads some, also of a program that has none
        flags.FLAGS.mark_as_parsed()
    options = grain.MultiprocessingOptions(workers, per_worker_buffer_size=AHEAD)
    one_by_one = grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)
    found = grain.MapDataset.source(elements).to_iter_dataset(one_by_one).mp_prefetch(options)
    iterator = iter(found)
    try:
        yield from iterator
    finally:
        iterator.close()
