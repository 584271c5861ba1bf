"""The order in which training sees the images of a task: a pure function of seed, task and step."""

import functools

import numpy as np


def stream_indices(n: int, count: int, seed: int, task: int, step: int) -> np.ndarray:
    """Returns int64 [count]: which of `n` examples step `step` of a task takes.

    An endless stream of freshly shuffled epochs, cut into pieces of `count`: a pure function of its
    arguments, in which every example occurs once an epoch, whether or not `count` divides `n`.
    """
    positions = np.arange(step * count, (step + 1) * count)
    indices = np.empty(count, np.int64)
    for epoch in range(step * count // n, -(-(step + 1) * count // n)):
        here = positions // n == epoch
        indices[here] = _permutation(n, seed, task, epoch)[positions[here] % n]
    return indices


@functools.lru_cache(maxsize=32)  # joint training has every task's epoch open at once
def _permutation(n: int, seed: int, task: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, task, epoch)).permutation(n)
