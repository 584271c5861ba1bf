"""Lifelong metrics of an accuracy matrix R.

R[t][i] is the test accuracy on task i after training task t, both from 0, in [0, 1]. R is T x N,
T <= N: the N tasks of the run and the T of them that it has trained. An entry is None or nan where
task i is not learned yet, which can only be where i > t, where it was not measured, and in all of
the column of a task without classes, which no mean takes in. R[i][i] is always there. Rows at the
end count as absent down to the last one in which no learned task is missing. Each function raises
ValueError for an R that is not of this form.
"""

from collections.abc import Sequence

import numpy as np

Matrix = Sequence[Sequence[float | None]] | np.ndarray


def average_accuracy(R: Matrix) -> float:
    """Mean over the tasks that the last row knows (Lopez-Paz and Ranzato 2017, ACC)."""
    return float(np.nanmean(_matrix(R)[-1]))


def forgetting(R: Matrix) -> float | None:
    """Mean over earlier tasks of the best accuracy measured less the last (Chaudhry et al. 2018).

    None without an earlier task, where it is not defined. Negative when they got better.
    """
    of_each = forgetting_by_task(R)
    return float(np.mean(list(of_each.values()))) if of_each else None


def forgetting_by_task(R: Matrix) -> dict[int, float]:
    """What `forgetting` is the mean of, by the index of each earlier task that has classes."""
    r = _matrix(R)
    return {int(i): float(np.nanmax(r[:-1, i]) - r[-1, i]) for i in _earlier(r)}


def backward_transfer(R: Matrix) -> float | None:
    """Mean over earlier tasks of R[last][i] - R[i][i] (Lopez-Paz and Ranzato 2017, BWT).

    None without an earlier task, where it is not defined. Negative when those were forgotten.
    """
    r = _matrix(R)
    earlier = _earlier(r)
    return float(np.mean(r[-1, earlier] - r[earlier, earlier])) if earlier.size else None


def _earlier(r: np.ndarray) -> np.ndarray:
    """The tasks before the last row's that have classes."""
    return np.flatnonzero(~np.isnan(r[-1, : len(r) - 1]))


def _matrix(R: Matrix) -> np.ndarray:
    """The rows of R down to the last whole one, as float64 [T, N] with nan where there is none."""
    r = np.array(R, dtype=np.float64)
    if r.ndim != 2:
        raise ValueError(f"an accuracy matrix has two axes, not the shape {r.shape}")
    if r.shape[0] > r.shape[1]:
        raise ValueError(f"the accuracy matrix has more rows than tasks: {r.shape}")
    there = np.asarray(~np.isnan(r))
    classed = np.asarray(there.any(axis=0))
    learned = np.tri(*r.shape, dtype=np.bool_) & classed
    whole = np.flatnonzero((there | ~learned).all(axis=1) & there.any(axis=1))
    if not whole.size:
        raise ValueError("the accuracy matrix is empty: no task has been evaluated yet")
    last = whole[-1] + 1
    missing = np.flatnonzero(classed[:last] & ~there.diagonal()[:last])
    if missing.size:
        raise ValueError(f"the accuracy on task {missing[0]} after task {missing[0]} is missing")
    return r[:last]
