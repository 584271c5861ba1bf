"""The progress of a run on its console: one bar, or a plain line every half minute."""

import contextlib
import time
from collections.abc import Mapping

from rich import progress
from rich.console import Console
from rich.table import Column

PLAIN_SECONDS = 30.0  # between two lines where there is no terminal
LOSSES = ("reconstruction", "critic", "class")  # that a wide line has room for
BAR = 16  # characters
LEFT = len("0:00:00 left")


class Progress(contextlib.AbstractContextManager["Progress"]):
    """Counts the steps of a whole run and shows the task, accuracies, losses and the time left."""

    def __init__(self, console: Console, total: int, initial: int):
        """Steps are counted from `initial`, those that were taken before, to `total`."""
        self._console, self._total, self._done = console, total, initial
        # Step and time at which the first call had returned: it compiles, and tells no rate.
        self._first: tuple[int, float] | None = None
        self._told = time.monotonic()
        self._task, self._measured = "", ""
        self._losses: list[str] = []
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=BAR),
            progress.MofNCompleteColumn(),
            progress.TextColumn(
                "{task.fields[figures]}", table_column=Column(no_wrap=True, overflow="ellipsis")
            ),
            progress.TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
        )
        self._row = self._bar.add_task("", total=total, completed=initial, figures="", left="")

    def __enter__(self) -> "Progress":
        if self._console.is_terminal and self._done < self._total:
            self._bar.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar.live.is_started:  # it ends with an empty line where it never began
            self._bar.stop()

    def update(self, steps: int) -> None:
        """Counts `steps` more of them."""
        self._done += steps
        now = time.monotonic()
        self._first = self._first or (self._done, now)
        self._bar.update(self._row, completed=self._done, left=self._left(now))
        if not self._console.is_terminal and now - self._told >= PLAIN_SECONDS:
            self._told = now
            parts = f"step {self._done}/{self._total}", self._task, self._figures(), self._left(now)
            self._console.print("  ".join(filter(None, parts)), soft_wrap=True)

    def show(self, task: str, losses: Mapping[str, float]) -> None:
        """Sets the task and the losses, by their short names, that stand beside the count."""
        self._task = task
        self._losses = [f"{n} {losses[n]:.3g}" for n in LOSSES if n in losses]
        count = f"{self._total}/{self._total}"
        room = self._console.width - len("    ".join((task, count))) - BAR - LEFT
        self._bar.update(self._row, description=task, figures=self._figures(room))

    def evaluating(self, task: str) -> None:
        """Says that `task` is evaluated now."""
        self._bar.update(self._row, description=f"evaluating {task}", figures="", left="")

    def measured(self, text: str) -> None:
        """Sets the figures of the last evaluation."""
        self._measured = text

    def _figures(self, room: int | None = None) -> str:
        """What was measured, and as many of the losses as `room` characters hold beside it."""
        figures = [*filter(None, [self._measured]), *self._losses]
        while room is not None and len(figures) > 1 and len("  ".join(figures)) > room:
            figures.pop()
        return "  ".join(figures)

    def _left(self, now: float) -> str:
        """The time left at the rate so far."""
        if self._first is None or self._done == self._first[0]:
            return ""
        step, then = self._first
        seconds = round((now - then) * (self._total - self._done) / (self._done - step))
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} left"
