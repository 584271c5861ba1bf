"""The table of a comparison, from the results of its runs.

A cell is the mean over the seeds and, with more than one, ± their standard deviation. It is empty
where the run of any seed lacks the metric: a mean over fewer seeds would stand beside one over all.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lgaa_jax.files import write_bytes

Results = dict[str, list[dict[str, Any]]]  # results.json of each seed, by strategy
Columns = dict[str, np.ndarray]  # what the table shows of a strategy: {metric: a value a seed}

# What the table says of reconstructions, and its names for metrics of samples that these have, too.
RECONSTRUCTED = (
    ("psnr", "PSNR"),
    ("psnr_luma", "PSNR luma"),
    ("psnr_chroma", "PSNR chroma"),
    ("chroma", "chroma"),
)
SAMPLED = {"chroma": "sampled chroma"}
SCORES = {"mig": "MIG", "mig_turned": "MIG in turned axes"}  # what it calls those of explore


def write(root: Path, results: Results) -> str:
    """Writes table.md and table.csv; returns the Markdown.

    All the results are of the same tasks.
    """
    text = markdown(results)
    write_bytes(root / "table.md", f"{text}\n".encode())
    table = columns(results)
    write_bytes(root / "table.csv", _csv(table, metrics_of(table)).encode())
    return text


def markdown(results: Results, metrics: Sequence[str] = ()) -> str:
    """The table as Markdown: a column for each strategy, a line for each metric.

    metrics: the first words of those that are shown; none: all.
    """
    table = columns(results)
    lines = [["", *table], ["---"] * (len(table) + 1)]
    lines.append(["runs", *(str(len(runs)) for runs in results.values())])
    for name in metrics_of(table):
        if not metrics or f"{name} ".startswith(tuple(f"{metric} " for metric in metrics)):
            lines.append([name, *(shown(c[name]) if name in c else "" for c in table.values())])
    return "\n".join(f"| {' | '.join(map(_escaped, cells))} |" for cells in lines)


def columns(results: Results) -> dict[str, Columns]:
    """The columns of the table, by strategy."""
    return {strategy: _columns(runs) for strategy, runs in results.items()}


def metrics_of(table: Mapping[str, Columns]) -> list[str]:
    """The metrics that any strategy has."""
    return list(dict.fromkeys(name for columns in table.values() for name in columns))


def _columns(runs: Sequence[dict[str, Any]]) -> Columns:
    """The metrics that the runs of all seeds have."""
    columns = [_scalars(result) for result in runs]
    return {
        name: np.array([values[name] for values in columns])
        for name in columns[0]
        if all(name in values for values in columns)
    }


def _scalars(result: Mapping[str, Any]) -> dict[str, float]:
    """One run's metrics after the last task, under the names that the table gives them."""
    tasks = result["tasks"]
    scalars: dict[str, float] = {}
    for name in ("accuracy", "clustering_accuracy"):
        scalars |= _by_task(name, tasks, result[name][-1] if name in result else ())
    for name in ("average_accuracy", "forgetting", "backward_transfer"):
        scalars |= {_words(name): result[name]} if name in result else {}
    scalars |= _by_task("linear_probe", tasks, result.get("linear_probe", ()))
    for task, values in result.get("reconstruction", {}).items():
        scalars |= {f"{name} {task}": values[k] for k, name in RECONSTRUCTED if k in values}
    for task, values in result.get("generation", {}).items():
        shown = {k: v for k, v in values.items() if k != "samples"}
        scalars |= {f"{SAMPLED.get(k, _words(k))} {task}": v for k, v in shown.items()}
    for entry in result.get("risk", ()):
        if entry["after_task"] == tasks[-1]:
            terms = [term for term in ("discrepancy", "bound") if term in entry]
            scalars |= {f"{term} {entry['task']}": entry[term] for term in terms}
    return scalars | _explored(result.get("explore", {})) | {"minutes": result["seconds"] / 60}


def _explored(found: Mapping[str, Any]) -> dict[str, float]:
    """What a run that was explored has beside, of the codes z and of z with the inferred class."""
    scalars = {}
    for entry in found.get("novelty", ()):
        for score in ("reconstruction_error", "code_density"):
            scalars[f"novelty of {entry['unseen']}, {_words(score)}"] = entry[score]
    for entry in found.get("disentanglement", ()):
        for code in ("z", "z_and_class"):
            for score, value in entry.get(code, {}).items():
                if score != "by_factor":
                    of = f"{SCORES.get(score, score)} of {_words(code)} of {entry['task']}"
                    scalars[f"{of} after {entry['after_task']}"] = value
    return scalars


def _by_task(name: str, tasks: Sequence[str], values: Iterable[float | None]) -> dict[str, float]:
    pairs = zip(tasks, values, strict=False)
    return {f"{_words(name)} {task}": value for task, value in pairs if value is not None}


def _words(name: str) -> str:
    return name.replace("_", " ")


def spread(values: np.ndarray) -> np.ndarray:
    """The standard deviation over seeds, of a sample; nan for one seed. values: [seeds, ...]."""
    return np.std(values, axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1:], np.nan)


def shown(values: np.ndarray) -> str:
    """The mean and, of several seeds, the deviation, as the table has them."""
    digits = 1 if np.abs(values).max() >= 10 else 3
    deviation = "" if len(values) == 1 else f" ± {spread(values):.{digits}f}"
    return f"{np.mean(values):.{digits}f}{deviation}"


def _escaped(cell: str) -> str:
    """A cell in which no character of a folder's name ends it."""
    return cell.replace("|", "\\|").replace("\n", " ")


def _csv(table: Mapping[str, Columns], names: Sequence[str]) -> str:
    """A line for each strategy, a column for each mean and one for its deviation."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["strategy", *(f"{name} {kind}" for name in names for kind in ("mean", "std"))])
    for strategy, columns in table.items():
        pairs = (_mean_and_spread(columns[n]) if n in columns else ("", "") for n in names)
        writer.writerow([strategy, *(cell for pair in pairs for cell in pair)])
    return text.getvalue()


def _mean_and_spread(values: np.ndarray) -> tuple[str, str]:
    deviation = repr(float(spread(values))) if len(values) > 1 else ""
    return repr(float(np.mean(values))), deviation
