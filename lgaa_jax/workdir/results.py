"""results.json, from the record of a run."""

from collections.abc import Callable, Sequence

from lgaa_jax.evaluation import lifelong
from lgaa_jax.workdir.record import RECONSTRUCTION, Measured, Record


def matrix(measured: Sequence[Measured], names: list[str], metric: str) -> list[list[float | None]]:
    """R[t][i], the metric of task i after task t; None where not learned yet or not measured."""
    cells = [[after.get(name, {}).get(metric) for name in names] for after in measured]
    return cells + [[None] * len(names) for _ in range(len(names) - len(measured))]


def summary(names: list[str], strategy: str, seed: int, record: Record) -> dict:
    """The object of results.json (design: keys that were not computed are absent)."""
    last = record.measured[-1] if record.measured else {}
    result = {
        "strategy": strategy,
        "tasks": names,
        "seed": seed,
        "steps": record.step,
        "seconds": round(record.seconds, 1),
        "finished": len(record.measured) == len(names),
    }
    if any("accuracy" in values for values in last.values()):
        accuracy = matrix(record.measured, names, "accuracy")
        trained = accuracy[: len(record.measured)]
        computed = {
            "average_accuracy": lifelong.average_accuracy(trained),
            "forgetting": lifelong.forgetting(trained),
            "backward_transfer": lifelong.backward_transfer(trained),
            "forgetting_by_task": {
                names[i]: value for i, value in lifelong.forgetting_by_task(trained).items()
            },
        }
        result["accuracy"] = accuracy
        result |= {name: value for name, value in computed.items() if value not in (None, {})}
    if any("clustering_accuracy" in values for values in last.values()):
        result["clustering_accuracy"] = matrix(record.measured, names, "clustering_accuracy")
    if any("linear_probe" in values for values in last.values()):
        result["linear_probe"] = [last[n].get("linear_probe") for n in names if n in last]
    if last:
        result["domain_accuracy"] = [last[n]["domain_accuracy"] for n in names if n in last]
    groups = {
        "reconstruction": _by_task(last, lambda values: _chosen(values, RECONSTRUCTION)),
        "generation": _by_task(last, lambda values: _group(values, "generation")),
        "risk": _risk(names, record.measured),
    }
    return result | {name: group for name, group in groups.items() if group}


def _by_task(measured: Measured, pick: Callable[[dict[str, float]], dict[str, float]]) -> Measured:
    """What `pick` takes of each task's values; tasks of which it takes nothing are left out."""
    picked = {name: pick(values) for name, values in measured.items()}
    return {name: values for name, values in picked.items() if values}


def _chosen(values: dict[str, float], keys: tuple[str, ...]) -> dict[str, float]:
    return {key: values[key] for key in keys if key in values}


def _group(values: dict[str, float], group: str) -> dict[str, float]:
    """The values whose names begin with the group's, under the rest of their names."""
    begin = f"{group}/"
    return {k.removeprefix(begin): v for k, v in values.items() if k.startswith(begin)}


def _risk(names: list[str], measured: Sequence[Measured]) -> list[dict]:
    """One entry for each learned task after each task that has the terms of the analysis."""
    return [
        {"after_task": after, "task": name, **terms}
        for after, values in zip(names, measured, strict=False)
        for name in names
        if (terms := _group(values.get(name, {}), "risk"))
    ]
