"""What a run has measured so far: the record that travels in its checkpoints."""

import dataclasses

RECONSTRUCTION = ("mse", "psnr", "ssim")


Measured = dict[str, dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Record:
    """The record that travels in a checkpoint.

    measured: after each finished task, {task name: {metric: value}} over the tasks learned by then
    step: training step of the last of them
    seconds: time spent in training steps, over all restarts
    """

    measured: tuple[Measured, ...] = ()
    step: int = 0
    seconds: float = 0.0

    def after(self, seconds: float) -> "Record":
        """The record with more training time."""
        return dataclasses.replace(self, seconds=self.seconds + seconds)

    def to_json(self) -> dict:
        """A JSON object."""
        return {"rows": self.measured, "step": self.step, "seconds": self.seconds}

    @classmethod
    def from_json(cls, obj: dict) -> "Record":
        """The inverse of `to_json`."""
        return cls(tuple(obj["rows"]), obj["step"], obj["seconds"])
