"""Scalars and image grids along the steps: metrics.jsonl and TensorBoard."""

import contextlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lgaa_jax.files import PathLike, write_bytes
from lgaa_jax.workdir.board import open_board

METRICS = "metrics.jsonl"
EVALUATION = "eval/"  # how the names of test metrics begin

Evaluation = tuple[int, int, Mapping[str, float]]  # step, task and test metrics


class ScalarLog(contextlib.AbstractContextManager["ScalarLog"]):
    """Scalars in metrics.jsonl and, with the image grids, in tensorboard/. A context manager."""

    def __init__(
        self,
        workdir: PathLike,
        resume_step: int = 0,
        evaluations: Iterable[Evaluation] = (),
    ):
        """Drops what an earlier process logged after `resume_step`, the step to go on from.

        TensorBoard drops that step, too, and is told it again, but for its pictures: a kill may
        have come before what was logged last was on disk, or between that and the checkpoint.

        evaluations: step, task and test metrics of each task that has been evaluated; they take the
        place of what the file holds of them, which a kill may have cut short.
        """
        path = Path(workdir, METRICS)
        kept = [*training_lines(path, resume_step)]
        kept += [_line(step, task, values) for step, task, values in evaluations]
        kept.sort(key=lambda line: (line["step"], _evaluates(line)))
        write_bytes(path, "".join(map(_text, kept)).encode())
        self._file = path.open("a", encoding="utf-8")
        self._board = open_board(Path(workdir, "tensorboard"), resume_step)
        for line in kept:
            if line["step"] == resume_step:
                self._show(line)

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def scalars(self, step: int, task: int, values: Mapping[str, float]) -> None:
        """Writes one line {"step", "task", name: value, ...}. Raises ValueError for nan and inf."""
        line = _line(step, task, values)
        self._file.write(_text(line))
        self._file.flush()
        self._show(line)

    def image(self, step: int, tag: str, array: np.ndarray) -> None:
        """Shows a picture in TensorBoard. array: uint8 [H, W, 1 or 3]."""
        if self._board:
            self._board.image(step, tag, array)

    def flush(self) -> None:
        """Has TensorBoard's file hold all that was logged; metrics.jsonl does at once."""
        if self._board:
            self._board.flush()

    def _show(self, line: Mapping[str, Any]) -> None:
        values = {name: v for name, v in line.items() if name not in ("step", "task")}
        if self._board:
            self._board.scalars(line["step"], values)

    def close(self) -> None:
        """Writes what is still held back."""
        self._file.close()
        if self._board:
            self._board.close()


class NoLog(ScalarLog):
    """Logs nothing: another process of the run does."""

    def __init__(self) -> None:
        pass

    def scalars(self, step: int, task: int, values: Mapping[str, float]) -> None:
        """Does nothing; so do the others."""

    def image(self, step: int, tag: str, array: np.ndarray) -> None:
        """See `scalars`."""

    def flush(self) -> None:
        """See `scalars`."""

    def close(self) -> None:
        """See `scalars`."""


def _line(step: int, task: int, values: Mapping[str, float]) -> dict[str, Any]:
    values = {name: float(value) for name, value in values.items()}
    for name, value in values.items():
        if name in ("step", "task"):
            raise ValueError(f"a metric may not be called {name!r}: each line has that key")
        if not math.isfinite(value):
            raise ValueError(f"{name} is {value} at step {step}")
    return {"step": int(step), "task": task, **values}


def _text(line: Mapping[str, Any]) -> str:
    return json.dumps(line, allow_nan=False) + "\n"


def _evaluates(line: Mapping[str, Any]) -> bool:
    return any(name.startswith(EVALUATION) for name in line)


def training_lines(path: Path, step: float = math.inf) -> Iterator[dict[str, Any]]:
    """What was logged of training up to `step`; nothing where there is no such file."""
    return (line for line in logged(path) if line["step"] <= step and not _evaluates(line))


def logged(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a file of metrics; a kill may have cut the last one short."""
    for text in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            line = json.loads(text)
            if text.endswith(b"\n") and isinstance(line["step"], int):
                yield line
