"""What a run has measured so far, and results.json."""

import dataclasses

from lgaa_jax import metrics

Row = dict[str, dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Done:
    """The record that travels in a checkpoint.

    rows: after each finished task, {task name: {metric: value}} over the tasks learned by then
    step: training step of the last row; seconds: time spent in training steps, over all restarts
    """

    rows: tuple[Row, ...] = ()
    step: int = 0
    seconds: float = 0.0

    def after(self, seconds: float) -> "Done":
        """The record with more training time."""
        return dataclasses.replace(self, seconds=self.seconds + seconds)

    def to_json(self) -> dict:
        """A JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, obj: dict) -> "Done":
        """The inverse of `to_json`."""
        return cls(tuple(obj["rows"]), obj["step"], obj["seconds"])


def accuracy_matrix(rows: tuple[Row, ...], names: list[str]) -> list[list[float | None]]:
    """R[t][i], test accuracy on task i after task t; None where not learned yet."""
    matrix = [[row.get(name, {}).get("accuracy") for name in names] for row in rows]
    return matrix + [[None] * len(names) for _ in range(len(names) - len(rows))]


def summary(names: list[str], strategy: str, seed: int, done: Done) -> dict:
    """The object of results.json (design: keys that were not computed are absent)."""
    last = done.rows[-1] if done.rows else {}
    result = {
        "strategy": strategy,
        "tasks": names,
        "seed": seed,
        "steps": done.step,
        "seconds": round(done.seconds, 1),
    }
    if any("accuracy" in values for values in last.values()):
        matrix = accuracy_matrix(done.rows, names)
        trained = matrix[: len(done.rows)]
        computed = {
            "average_accuracy": metrics.average_accuracy(trained),
            "forgetting": metrics.forgetting(trained),
            "backward_transfer": metrics.backward_transfer(trained),
        }
        result["accuracy"] = matrix
        result |= {name: value for name, value in computed.items() if value is not None}
    if last:
        result["domain_accuracy"] = [last[n]["domain_accuracy"] for n in names if n in last]
        result["reconstruction"] = {
            name: {key: values[key] for key in ("mse", "psnr", "ssim")}
            for name, values in last.items()
        }
    return result
