"""What can be done with the codes of a run: `--mode=explore`, its numbers."""

from typing import Any

import ml_collections
import numpy as np

from lgaa_jax.data.split import Split
from lgaa_jax.errors import UserError
from lgaa_jax.evaluation import clustering
from lgaa_jax.explore import codes, factors, novelty
from lgaa_jax.files import PathLike, write_json
from lgaa_jax.model.loading import load
from lgaa_jax.run.finishing import EXPLORED, RESULTS
from lgaa_jax.run.illustrating import ROWS, Explored, draw, draw_traversal, some
from lgaa_jax.run.reading import require_checkpoints
from lgaa_jax.run.reporting import report_run
from lgaa_jax.run.session import Session, at_work, open_session
from lgaa_jax.training.settings import fixed_settings, keep_compiled
from lgaa_jax.training.strategies import STRATEGIES
from lgaa_jax.workdir import pictures, results
from lgaa_jax.workdir.picture_files import EXPLORE_FOLDER, FOLDER

PROBED = 2000  # most images of a task for the numbers
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
    with at_work(open_session(config, workdir)) as session:
        return _explore(session)


def _explore(session: Session) -> dict[str, Any]:
    model = load(session.workdir)
    tasks = session.experiment.tasks[: len(model.learned)]
    images = [some(task.test, PROBED) for task in tasks]
    folder = session.workdir / FOLDER / EXPLORE_FOLDER
    explored = Explored(model, tasks, images, folder)
    draw(explored)
    found = {"step": model.card["step"], "images": [len(split.images) for split in images]}
    found |= _traversals(explored) | _neighbours(explored)
    found |= {"linear_probe": _probe(explored), "task_detection": _detection(explored)}
    found |= _along_the_sequence(session, explored)
    write_json(session.workdir / EXPLORED, found)
    measured = results.read(session.workdir)
    if measured is not None and measured["steps"] == found["step"]:
        write_json(session.workdir / RESULTS, measured | {"explore": found})
        report_run(session.workdir, session.console.say)
    session.console.say(f"explored    {folder}")
    return found


def _traversals(explored: Explored) -> dict[str, Any]:
    """Which dimensions of z are drawn, by task, and how much each of them changes images."""
    effects = {
        task.name: draw_traversal(explored, index) for index, task in enumerate(explored.tasks)
    }
    return {
        "traversal": {name: list(effect) for name, effect in effects.items()},
        "traversal_effect": {name: list(effect.values()) for name, effect in effects.items()},
    }


def _neighbours(explored: Explored) -> dict[str, dict[str, float]]:
    """Draws images with their nearest by z; the shares of these of the same task and class."""
    images, tasks = explored.images, explored.tasks
    z = np.concatenate([explored.model.encode(split.images) for split in images])
    everything = np.concatenate([split.images for split in images])
    of_task = np.repeat(np.arange(len(tasks)), [len(split.images) for split in images])
    truth = np.concatenate([split.truth for split in images])
    near = codes.nearest(z, z, NEIGHBOURS + 1)[:, 1:]
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
        explored.save(index, "neighbours", pictures.grid(grid))
    return shares


def _probe(explored: Explored) -> dict[str, float]:
    """Accuracy of a linear probe of z, fitted to training images with their true classes."""
    found: dict[str, float] = {}
    for task, split in zip(explored.tasks, explored.images, strict=True):
        train = some(task.train, PROBED)
        if (train.truth >= 0).all() and (split.truth >= 0).all():
            z, z_test = (explored.model.encode(part.images) for part in (train, split))
            value = clustering.linear_probe(z, train.truth, z_test, split.truth)
            found |= {task.name: value} if value is not None else {}
    return found


def _detection(explored: Explored) -> dict[str, dict[str, float]]:
    """Which shares of each task's images are taken for each task."""
    found = {}
    for task, split in zip(explored.tasks, explored.images, strict=True):
        taken = np.array(explored.model.task_of(split.images))
        found[task.name] = {name: float((taken == name).mean()) for name in explored.model.tasks}
    return found


def _along_the_sequence(session: Session, explored: Explored) -> dict[str, list[dict[str, Any]]]:
    """At each task's end: how the next task is told as new, and how known factors are held.

    Where all tasks are learned at once, the last end is the only one.
    """
    tasks, images, last = explored.tasks, explored.images, len(explored.tasks) - 1
    new, held = [], []
    for end in [last] if session.experiment.strategy.memory == "data" else range(last + 1):
        after, model = {"after_task": tasks[end].name}, explored.model
        if end < last:
            model = load(session.workdir, session.experiment.ends[end])
            known = np.concatenate([split.images for split in images[: end + 1]])
            values = novelty.detection(model, known, images[end + 1].read())
            new.append({**after, "unseen": tasks[end + 1].name, **values})
        for task in tasks[: end + 1]:
            if task.factor_names:
                train = some(task.train, PROBED)
                values = factors.held(model, task.factor_names, _known(train), _known(task.test))
                held.append({**after, "task": task.name, **values})
    return {"novelty": new} | ({"disentanglement": held} if held else {})


def _known(split: Split) -> factors.Known:
    """Images and their factors."""
    assert split.factors is not None, "a task has names of factors, and its images have none"
    return split.read(), split.factors
