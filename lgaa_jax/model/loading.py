"""A model from the workdir of a run: only the arrays that it needs are read, and no data."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from lgaa_jax.data.images import Form
from lgaa_jax.data.loading import crops
from lgaa_jax.errors import UserError
from lgaa_jax.files import PathLike, expand
from lgaa_jax.model import exporting
from lgaa_jax.model.model import Model
from lgaa_jax.model.tasks import LearnedTask
from lgaa_jax.networks.nets import Nets, build_nets
from lgaa_jax.training.codes import init_codes
from lgaa_jax.training.settings import fixed_settings, keep_compiled
from lgaa_jax.training.state import TrainState
from lgaa_jax.training.strategies import STRATEGIES
from lgaa_jax.workdir.metadata import CONFIG, read_metadata, require_format
from lgaa_jax.workdir.results import read
from lgaa_jax.workdir.resume import ADDED

if TYPE_CHECKING:
    from lgaa_jax.workdir.checkpoint import Checkpoints

CARD = ("accuracy", "average_accuracy", "forgetting", "domain_accuracy", "reconstruction")


@fixed_settings()
def load(workdir: PathLike, step: int | None = None) -> Model:
    """The model of the run in `workdir`, at its last sound checkpoint or that of `step`.

    The checkpoint may be from any device and from a run that has not ended. `workdir` may also be
    what `lgaa_jax.export` wrote. Raises UserError where there is none, or where it cannot be read.
    """
    keep_compiled()
    folder = expand(workdir)
    written = read_written(folder)
    config, tasks = _config(written), _tasks(written)
    num_classes = config.num_classes or max(len(task.class_names) for task in tasks)
    nets = build_nets(config, num_classes, config.max_tasks or len(tasks))
    if "task" in written:  # exported
        if step not in (None, written["step"]):
            raise UserError(f"{folder} holds step {written['step']} alone; leave step={step} out.")
        state, results = exporting.read_state(folder, written), written["results"]
    else:
        # Slow to import, and an export does not need it.
        from lgaa_jax.workdir.checkpoint import Checkpoints

        with Checkpoints(folder) as checkpoints:
            state = checkpoints.at(step, lambda step: _restore(checkpoints, step, nets, config))
        results = _results(folder, int(state.step))
    at_once = STRATEGIES[config.strategy].memory == "data"
    return Model(
        nets=nets,
        state=state,
        class_mask=_class_mask(tasks, nets),
        learned=tasks if at_once else tasks[: int(state.task) + 1],
        form=Form(config.data.size, config.data.channels, 0, config.data.background),
        spread=config.code_spread,
        confidence=config.eval.confidence,
        encodes=STRATEGIES[config.strategy].autoencodes,
        batch_size=config.log.eval_batch,
        card=_card(written, int(state.step), results),
    )


def read_written(folder: Path) -> dict[str, Any]:
    """What config.json of a workdir, or model.json of an export, holds. Raises UserError."""
    exported = (folder / exporting.MODEL).is_file()
    path = folder / (exporting.MODEL if exported else CONFIG)
    if not path.is_file():
        there = f"holds no {path.name}" if folder.is_dir() else "is no folder"
        raise UserError(f"{folder} {there}, so it is not the workdir of a run; name another.")
    try:
        written = exporting.read_model(folder) if exported else read_metadata(folder)
        _config(written)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not the config of a run, or damaged.") from error
    require_format(folder, written)
    if "labels" not in written:
        raise UserError(
            f"the run in {folder} is of an earlier version, which did not write down what labels "
            "its tasks have; give its command once more, which adds that."
        )
    return written


def _config(written: dict[str, Any]) -> ml_collections.ConfigDict:
    """The config of a run, with the keys that earlier versions lack."""
    config = written["config"]
    for key, value in ADDED.items():
        section, _, name = key.rpartition(".")
        (config[section] if section else config).setdefault(name, value)
    return ml_collections.ConfigDict(config)


def _tasks(written: dict[str, Any]) -> tuple[LearnedTask, ...]:
    """The tasks of a run in their order, those after its last checkpoint included."""
    labels, names = written["labels"], written["classes"]
    return tuple(
        LearnedTask(task, tuple(found), tuple(names.get(task, ())), crop)
        for (task, found), crop in zip(
            labels.items(), crops(written["config"]["data"]["crop"], len(labels)), strict=True
        )
    )


def _class_mask(tasks: tuple[LearnedTask, ...], nets: Nets) -> np.ndarray:
    """[N, U] bool: the classes that each task has."""
    mask = np.zeros((nets.num_tasks, nets.num_classes), bool)
    for row, task in zip(mask, tasks, strict=False):
        row[list(task.labels)] = True
    return mask


def _restore(
    checkpoints: "Checkpoints", step: int, nets: Nets, config: ml_collections.ConfigDict
) -> TrainState:
    """What of the state of a step a model needs; the rest of it is empty."""
    params = jax.eval_shape(nets.init, jax.random.key(0))
    wanted: dict[str, Any] = {
        "step": jax.ShapeDtypeStruct((), jnp.int32),
        "task": jax.ShapeDtypeStruct((), jnp.int32),
        "params": {name: tree for name, tree in params.items() if name != "critic"},
    }
    if config.ema_decay:  # then the average is what images are made with
        wanted["ema"] = wanted["params"].pop("generator")
    if config.code_decay and STRATEGIES[config.strategy].autoencodes:
        sizes = nets.num_tasks, nets.num_classes, nets.code_size
        wanted["codes"] = jax.eval_shape(
            lambda: init_codes(*sizes, config.code_rank, config.code_modes)
        )
    found = checkpoints.restore_part(step, wanted)
    return TrainState(**{"ema": {}, "codes": {}, **found}, opt={}, replay={})


def _results(folder: Path, step: int) -> dict[str, Any]:
    """What was measured at this step, where results.json is of it."""
    results = read(folder) or {}
    return {key: results[key] for key in CARD if key in results and results["steps"] == step}


def _card(written: dict[str, Any], step: int, results: dict[str, Any]) -> dict[str, Any]:
    """What the model is and, of a step that was evaluated, what was measured of it."""
    config = written["config"]
    card = {key: config[key] for key in ("strategy", "model", "seed", "labels")}
    card |= {"step": step, "tasks": list(written["labels"]), "config": config}
    card |= {key: written[key] for key in ("versions", "command", "commit") if key in written}
    return card | ({"results": results} if results else {})
