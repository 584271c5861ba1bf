"""What a run has measured so far: the record that travels in its checkpoints."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lgaa_jax.files import read_json
from lgaa_jax.seals import opened

EVALUATIONS = "evaluations.json"  # in a workdir: the record of its tasks' ends
# Metrics of reconstructions; the last three in colour only.
RECONSTRUCTION = ("mse", "psnr", "ssim", "psnr_luma", "psnr_chroma", "chroma")

KEYS = frozenset({"rows", "measured_with", "step", "seconds"})  # of a record as JSON

Measured = dict[str, dict[str, float]]  # {task name: {metric: value}}
Retry = Mapping[str, Any]  # of `Record.retries`
Settings = Mapping[str, Any]  # the `eval` section of a config, as results.measured_with gives it


@dataclasses.dataclass(frozen=True)
class Record:
    """The record that travels in a checkpoint.

    measured: after each finished task, the metrics of the tasks learned by then, all finite
    measured_with: the settings of each of them; None where an older checkpoint does not say
    step: training step of the last of them
    seconds: time spent in training steps, over all restarts
    retries: each time that a number was not finite and its task went on from an earlier step with
        lower learning rates: {task: its name, step: of that number, back_to: the earlier step,
        rate: what the learning rates are multiplied by from there to the task's end}
    """

    measured: tuple[Measured, ...] = ()
    measured_with: tuple[Settings | None, ...] = ()
    step: int = 0
    seconds: float = 0.0
    retries: tuple[Retry, ...] = ()

    def rate(self, task: str, step: int) -> float:
        """What the learning rates of the steps after `step`, of this task, are multiplied by."""
        rates = [r["rate"] for r in self.retries if r["task"] == task and r["back_to"] <= step]
        return rates[-1] if rates else 1.0

    def after(self, seconds: float) -> "Record":
        """The record with more training time."""
        return dataclasses.replace(self, seconds=self.seconds + seconds)

    def with_task(
        self, task: int, step: int, measured: Measured, measured_with: Settings
    ) -> "Record":
        """The record up to the task before `task`, and with what was measured after this one.

        Metrics that are inf or nan are left out: JSON cannot hold them, and the PSNR of an exact
        reconstruction must not end a run.
        """
        kept = {name: finite(values) for name, values in measured.items()}
        return dataclasses.replace(
            self,
            measured=(*self.measured[:task], kept),
            measured_with=(*self.measured_with[:task], dict(measured_with)),
            step=step,
        )

    def first(self, tasks: int, step: int) -> "Record":
        """The record of at most the first `tasks` tasks, the last of which ends at `step`."""
        if len(self.measured) < tasks:
            return self
        measured, settings = self.measured[:tasks], self.measured_with[:tasks]
        return dataclasses.replace(self, measured=measured, measured_with=settings, step=step)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "rows": self.measured,  # the name in the checkpoints of all versions
            "measured_with": self.measured_with,
            "step": self.step,
            "seconds": self.seconds,
            **({"retries": self.retries} if self.retries else {}),
        }

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> "Record":
        """The inverse of `to_json`; reads the records of earlier versions, too."""
        measured = tuple(obj["rows"])
        unknown = (None,) * len(measured)
        settings, retries = obj.get("measured_with", unknown), obj.get("retries", ())
        return cls(measured, tuple(settings), obj["step"], obj["seconds"], tuple(retries))


def read_record(workdir: Path) -> Record | None:
    """The record in the file of evaluations; None where it is absent or damaged."""
    found = opened(read_json(workdir / EVALUATIONS), KEYS)
    return None if found is None or found.keys() < KEYS else Record.from_json(found)


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """The values without those that are inf or nan."""
    return {name: value for name, value in values.items() if math.isfinite(value)}
