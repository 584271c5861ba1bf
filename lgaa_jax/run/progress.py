"""The progress of a training run, on stderr."""

import sys
import time
from collections.abc import Mapping

import tqdm


class Progress(tqdm.tqdm):
    """A line on stderr with the task, the steps record (`update()`), images/s and a few losses."""

    def __init__(self, total: int, initial: int, batch_size: int):
        """Counts steps, from `initial` to `total`; a step takes `batch_size` images."""
        # In a log file every refresh is one more line.
        seconds = 1 if sys.stderr.isatty() else 30
        self._batch_size, self._shown_at = batch_size, (initial, time.monotonic())
        every = {"mininterval": seconds, "maxinterval": seconds}
        super().__init__(total=total, initial=initial, unit="step", **every)

    def show(self, task: str, losses: Mapping[str, float]):
        """Sets what the next refresh shows; images/s are those since the last call."""
        now, (n, then) = time.monotonic(), self._shown_at
        rate = (self.n - n) * self._batch_size / max(now - then, 1e-9)
        self._shown_at = (self.n, now)
        losses = {name: f"{float(value):.4g}" for name, value in losses.items()}
        self.set_description(task, refresh=False)
        self.set_postfix({"images/s": f"{rate:.0f}", **losses}, refresh=False)
