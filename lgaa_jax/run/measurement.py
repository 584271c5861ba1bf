"""What is measured after a task, for every task learned so far."""

import os

import jax
import numpy as np

from lgaa_jax.data.loading import Split, Task
from lgaa_jax.data.order import stream_indices
from lgaa_jax.evaluation import (
    classifier,
    clustering,
    grids,
    inception,
    risk,
    sample_metrics,
    split_metrics,
)
from lgaa_jax.evaluation.classifier import Classifier
from lgaa_jax.evaluation.inference import infer_split
from lgaa_jax.networks.nets import Params
from lgaa_jax.run.experiment import Experiment
from lgaa_jax.training.sampling import sample_task
from lgaa_jax.training.state import TrainState
from lgaa_jax.workdir import pictures
from lgaa_jax.workdir.record import RECONSTRUCTION, Measured

GRID_ROWS = 8


# Places of the keys of `Run.eval_key`, beside those of the tasks' grids: one for each purpose.
GENERATION, RISK = 1 << 20, 1 << 21


def measure(
    experiment: Experiment, state: TrainState, task: int, earlier: list[Params], workdir: str
) -> Measured:
    """All metrics after `task`, by task name; the names of those of a group begin with it.

    earlier: parameters of the class model at the end of each task before this one, for the risk.
    """
    chosen = experiment.config.eval.generation
    samples = chosen == "each" or (chosen == "last" and task == len(experiment.tasks) - 1)
    measured = {}
    for i in experiment.learned(task):
        domains, size = experiment.alike(i, task), experiment.config.log.eval_batch
        values = split_metrics.evaluate(
            experiment.batch_sums, state, domains, experiment.tasks[i].test, size
        )
        if not experiment.strategy.autoencodes:
            values = {k: v for k, v in values.items() if k not in RECONSTRUCTION}
        values |= (
            _unsupervised(experiment, state, experiment.tasks[i])
            if experiment.config.labels == "none"
            else {}
        )
        values |= _named(
            "generation", _generation(experiment, state, i, workdir) if samples else {}
        )
        values |= _named(
            "risk",
            _risk(experiment, state, i, task, earlier) if experiment.tasks[i].classes else {},
        )
        measured[experiment.names[i]] = values
    return measured


def _named(group: str, values: dict) -> dict:
    return {f"{group}/{name}": value for name, value in values.items()}


def _some(experiment: Experiment, split: Split) -> Split:
    """At most `eval.samples` examples, always the same, without regard to their order."""
    n = len(split.images)
    return split.take(stream_indices(n, min(n, experiment.config.eval.samples), 0, 0, 0))


def _unsupervised(experiment: Experiment, state: TrainState, task: Task) -> dict[str, float]:
    """How well the codes of a task tell its true classes, which training did not have."""
    train, test = (split.take(split.truth >= 0) for split in (task.train, task.test))
    if not len(train.images) or not len(test.images):
        return {}
    train = _some(experiment, train)
    size = experiment.config.log.eval_batch
    (z, _), (z_test, u) = (
        infer_split(experiment.nets, state, split, size) for split in (train, test)
    )
    values = {}
    if experiment.nets.class_model is not None:
        values["clustering_accuracy"] = clustering.accuracy(u, test.truth)
    if experiment.strategy.autoencodes:
        values["linear_probe"] = clustering.linear_probe(z, train.truth, z_test, test.truth)
    return values


def _generation(
    experiment: Experiment, state: TrainState, index: int, workdir: str
) -> dict[str, float]:
    """Metrics of images sampled of one task, against its test images (docs/theory.md)."""
    real, n = _some(experiment, experiment.tasks[index].test).images, experiment.config.eval.samples
    key = jax.random.fold_in(experiment.eval_key, GENERATION + index)
    images, asked = sample_task(
        experiment.nets, state.sampler, key, index, n, experiment.class_mask
    )
    values = {}
    if experiment.tasks[index].classes and len(real) > sample_metrics.NEIGHBOURS:
        values = _judged(experiment, experiment.tasks[index], real, images, asked, workdir)
    if weights := experiment.config.eval.inception_weights:
        sets = (inception.features(x[: len(real)], weights) for x in (real, images))
        values["fid"] = sample_metrics.frechet_distance(*sets)
    return values | ({"samples": min(len(real), n)} if values else {})


def _judged(
    experiment: Experiment,
    task: Task,
    real: np.ndarray,
    images: np.ndarray,
    asked: np.ndarray,
    workdir: str,
) -> dict[str, float]:
    """What a reference classifier and one trained on the samples say of them."""
    settings, model = experiment.config.eval, experiment.nets.class_model
    steps = settings.classifier_steps
    folder = settings.reference_dir or os.path.join(workdir, "reference")
    judge = classifier.reference(model, task.train, steps, folder)
    fitted = classifier.train(model, images, asked, steps, seed=1)
    predicted, features = judge(images)
    features, real_features = features[: len(real)], judge(real)[1][: len(images)]
    precision, recall = sample_metrics.precision_recall(real_features, features)
    return {
        "frechet_distance": sample_metrics.frechet_distance(real_features, features),
        "precision": precision,
        "recall": recall,
        "fitting_capacity": fitted.accuracy(task.test.images, task.test.labels),
        "label_agreement": 1.0 - risk.disagreement(predicted, asked),
        "class_balance": sample_metrics.class_balance(predicted, task.classes),
        "reference_accuracy": judge.accuracy(task.test.images, task.test.labels),
    }


def _risk(
    experiment: Experiment, state: TrainState, index: int, task: int, earlier: list[Params]
) -> dict[str, float]:
    """The terms of the risk analysis for one task after another; none without generated replay."""
    if experiment.strategy.memory != "replay":
        return {}
    real = _some(experiment, experiment.tasks[index].test)
    family = [Classifier(experiment.nets.class_model, p) for p in (*earlier, state.params["class"])]
    on_p = np.stack([member(real.images)[0] for member in family])
    if index == task:  # what the task itself is learned from is real and truly labelled
        error = risk.disagreement(on_p[-1], real.labels)
        parts = {"source_risk": error, "target_risk": error, "bound": error}
        return parts | {"discrepancy": 0.0, "labelling_error": 0.0}
    key = jax.random.fold_in(experiment.eval_key, RISK + index)
    n = experiment.config.eval.samples
    images, _ = sample_task(experiment.nets, state.replay, key, index, n, experiment.class_mask)
    on_q = np.stack([member(images)[0] for member in family])
    # The class model that labelled the replay of this task is the one of the task before.
    return risk.terms(on_p, real.labels, on_q, h=task, g=task - 1)


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
    return {kind: pictures.grid(cells) for kind, cells in images.items()}
