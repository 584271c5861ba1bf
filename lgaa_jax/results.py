"""What a run has measured so far, and results.json."""

import dataclasses

from lgaa_jax import metrics

RECONSTRUCTION = ("mse", "psnr", "ssim")
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


def matrix(rows: tuple[Row, ...], names: list[str], metric: str) -> list[list[float | None]]:
    """R[t][i], the metric of task i after task t; None where not learned yet or not measured."""
    matrix = [[row.get(name, {}).get(metric) for name in names] for row in rows]
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
        "finished": len(done.rows) == len(names),
    }
    if any("accuracy" in values for values in last.values()):
        accuracy = matrix(done.rows, names, "accuracy")
        trained = accuracy[: len(done.rows)]
        computed = {
            "average_accuracy": metrics.average_accuracy(trained),
            "forgetting": metrics.forgetting(trained),
            "backward_transfer": metrics.backward_transfer(trained),
            "forgetting_by_task": {
                names[i]: value for i, value in metrics.forgetting_by_task(trained).items()
            },
        }
        result["accuracy"] = accuracy
        result |= {name: value for name, value in computed.items() if value not in (None, {})}
    if any("clustering_accuracy" in values for values in last.values()):
        result["clustering_accuracy"] = matrix(done.rows, names, "clustering_accuracy")
    if any("linear_probe" in values for values in last.values()):
        result["linear_probe"] = [last[n].get("linear_probe") for n in names if n in last]
    if last:
        result["domain_accuracy"] = [last[n]["domain_accuracy"] for n in names if n in last]
    groups = {
        "reconstruction": _by_task(last, lambda values: _chosen(values, RECONSTRUCTION)),
        "generation": _by_task(last, lambda values: _group(values, "generation")),
        "risk": _risk(names, done.rows),
    }
    return result | {name: group for name, group in groups.items() if group}


def _by_task(row: Row, pick) -> Row:
    """What `pick` takes of each task's values; tasks of which it takes nothing are left out."""
    picked = {name: pick(values) for name, values in row.items()}
    return {name: values for name, values in picked.items() if values}


def _chosen(values: dict[str, float], keys: tuple[str, ...]) -> dict[str, float]:
    return {key: values[key] for key in keys if key in values}


def _group(values: dict[str, float], group: str) -> dict[str, float]:
    """The values whose names begin with the group's, under the rest of their names."""
    begin = f"{group}/"
    return {k.removeprefix(begin): v for k, v in values.items() if k.startswith(begin)}


def _risk(names: list[str], rows: tuple[Row, ...]) -> list[dict]:
    """One entry for each learned task after each task that has the terms of the analysis."""
    return [
        {"after_task": after, "task": name, **terms}
        for after, row in zip(names, rows, strict=False)
        for name in names
        if (terms := _group(row.get(name, {}), "risk"))
    ]
