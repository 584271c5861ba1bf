"""Whether a run can go on in a folder, and what has changed since it began."""

from pathlib import Path
from typing import Any

from lgaa_jax.data.notation import split_tasks
from lgaa_jax.run.experiment import Experiment
from lgaa_jax.run.free_keys import FREE_KEYS
from lgaa_jax.workdir import resume
from lgaa_jax.workdir.checkpoint import Checkpoints
from lgaa_jax.workdir.metadata import CONFIG, read_metadata, require_format

Written = dict[str, Any]  # what config.json holds


def earlier_changes(
    folder: Path, checkpoints: Checkpoints, experiment: Experiment, written: Written
) -> Written:
    """What config.json has of earlier changes of the run that is in the folder, if there is one.

    Raises UserError where it cannot go on.
    """
    history: list[dict[str, Any]] = []
    if there := _there(folder, checkpoints):
        require_format(folder, there)
        changed = resume.changes(folder, there, written["config"], FREE_KEYS)
        resume.check_same_data(folder, there, written)
        resume.check_classes(folder, experiment.tasks, len(split_tasks(there["config"]["tasks"])))
        history = there.get("changes", [])
        if changed:
            step = max(checkpoints.steps(), default=0)
            history = [*history, {"step": step, "keys": changed}]
    return {"changes": history} if history else {}


def _there(folder: Path, checkpoints: Checkpoints) -> Written | None:
    """What the run in a folder says of itself; None where there is none.

    Where config.json is lost, its newest checkpoint says it. Raises UserError where neither does.
    """
    try:
        return read_metadata(folder)
    except ValueError:
        meta = checkpoints.newest(checkpoints.meta)
        if meta and "identity" in meta:
            return meta["identity"]
        return resume.require_config(folder) if (folder / CONFIG).exists() else None
