"""What a run tells on standard output. With `progress.py`, the only module that knows rich."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console as RichConsole
from rich.table import Table

from lgaa_jax.run import tables
from lgaa_jax.run.experiment import Experiment
from lgaa_jax.run.progress import Progress
from lgaa_jax.training.state import TrainState
from lgaa_jax.workdir.record import Record

LABEL_WIDTH = 12  # characters
PLAIN_WIDTH = 200  # characters of a table's line where there is no terminal


class Console:
    """Tells how a run begins, what is measured after each task, and how it ends."""

    def __init__(self, file: TextIO | None = None):
        """file: in place of standard output."""
        self._rich = RichConsole(file=file, highlight=False, markup=False, emoji=False)
        if not self._rich.is_terminal:
            self._rich = RichConsole(
                file=file, highlight=False, markup=False, emoji=False, width=PLAIN_WIDTH
            )

    def opening(
        self, experiment: Experiment, workdir: Path, state: TrainState, status: str
    ) -> None:
        """The lines at the start of a run."""
        self._lines(tables.opening(experiment, workdir, state, status))

    def progress(self, total: int, initial: int) -> Progress:
        """The bar of the whole run."""
        return Progress(self._rich, total, initial)

    def say(self, text: str) -> None:
        """One line."""
        self._rich.print(text, soft_wrap=True)

    def after_task(self, names: list[str], record: Record) -> None:
        """The figures of the last evaluation, in one line."""
        self.say(tables.after_task(names, record))

    def closing(
        self, names: list[str], record: Record, results: dict[str, Any], path: Path, pictures: Path
    ) -> None:
        """The table at the end of a run, and where its results and its pictures are."""
        self._rich.print()
        head, *rows = tables.closing_rows(names, record)
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for i, title in enumerate(head):
            table.add_column(title, justify="right" if i else "left", overflow="fold")
        for row in rows:
            table.add_row(*row)
        self._rich.print(table)
        self._lines(tables.closing(results, path, pictures))

    def _lines(self, lines: Iterable[tuple[str, str]]) -> None:
        for label, text in lines:
            self.say(f"{label:<{LABEL_WIDTH}}{text}")
