"""What a run has written into its workdir, read back for a report."""

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import Any

from lgaa_jax.errors import UserError
from lgaa_jax.files import PathLike, expand
from lgaa_jax.workdir import results
from lgaa_jax.workdir.metadata import CONFIG, read_metadata
from lgaa_jax.workdir.picture_files import grid_path, short_names
from lgaa_jax.workdir.record import Measured, Record, read_record
from lgaa_jax.workdir.scalars import METRICS, training_lines


@dataclasses.dataclass(frozen=True)
class Written:
    """The files of a run.

    metadata: config.json; results: results.json; measured: after each task that has ended, the
    metrics of each task known by then, of evaluations.json; lines: of metrics.jsonl, of training.
    """

    folder: Path
    metadata: dict[str, Any]
    results: dict[str, Any]
    measured: tuple[Measured, ...]
    lines: list[dict[str, Any]]

    @cached_property
    def names(self) -> list[str]:
        """Of the tasks, as the config and results.json have them."""
        return self.results["tasks"]

    @cached_property
    def short(self) -> list[str]:
        """The same for people."""
        return short_names(self.names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Of the images of the run, [H, W, C]."""
        data = self.metadata["config"]["data"]
        return data["size"], data["size"], data["channels"]

    @property
    def split(self) -> str:
        """What was measured on: test or validation."""
        return self.results.get("eval", {}).get("split", "test")

    def grid(self, task: int, index: int, kind: str) -> Path:
        """The picture of the task `index` after `task`, which may be missing."""
        return grid_path(self.folder, self.names, task, index, kind)

    @property
    def learned(self) -> int:
        """How many tasks have ended."""
        return max(self.stops, len(self.measured))

    @cached_property
    def stops(self) -> int:
        """After how many tasks there are pictures."""
        tasks = range(len(self.names))
        drawn = [any(self.grid(t, i, "generated").exists() for i in tasks) for t in tasks]
        return max((t + 1 for t in tasks if drawn[t]), default=0)

    def columns(self, index: int) -> list[str]:
        """The names of the classes of a task, as the columns of its grids show them; or none.

        Early versions did not write which labels a task has: then none are named.
        """
        name = self.names[index]
        names = self.metadata.get("classes", {}).get(name, [])
        labels = self.metadata.get("labels", {}).get(name, [])
        return [names[label] for label in labels] if names else []


def read(workdir: PathLike) -> Written:
    """Raises UserError where the folder holds no run that has measured anything."""
    folder = expand(workdir)
    found = results.read(folder)
    if found is None:
        raise UserError(f"{folder} holds no whole results.json; train or evaluate first.")
    try:
        metadata = read_metadata(folder)
        metadata["config"]["data"]
    except (ValueError, KeyError) as error:
        raise UserError(f"{folder / CONFIG} is not the config of a run, or damaged.") from error
    # Of a run that is given more tasks, results.json may not name the last of them yet.
    logged = training_lines(folder / METRICS)
    lines = [line for line in logged if line["task"] < len(found["tasks"])]
    record = read_record(folder) or Record()  # early versions have none
    return Written(folder, metadata, found, record.measured, lines)
