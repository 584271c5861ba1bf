"""Several strategies and seeds of one config: runs what is missing, then a table and a report."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections

from lgaa_jax.data.notation import parse_tasks
from lgaa_jax.errors import UserError
from lgaa_jax.evaluation import classifier
from lgaa_jax.files import PathLike
from lgaa_jax.report import comparison_table
from lgaa_jax.run.checks import check_config
from lgaa_jax.run.free_keys import FREE_KEYS
from lgaa_jax.run.interrupts import Terminated
from lgaa_jax.run.processes import run_all
from lgaa_jax.run.reporting import report_comparison
from lgaa_jax.workdir import results, resume
from lgaa_jax.workdir.folder import usable_folder
from lgaa_jax.workdir.metadata import CONFIG

Values = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a comparison. Prints as "lgaa with seed 0"."""

    strategy: str
    seed: int
    folder: Path
    tasks: tuple[str, ...]
    config: ml_collections.ConfigDict = dataclasses.field(compare=False)

    def __str__(self) -> str:
        return f"{self.strategy} with seed {self.seed}"


def run(
    config: ml_collections.ConfigDict,
    workdir: PathLike,
    strategies: Sequence[str],
    seeds: Sequence[int],
    devices: Sequence[str],
    command: Sequence[str],
) -> str:
    """Makes the runs `<workdir>/<strategy>-<seed>` and compares them; returns the table (Markdown).

    A finished run is not run again, an unfinished one goes on, and one that was measured with other
    `eval.*` values is evaluated again. What the runs wrote is checked before it is used.
    command: what starts a run of `config`; devices: numbers of the GPUs or TPU chips, one run at a
    time on each; () for the default device. Raises UserError for a bad or repeated value, a folder
    that holds another run, and runs that failed; KeyboardInterrupt, with a sentence, where the user
    ends it.
    """
    root = usable_folder(workdir)
    runs = _checked_runs(config, root, strategies, seeds)
    reference = config.eval.reference_dir or str(root / classifier.FOLDER)
    try:
        failed = _complete(runs, [*command, f"--config.eval.reference_dir={reference}"], devices)
    except KeyboardInterrupt as error:
        left = [run for run in runs if _lack(run)[0]]
        what = "terminated" if isinstance(error, Terminated) else "interrupted"
        raise type(error)(
            f"{what}: {len(runs) - len(left)} of {len(runs)} runs in {root} are finished, and "
            "the same command goes on from here."
        ) from None
    if failed:
        reasons = ", ".join(f"{run} ({reason})" for run, reason in failed.items())
        raise UserError(
            f"{len(failed)} of {len(runs)} runs failed: {reasons}; what they said stands above, "
            f"all others are finished in {root}, and the same command goes on from here."
        )
    found = {s: [_results(run) for run in runs if run.strategy == s] for s in strategies}
    folders = {s: [run.folder for run in runs if run.strategy == s] for s in strategies}
    report_comparison(root, folders, print)
    return comparison_table.write(root, found)


def _checked_runs(
    config: ml_collections.ConfigDict,
    root: Path,
    strategies: Sequence[str],
    seeds: Sequence[int],
) -> list[Run]:
    """The runs in order; UserError where one cannot be made, before any is."""
    for flag, values in (("strategies", strategies), ("seeds", seeds)):
        if repeated := [value for value in values if values.count(value) > 1]:
            text = ",".join(map(str, values))
            raise UserError(f"--{flag}={text} has {repeated[0]} more than once; name it once.")
    tasks = tuple(spec.name for spec in parse_tasks(config.tasks, config.data.data_dir))
    runs = []
    for strategy in strategies:
        for seed in seeds:
            own = config.copy_and_resolve_references()
            own.strategy, own.seed = strategy, seed
            check_config(own)
            runs.append(Run(strategy, seed, root / f"{strategy}-{seed}", tasks, own))
            resume.check_same_config(runs[-1].folder, own, FREE_KEYS)
    return runs


def _complete(
    runs: Sequence[Run], command: Sequence[str], devices: Sequence[str]
) -> dict[Run, str]:
    """Trains and evaluates what lacks it; returns the runs that are not whole then, and why."""
    failed: dict[Run, str] = {}
    for mode in ("train", "eval"):
        lacks = {run: lack for run in runs if (lack := _lack(run))[0] == mode}
        left = {run: lack for run, (_, lack) in lacks.items() if run not in failed}
        statuses = _start(left, mode, command, devices)
        failed |= {run: f"exit status {status}" for run, status in statuses.items() if status}
    return {run: why for run in runs if (why := failed.get(run) or _lack(run)[1])}


def _start(
    lacks: Mapping[Run, str], mode: str, command: Sequence[str], devices: Sequence[str]
) -> dict[Run, int]:
    """Runs the command in this mode for each run; returns the exit statuses."""
    commands = {
        run: [
            *command,
            f"--mode={mode}",
            f"--workdir={run.folder}",
            f"--config.strategy={run.strategy}",
            f"--config.seed={run.seed}",
        ]
        for run in lacks
    }

    def announce(run: Run) -> None:
        what = run.folder if mode == "train" else f"evaluated again, as {lacks[run]}"
        print(f"{run}: {what}", flush=True)

    return run_all(commands, devices, announce)


def _lack(run: Run) -> tuple[str, str]:
    """The mode that makes a run's results whole, and what they lack; ("", "") where they are whole.

    Raises UserError where the folder holds another run.
    """
    resume.check_same_config(run.folder, run.config, FREE_KEYS)
    if not (run.folder / CONFIG).exists():
        return "train", f"{run.folder / CONFIG} is missing"
    try:
        found = _results(run)
    except UserError as error:
        return "train", str(error)
    _check_results(run, found)
    path = run.folder / "results.json"
    # Results of an early version do not say; to go on with such a run costs its start only.
    if len(found["tasks"]) < len(run.tasks) or not found.get("finished", False):
        return "train", f"{path} is not of all {len(run.tasks)} tasks"
    wanted = results.measured_with(run.config)
    if not isinstance(found.get("eval"), dict):
        return "eval", f"{path} does not say with which eval.* values it was measured"
    differ = _differences(found["eval"], wanted, sorted({*found["eval"], *wanted}))
    if differ:
        return "eval", f"{path} was measured with another eval.{', eval.'.join(differ)}"
    return "", ""


def _check_results(run: Run, found: Values) -> None:
    """Raises UserError where results are of another run; they may be of the first tasks only."""
    tasks = list(run.tasks[: len(found["tasks"])])
    wanted = {"strategy": run.strategy, "seed": run.seed, "tasks": tasks}
    if differ := _differences(found, wanted, wanted):
        raise UserError(
            f"{run.folder / 'results.json'} is of another {', '.join(differ)}: "
            "choose another --workdir or delete that run"
        )


def _differences(there: Values, now: Values, keys: Iterable[str]) -> list[str]:
    def shown(values: Values, key: str) -> str:
        return json.dumps(values[key]) if key in values else "absent"

    return [
        f"{key} (there {shown(there, key)}, now {shown(now, key)})"
        for key in keys
        if shown(there, key) != shown(now, key)
    ]


def _results(run: Run) -> dict[str, Any]:
    """What the run's results.json holds; UserError where it is missing or damaged."""
    path, found = run.folder / "results.json", results.read(run.folder)
    if found is None:
        raise UserError(f"{path} is {'damaged' if path.exists() else 'missing'}")
    return found
