"""Several strategies and seeds of one config: runs what is missing, then a table and a figure."""

import concurrent.futures
import csv
import io
import json
import os
import pathlib
import queue
import signal
import subprocess
import threading
from collections.abc import Sequence

import ml_collections
import numpy as np

from lgaa_jax.data.notation import split_tasks
from lgaa_jax.errors import UserError
from lgaa_jax.files import write_bytes
from lgaa_jax.run.checks import FREE_KEYS, check_config
from lgaa_jax.workdir import plots, resume

Results = dict[str, list[dict]]  # results.json of each seed, by strategy


def run(
    config: ml_collections.ConfigDict,
    workdir: str,
    strategies: Sequence[str],
    seeds: Sequence[int],
    devices: Sequence[str],
    command: Sequence[str],
) -> str:
    """Makes the runs `<workdir>/<strategy>-<seed>` and compares them; returns the table (Markdown).

    A finished run is not run again, an unfinished one goes on. command: what starts a run of
    `config`; devices: numbers of the GPUs or TPU chips, one run at a time on each; () for the
    default device. Raises UserError for a bad value, a run that is there with another config, and
    one that failed.
    """
    root, todo = pathlib.Path(workdir), {}
    for strategy in strategies:
        for seed in seeds:
            config = config.copy_and_resolve_references()
            config.strategy, config.seed = strategy, seed
            check_config(config)
            todo[strategy, seed] = folder = root / f"{strategy}-{seed}"
            resume.check_same_config(folder, config, FREE_KEYS)
    count = len(split_tasks(config.tasks))
    missing = {which: folder for which, folder in todo.items() if not _finished(folder, count)}
    _run_all(missing, root, devices, command)
    results = {s: [_read(todo[s, seed]) for seed in seeds] for s in strategies}
    return _write(root, results)


def _read(folder: pathlib.Path) -> dict:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def _finished(folder: pathlib.Path, count: int) -> bool:
    """Whether the run has learned `count` tasks, all of them; it may have been made with fewer."""
    if not (folder / "results.json").exists():
        return False
    results = _read(folder)
    # A run of an earlier version does not say; to go on with it costs its start only.
    return results.get("finished", False) and len(results["tasks"]) == count


def _run_all(missing: dict, root: pathlib.Path, devices: Sequence[str], command) -> None:
    """One run after the other, or as many at a time as there are devices; one may fail alone."""
    free: queue.SimpleQueue = queue.SimpleQueue()
    for device in devices or [None]:
        free.put(device)
    failed, interrupted = [], threading.Event()

    def one(which: tuple[str, int]) -> None:
        if interrupted.is_set():
            return
        device = free.get()
        status = _run_one(which, missing[which], root, device, command)
        free.put(device)
        if status:
            failed.append(f"{which[0]} with seed {which[1]} (exit status {status})")
        if status == -signal.SIGINT:
            interrupted.set()

    with concurrent.futures.ThreadPoolExecutor(max(1, len(devices))) as pool:
        try:
            list(pool.map(one, missing))
        except BaseException:
            interrupted.set()
            raise
    if failed:
        raise UserError(
            f"{len(failed)} of {len(missing)} runs failed: {', '.join(sorted(failed))}; what they "
            "said stands above, and the same command goes on from here."
        )


def _run_one(which: tuple[str, int], folder: pathlib.Path, root: pathlib.Path, device, command):
    """Starts one run and waits for its exit status."""
    strategy, seed = which
    arguments = [
        f"--workdir={folder}",
        f"--config.strategy={strategy}",
        f"--config.seed={seed}",
        f"--config.eval.reference_dir={root / 'reference'}",
    ]
    environment = dict(os.environ)
    if device is not None:
        environment |= {"CUDA_VISIBLE_DEVICES": device, "TPU_VISIBLE_CHIPS": device}
    print(f"{strategy}, seed {seed}: {folder}", flush=True)
    return subprocess.run([*command, *arguments], env=environment).returncode


