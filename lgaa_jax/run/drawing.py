"""The pictures of a run: after each task, grids of every task learned by then."""

from pathlib import Path

import numpy as np

from lgaa_jax.evaluation import grids
from lgaa_jax.run.experiment import Experiment
from lgaa_jax.run.session import Session
from lgaa_jax.training.state import TrainState
from lgaa_jax.workdir import pictures
from lgaa_jax.workdir.scalars import ScalarLog

GRID_ROWS = 8


def picture_folder(session: Session, task: int) -> Path:
    """Where the pictures after `task` are."""
    stem = pictures.stems(session.experiment.names)[task]
    return session.workdir / "images" / f"{task}_after_{stem}"


def picture_paths(session: Session, task: int) -> dict[tuple[int, str], Path]:
    """The picture of each task known after `task` and each kind."""
    experiment, folder = session.experiment, picture_folder(session, task)
    stems = pictures.stems(experiment.names)
    return {
        (index, kind): folder / f"{stems[index]}_{kind}.png"
        for index in experiment.learned(task)
        for kind in grid_kinds(experiment)
    }


def draw_missing(session: Session, state: TrainState, task: int, log: ScalarLog | None) -> None:
    """Draws those pictures of the state at the end of `task` that are not there."""
    paths = picture_paths(session, task)
    for index in session.experiment.learned(task):
        own = {kind: path for (i, kind), path in paths.items() if i == index}
        if all(path.exists() for path in own.values()):
            continue
        for kind, picture in task_grids(session.experiment, state, index).items():
            pictures.save_png(own[kind], picture)
            if log is not None:
                log.image(int(state.step), f"{session.experiment.names[index]}/{kind}", picture)


def grid_kinds(experiment: Experiment) -> tuple[str, ...]:
    """The kinds of pictures that `task_grids` makes."""
    autoencodes = experiment.strategy.autoencodes
    return ("real", "generated", "reconstructed") if autoencodes else ("real", "generated")


def task_grids(experiment: Experiment, state: TrainState, index: int) -> dict[str, np.ndarray]:
    """Pictures of one task: real, generated and, where there is an autoencoder, reconstructed."""
    task = experiment.tasks[index]
    real, reconstructed = grids.reconstruction_grids(
        experiment.nets, state, experiment.class_mask, task, GRID_ROWS
    )
    generated = grids.generated_grid(
        experiment.nets, state, experiment.eval_key, experiment.class_mask, index, GRID_ROWS
    )
    images = {"real": real, "generated": generated}
    images |= {"reconstructed": reconstructed} if experiment.strategy.autoencodes else {}
    names = [task.class_names[label] for label in task.classes]
    return {kind: pictures.grid(cells, names) for kind, cells in images.items()}
