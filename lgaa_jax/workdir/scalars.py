"""Scalars and image grids along the steps: metrics.jsonl and TensorBoard."""

import contextlib
import json
import math
import os
import pathlib
from collections.abc import Iterator, Mapping

import numpy as np

from lgaa_jax.files import write_bytes


class ScalarLog(contextlib.AbstractContextManager):
    """Scalars in metrics.jsonl and, with the image grids, in tensorboard/. A context manager."""

    def __init__(self, workdir: str | os.PathLike, resume_step: int = 0):
        """Drops what an earlier process logged after `resume_step`, the step to go on from."""
        # Here, because it takes a second and evaluation has no use for it.
        import tensorboardX

        workdir = pathlib.Path(workdir)
        path = workdir / "metrics.jsonl"
        kept = list(_lines_until(path, resume_step)) if path.exists() else []
        write_bytes(path, b"".join(kept))
        self._file = path.open("a", encoding="utf-8")
        board = str(workdir / "tensorboard")
        self._board = tensorboardX.SummaryWriter(board, purge_step=resume_step + 1)

    def __exit__(self, *exc_info):
        self.close()

    def scalars(self, step: int, task: int | str, values: Mapping):
        """Writes one line {"step", "task", name: value, ...}. Raises ValueError for nan and inf."""
        values = {name: float(value) for name, value in values.items()}
        for name, value in values.items():
            if name in ("step", "task"):
                raise ValueError(f"a metric may not be called {name!r}: each line has that key")
            if not math.isfinite(value):
                raise ValueError(f"{name} is {value} at step {step}")
        line = {"step": int(step), "task": task, **values}
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def image(self, step: int, tag: str, array: np.ndarray):
        """Shows a picture in TensorBoard. array: uint8 [H, W, 1 or 3]."""
        self._board.add_image(tag, array, step, dataformats="HWC")

    def close(self):
        """Writes what is still held back."""
        self._file.close()
        self._board.close()


def _lines_until(path: pathlib.Path, step: int) -> Iterator[bytes]:
    """The whole lines of a metrics.jsonl with at most that step; a kill may truncate the last."""
    for line in path.read_bytes().splitlines(keepends=True):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if line.endswith(b"\n") and json.loads(line)["step"] <= step:
                yield line
