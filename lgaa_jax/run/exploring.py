"""What can be done with the codes of a run: figures into images/explore, numbers beside them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from lgaa_jax.data.loading import Split, Task
from lgaa_jax.data.order import stream_indices
from lgaa_jax.errors import UserError
from lgaa_jax.evaluation import clustering
from lgaa_jax.explore import codes, novelty, paths
from lgaa_jax.files import PathLike, write_json
from lgaa_jax.model.loading import load
from lgaa_jax.model.model import Model
from lgaa_jax.run.finishing import EXPLORED, RESULTS
from lgaa_jax.run.reporting import report_run
from lgaa_jax.run.session import Session, open_session, require_checkpoints
from lgaa_jax.training.settings import fixed_settings, keep_compiled
from lgaa_jax.training.strategies import STRATEGIES
from lgaa_jax.workdir import pictures, plots, results
from lgaa_jax.workdir.picture_files import EXPLORE_FOLDER, FOLDER, short_names, stems

ROWS = 8  # of a grid
PROBED, SHOWN = 2000, 300  # most images of a task for the numbers, and in the scatter of codes
NEIGHBOURS = 8


@fixed_settings()
def explore(config: ml_collections.ConfigDict, workdir: PathLike) -> dict[str, Any]:
    """Explores the last checkpoint of a run; returns what results.json then holds as `explore`."""
    keep_compiled()
    if not STRATEGIES[config.strategy].autoencodes:
        raise UserError(
            f"strategy={config.strategy!r} trains no encoder, so there are no codes to explore."
        )
    require_checkpoints(workdir)
    session = open_session(config, workdir)
    model = load(workdir)
    folder = session.workdir / FOLDER / EXPLORE_FOLDER
    tasks = session.experiment.tasks[: len(model.learned)]
    images = [some(task.test, PROBED) for task in tasks]
    _draw(model, tasks, images, folder)
    found: dict[str, Any] = {"step": model.card["step"], "images": [len(i.images) for i in images]}
    found["traversal"] = _traverse(model, tasks, images, folder)
    found |= _neighbours(model, tasks, images, folder)
    found["linear_probe"] = _probe(model, tasks, images)
    found["novelty"] = _novelty(session, images)
    write_json(session.workdir / EXPLORED, found)
    measured = results.read(session.workdir)
    if measured is not None and measured["steps"] == found["step"]:
        write_json(session.workdir / RESULTS, measured | {"explore": found})
        report_run(session.workdir, session.console.say)
    session.console.say(f"explored    {folder}")
    return found


def some(split: Split, most: int) -> Split:
    """At most so many examples, the same ones in every call."""
    return split.take(stream_indices(len(split.images), min(len(split.images), most), 0, 0, 0))


def _file(folder: Path, tasks: Sequence[Task], index: int, kind: str) -> Path:
    return folder / f"{stems([task.name for task in tasks])[index]}_{kind}.png"


def _of_each_class(split: Split, rows: int) -> np.ndarray:
    """Images of as many classes as there are, in turn: [rows, H, W, C], repeated where few."""
    _, place = np.unique(split.truth, return_inverse=True)
    turn = np.zeros(len(place), int)
    for c in range(place.max() + 1):
        turn[place == c] = np.arange((place == c).sum())
    order = np.lexsort((place, turn))
    return split.images[np.resize(order, rows)]


def _draw(model: Model, tasks: Sequence[Task], images: Sequence[Split], folder: Path) -> None:
    """Ways within tasks and between neighbouring ones, translations, and codes in a plane."""
    chosen = [_of_each_class(split, 2 * ROWS) for split in images]
    for index, own in enumerate(chosen):
        pairs = list(zip(own[::2], own[1::2], strict=True))
        grid = paths.interpolations(model, pairs)
        pictures.save_png(_file(folder, tasks, index, "interpolation"), pictures.grid(grid))
        grid = paths.translations(model, own[:ROWS], model.tasks)
        names = ["image", "reconstruction", *short_names(model.tasks)]
        pictures.save_png(
            _file(folder, tasks, index, "translation"), pictures.grid(grid, names, cell=64)
        )
    for index in range(1, len(tasks)):
        pairs = list(zip(chosen[index - 1][:ROWS], chosen[index][:ROWS], strict=True))
        blocks = [[paths.interpolations(model, pairs, codes=kind) for kind in ("all", "z")]]
        names = [f"{short_names(model.tasks)[index - 1]} to {short_names(model.tasks)[index]}"]
        figure = pictures.table(blocks, names, ["z, u and d move", "z alone moves"])
        pictures.save_png(_file(folder, tasks, index, "from_the_task_before"), figure)
    z = np.concatenate([model.encode(some(split, SHOWN).images) for split in images])
    names = short_names([task.name for task in tasks])
    of_task, of_class = [], []
    for task, name, split in zip(tasks, names, images, strict=True):
        shown = some(split, SHOWN)
        of_task += [name] * len(shown.images)
        known = task.class_names or [str(u) for u in range(shown.truth.max() + 1)]
        of_class += [f"{name} {known[u]}" if u >= 0 else name for u in shown.truth]
    plots.scatter(
        folder / "codes.png",
        {method: codes.plane(z, method) for method in ("PCA", "t-SNE")},
        {"task": of_task, "class": of_class},
    )


def _traverse(
    model: Model, tasks: Sequence[Task], images: Sequence[Split], folder: Path
) -> dict[str, list[int]]:
    """Draws the strongest dimensions of z for each task; returns which they are."""
    found = {}
    for index, (task, split) in enumerate(zip(tasks, images, strict=True)):
        grid, found[task.name] = paths.traversals(model, _of_each_class(split, 10), ROWS)
        pictures.save_png(_file(folder, tasks, index, "traversal"), pictures.grid(grid))
    return found


def _neighbours(
    model: Model, tasks: Sequence[Task], images: Sequence[Split], folder: Path
) -> dict[str, dict[str, float]]:
    """Draws images with their nearest by z; the shares of these of the same task and class."""
    z = [model.encode(split.images) for split in images]
    everything = np.concatenate([split.images for split in images])
    of_task = np.repeat(np.arange(len(tasks)), [len(split.images) for split in images])
    truth = np.concatenate([split.truth for split in images])
    near = codes.nearest(np.concatenate(z), np.concatenate(z), NEIGHBOURS + 1)[:, 1:]
    shares: dict[str, dict[str, float]] = {
        "neighbours_of_the_task": {},
        "neighbours_of_the_class": {},
    }
    for index, task in enumerate(tasks):
        own = np.flatnonzero(of_task == index)
        same = of_task[near[own]] == index
        shares["neighbours_of_the_task"][task.name] = float(same.mean())
        if (truth[own] >= 0).all():
            alike = same & (truth[near[own]] == truth[own][:, None])
            shares["neighbours_of_the_class"][task.name] = float(alike.mean())
        queries = own[:ROWS]
        grid = everything[np.concatenate([queries[:, None], near[queries]], axis=1)]
        pictures.save_png(_file(folder, tasks, index, "neighbours"), pictures.grid(grid))
    return shares


def _probe(model: Model, tasks: Sequence[Task], images: Sequence[Split]) -> dict[str, float]:
    """Accuracy of a linear probe of z, fitted to training images with their true classes."""
    found: dict[str, float] = {}
    for task, split in zip(tasks, images, strict=True):
        train = some(task.train, PROBED)
        if (train.truth >= 0).all() and (split.truth >= 0).all():
            z, z_test = model.encode(train.images), model.encode(split.images)
            value = clustering.linear_probe(z, train.truth, z_test, split.truth)
            found |= {task.name: value} if value is not None else {}
    return found


def _novelty(session: Session, images: Sequence[Split]) -> list[dict[str, Any]]:
    """At each task's end but the last: how well the next task, not yet learned, is told as new."""
    experiment = session.experiment
    if experiment.strategy.memory == "data":
        return []
    entries = []
    for task in range(len(images) - 1):
        model = load(session.workdir, experiment.ends[task])
        known = np.concatenate([split.images for split in images[: task + 1]])
        values = novelty.detection(model, known, images[task + 1].images)
        names = experiment.names
        entries.append({"after_task": names[task], "unseen": names[task + 1], **values})
    return entries
