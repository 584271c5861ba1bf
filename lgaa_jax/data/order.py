"""The order in which training sees the images of a task: a pure function of seed, task and step."""

from collections import OrderedDict

import numpy as np

# Orders that are kept, and their bytes, at most. Joint training has an epoch of every task open at
# once: a hundred of 60,000 images are 48 MB.
MOST, MOST_BYTES = 512, 1 << 28
_kept: OrderedDict[tuple[int, int, int, int], np.ndarray] = OrderedDict()


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


def _permutation(n: int, seed: int, task: int, epoch: int) -> np.ndarray:
    """The order of an epoch; those asked for last are kept."""
    key = n, seed, task, epoch
    if key not in _kept:
        _kept[key] = np.random.default_rng((seed, task, epoch)).permutation(n)
        _kept.pop((n, seed, task, epoch - 2), None)  # a batch may lie in the one before
        while len(_kept) > 1 and (len(_kept) > MOST or _bytes_kept() > MOST_BYTES):
            _kept.popitem(last=False)
    _kept.move_to_end(key)
    return _kept[key]


def _bytes_kept() -> int:
    return sum(order.nbytes for order in _kept.values())
