"""The pictures of a run: grids of every task after each task, and samples along the sequence."""

from pathlib import Path

import numpy as np

from lgaa_jax.evaluation import grids
from lgaa_jax.run.experiment import Experiment
from lgaa_jax.run.session import Session
from lgaa_jax.training.state import TrainState
from lgaa_jax.workdir import pictures
from lgaa_jax.workdir.picture_files import FOLDER, GRID_ROWS, SEQUENCE, grid_path, short_names
from lgaa_jax.workdir.scalars import ScalarLog

BLOCK_ROWS, BLOCK_COLUMNS = 2, 5  # of the samples of one task after one task, along the sequence


def picture_paths(session: Session, task: int) -> dict[tuple[int, str], Path]:
    """The picture of each task that is drawn after `task` and each kind."""
    experiment = session.experiment
    return {
        (index, kind): grid_path(session.workdir, experiment.names, task, index, kind)
        for index in experiment.measured(task)
        for kind in grid_kinds(experiment)
    }


def all_drawn(session: Session, task: int) -> bool:
    """Whether the pictures of the end of `task` are there, and sound."""
    return all(map(pictures.sound_png, picture_paths(session, task).values()))


def draw_missing(session: Session, state: TrainState, task: int, log: ScalarLog | None) -> None:
    """Draws those pictures of the state at the end of `task` that are missing or damaged.

    The log shows all of them: one that goes on from this step has dropped them.
    """
    paths, state = picture_paths(session, task), session.experiment.layout.local(state)
    for index in session.experiment.measured(task):
        own = {kind: path for (i, kind), path in paths.items() if i == index}
        if not all(map(pictures.sound_png, own.values())):
            for kind, picture in task_grids(session.experiment, state, index).items():
                session.draw(own[kind], picture)
        for kind, path in own.items():
            if log is not None and pictures.sound_png(path):
                name = f"{session.experiment.names[index]}/{kind}"
                log.image(int(state.step), name, pictures.read_png(path))


def draw_sequence(session: Session) -> None:
    """Draws samples of each task after each task after which it was drawn: a row per task.

    They are cut from the pictures that were drawn after the tasks, so they need no state, and show
    the same codes and classes all along, but for images that were drawn again (eval.confidence).
    """
    experiment = session.experiment
    tasks, shape = range(len(experiment.tasks)), experiment.nets.image_shape
    columns = [picture_paths(session, after) for after in tasks]

    def block(path: Path | None) -> np.ndarray | None:
        if path is None:
            return None
        return some_cells(pictures.cut(pictures.read_png(path), GRID_ROWS, shape))

    paths = [
        path for column in columns for (_, kind), path in column.items() if kind == "generated"
    ]
    if not all(map(pictures.sound_png, paths)):
        return  # one could not be written, which was told; the same command draws it when it can
    blocks = [[block(paths.get((index, "generated"))) for paths in columns] for index in tasks]
    names = short_names(experiment.names)
    figure = pictures.table(blocks, names, [f"after {name}" for name in names])
    session.draw(session.workdir / FOLDER / SEQUENCE, figure)


def some_cells(cells: np.ndarray) -> np.ndarray:
    """Two rows of at most five columns, spread evenly; of few columns, further rows beside them.

    cells: [rows, columns, ...].
    """
    rows, count = cells.shape[:2]
    chosen = np.linspace(0, count - 1, min(count, BLOCK_COLUMNS)).round().astype(int)
    beside = min(BLOCK_COLUMNS // len(chosen), rows // BLOCK_ROWS)
    starts = range(0, beside * BLOCK_ROWS, BLOCK_ROWS)
    return np.concatenate([cells[i : i + BLOCK_ROWS, chosen] for i in starts], axis=1)


def grid_kinds(experiment: Experiment) -> tuple[str, ...]:
    """The kinds of pictures that `task_grids` makes."""
    autoencodes = experiment.strategy.autoencodes
    return ("real", "generated", "reconstructed") if autoencodes else ("real", "generated")


def task_grids(experiment: Experiment, state: TrainState, index: int) -> dict[str, np.ndarray]:
    """Pictures of one task: real, generated and, where there is an autoencoder, reconstructed."""
    task = experiment.tasks[index]
    nets, mask, size = experiment.nets, experiment.class_mask, experiment.config.log.eval_batch
    real, reconstructed = grids.reconstruction_grids(nets, state, mask, task, GRID_ROWS, size)
    drawn = experiment.config.code_spread, experiment.config.eval.confidence
    key = experiment.eval_key
    generated = grids.generated_grid(nets, state, key, mask, index, GRID_ROWS, size, *drawn)
    images = {"real": real, "generated": generated}
    images |= {"reconstructed": reconstructed} if experiment.strategy.autoencodes else {}
    names = [task.class_names[label] for label in task.classes]
    return {kind: pictures.grid(cells, names) for kind, cells in images.items()}
