"""TensorBoard's files: scalars and pictures by step. The only module that knows tensorboardX.

Its SummaryWriter writes in a thread of its own, two minutes late; what a kill would then cost could
not be told. Here an event is written at once, and is on disk after `flush`.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging


def open_board(folder: Path, step: int) -> "Board | None":
    """A Board; None where tensorboardX is not installed, which is told."""
    try:
        return Board(folder, step)
    except ModuleNotFoundError as error:
        if error.name != "tensorboardX":
            raise
        logging.warning("tensorboardX is not installed: no files for TensorBoard are written")
        return None


class Board:
    """A new file in `folder`. TensorBoard drops what earlier files have of `step` and later."""

    def __init__(self, folder: Path, step: int):
        # Here, because it takes a second and evaluation has no use for it.
        from tensorboardX import summary
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2

        self._summary, self._events = summary, event_pb2
        folder.mkdir(parents=True, exist_ok=True)
        # Files are named by the second; without a number it would write over one that is there.
        number = f".{len([*folder.iterdir()]):05}"
        self._writer = EventsWriter(str(folder / "events"), filename_suffix=number)
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._write(step, session_log=start)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes numbers by name."""
        parts = [self._summary.scalar(name, value) for name, value in values.items()]
        for part in parts[1:]:
            parts[0].MergeFrom(part)
        if parts:
            self._write(step, summary=parts[0])

    def image(self, step: int, tag: str, array: np.ndarray) -> None:
        """Writes a picture, uint8 [H, W, 1 or 3]."""
        self._write(step, summary=self._summary.image(tag, array, dataformats="HWC"))

    def flush(self) -> None:
        """Returns when all that was written is on disk."""
        self._writer.flush()

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()

    def _write(self, step: int, **content: Any) -> None:
        event = self._events.Event(wall_time=time.time(), step=step, **content)
        self._writer.write_event(event)