def _write(root: pathlib.Path, results: Results) -> str:
    """Writes table.md, table.csv and accuracy.png; returns the Markdown."""
    table = {strategy: _columns(runs) for strategy, runs in results.items()}
    names = list(dict.fromkeys(name for columns in table.values() for name in columns))
    lines = [["", *table], ["---"] * (len(table) + 1)]
    lines.append(["runs", *(str(len(runs)) for runs in results.values())])
    for name in names:
        lines.append([name, *(_shown(c[name]) if name in c else "" for c in table.values())])
    markdown = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    write_bytes(root / "table.md", f"{markdown}\n".encode())
    write_bytes(root / "table.csv", _csv(table, names).encode())
    first = next(iter(results.values()))[0]
    if "accuracy" in first:
        plots.curves(root / "accuracy.png", first["tasks"], _panels(results), "test accuracy")
    return markdown


def _columns(runs: list[dict]) -> dict[str, np.ndarray]:
    """What the table shows of one strategy: {column: a value for each seed}."""
    columns = [_scalars(result) for result in runs]
    return {name: np.array([c[name] for c in columns]) for name in columns[0]}


def _scalars(result: dict) -> dict[str, float]:
    columns = {}
    for name in ("accuracy", "clustering_accuracy"):
        last = zip(result["tasks"], result[name][-1] if name in result else (), strict=False)
        shown = name.replace("_", " ")
        columns |= {f"{shown} {task}": value for task, value in last if value is not None}
    for name in ("average_accuracy", "forgetting", "backward_transfer"):
        columns |= {name.replace("_", " "): result[name]} if name in result else {}
    probes = zip(result["tasks"], result.get("linear_probe", ()), strict=False)
    columns |= {f"linear probe {task}": value for task, value in probes if value is not None}
    for task, values in result.get("reconstruction", {}).items():
        columns[f"PSNR {task}"] = values["psnr"]
    for task, values in result.get("generation", {}).items():
        columns |= {f"{k.replace('_', ' ')} {task}": v for k, v in values.items() if k != "samples"}
    for entry in result.get("risk", []):
        if entry["after_task"] == result["tasks"][-1]:
            columns[f"discrepancy {entry['task']}"] = entry["discrepancy"]
            columns[f"bound {entry['task']}"] = entry["bound"]
    return columns | {"minutes": result["seconds"] / 60}


def _spread(values: np.ndarray) -> np.ndarray:
    """The standard deviation over seeds, of a sample; nan for one seed. values: [seeds, ...]."""
    return np.std(values, axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1:], np.nan)


def _shown(values: np.ndarray) -> str:
    digits = 1 if np.abs(values).max() >= 10 else 3
    spread = "" if len(values) == 1 else f" ± {_spread(values):.{digits}f}"
    return f"{np.mean(values):.{digits}f}{spread}"


def _csv(table: dict[str, dict[str, np.ndarray]], names: list[str]) -> str:
    """A line for each strategy, a column for each mean and one for its deviation."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["strategy", *(f"{name} {kind}" for name in names for kind in ("mean", "std"))])
    for strategy, columns in table.items():
        cells = [
            (repr(float(np.mean(columns[name]))), repr(float(_spread(columns[name]))))
            if name in columns
            else ("", "")
            for name in names
        ]
        writer.writerow([strategy, *(cell for pair in cells for cell in pair)])
    return text.getvalue()


def _panels(results: Results) -> dict[str, dict[str, plots.Series]]:
    """For each task the accuracy on it along the sequence, by strategy."""
    first = next(iter(results.values()))[0]
    panels: dict[str, dict[str, plots.Series]] = {}
    for strategy, runs in results.items():
        matrices = np.array([result["accuracy"] for result in runs], np.float64)  # None is nan
        spread = _spread(matrices)
        for i, task in enumerate(first["tasks"]):
            if first["accuracy"][-1][i] is None:
                continue  # it has no classes
            panels.setdefault(task, {})[strategy] = matrices.mean(0)[:, i], spread[:, i]
    return panels
