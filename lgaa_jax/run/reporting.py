"""The reports of runs and comparisons. One that cannot be written is told, and all goes on."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lgaa_jax.report import comparison_report, run_report
from lgaa_jax.report.page import REPORT

Say = Callable[[str], None]


def report_run(workdir: Path, say: Say) -> None:
    """Writes report.html of a run. say: where a failure is told."""
    _attempt(lambda: run_report.write(workdir), workdir, say)


def report_comparison(root: Path, folders: Mapping[str, Sequence[Path]], say: Say) -> None:
    """Writes report.html of a comparison. folders: of the runs, by strategy."""
    _attempt(lambda: comparison_report.write(root, folders), root, say)


def _attempt(write: Callable[[], Path], folder: Path, say: Say) -> None:
    try:
        write()
    except Exception as error:  # whatever it is: what was measured stands in results.json
        say(f"{folder / REPORT} was not written: {type(error).__name__}: {error}")
