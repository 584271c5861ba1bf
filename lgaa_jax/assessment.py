"""What is measured after a task, for every task learned so far."""

import os

import jax
import numpy as np

from lgaa_jax import (
    classifier,
    clustering,
    data,
    evaluation,
    generation,
    inception,
    replay,
    report,
    risk,
)
from lgaa_jax.classifier import Classifier
from lgaa_jax.experiment import Run
from lgaa_jax.results import RECONSTRUCTION, Row
from lgaa_jax.state import TrainState

GRID_ROWS = 8
# Places of the keys of `Run.eval_key`, beside those of the tasks' grids: one for each purpose.
GENERATION, RISK = 1 << 20, 1 << 21


def measure(r: Run, s: TrainState, task: int, earlier: list[dict], workdir: str) -> Row:
    """All metrics after `task`, by task name; the names of those of a group begin with it.

    earlier: parameters of the class model at the end of each task before this one, for the risk.
    """
    chosen = r.config.eval.generation
    draws = chosen == "each" or (chosen == "last" and task == len(r.tasks) - 1)
    row = {}
    for i in r.learned(task):
        domains, size = r.alike(i, task), r.config.log.eval_batch
        values = evaluation.evaluate(r.batch_sums, s, domains, r.tasks[i].test, size)
        if not r.strategy.autoencodes:
            values = {k: v for k, v in values.items() if k not in RECONSTRUCTION}
        values |= _unsupervised(r, s, r.tasks[i]) if r.config.labels == "none" else {}
        values |= _named("generation", _generation(r, s, i, workdir) if draws else {})
        values |= _named("risk", _risk(r, s, i, task, earlier) if r.tasks[i].classes else {})
        row[r.names[i]] = values
    return row


def _named(group: str, values: dict) -> dict:
    return {f"{group}/{name}": value for name, value in values.items()}


def _some(r: Run, split: data.Split) -> data.Split:
    """At most `eval.samples` examples, always the same, without regard to their order."""
    n = len(split.images)
    rows = data.stream_indices(n, min(n, r.config.eval.samples), 0, 0, 0)
    return split.take(rows)


def _unsupervised(r: Run, s: TrainState, task: data.Task) -> dict[str, float]:
    """How well the codes of a task tell its true classes, which training did not have."""
    train, test = (split.take(split.truth >= 0) for split in (task.train, task.test))
    if not len(train.images) or not len(test.images):
        return {}
    train = _some(r, train)
    size = r.config.log.eval_batch
    (z, _), (z_test, u) = (evaluation.inferred(r.nets, s, split, size) for split in (train, test))
    values = {}
    if r.nets.class_model is not None:
        values["clustering_accuracy"] = clustering.accuracy(u, test.truth)
    if r.strategy.autoencodes:
        values["linear_probe"] = clustering.linear_probe(z, train.truth, z_test, test.truth)
    return values


def _generation(r: Run, s: TrainState, index: int, workdir: str) -> dict[str, float]:
    """Metrics of images drawn of one task, against its test images (docs/theory.md)."""
    real, n = _some(r, r.tasks[index].test).images, r.config.eval.samples
    key = jax.random.fold_in(r.eval_key, GENERATION + index)
    images, asked = replay.images(r.nets, s.drawing, key, index, n, r.class_mask)
    values = {}
    if r.tasks[index].classes and len(real) > generation.NEIGHBOURS:
        values = _judged(r, r.tasks[index], real, images, asked, workdir)
    if weights := r.config.eval.inception_weights:
        sets = (inception.features(x[: len(real)], weights) for x in (real, images))
        values["fid"] = generation.frechet_distance(*sets)
    return values | ({"samples": min(len(real), n)} if values else {})


def _judged(r: Run, task: data.Task, real, images, asked, workdir: str) -> dict[str, float]:
    """What a reference classifier and one trained on the drawn images say of them."""
    settings, model = r.config.eval, r.nets.class_model
    steps = settings.classifier_steps
    folder = settings.reference_dir or os.path.join(workdir, "reference")
    judge = classifier.reference(model, task.train, steps, folder)
    fitted = classifier.train(model, images, asked, steps, seed=1)
    predicted, features = judge(images)
    features, real_features = features[: len(real)], judge(real)[1][: len(images)]
    precision, recall = generation.precision_recall(real_features, features)
    return {
        "frechet_distance": generation.frechet_distance(real_features, features),
        "precision": precision,
        "recall": recall,
        "fitting_capacity": fitted.accuracy(task.test.images, task.test.labels),
        "label_agreement": 1.0 - risk.disagreement(predicted, asked),
        "class_balance": generation.class_balance(predicted, task.classes),
        "reference_accuracy": judge.accuracy(task.test.images, task.test.labels),
    }


def _risk(r: Run, s: TrainState, index: int, task: int, earlier: list[dict]) -> dict[str, float]:
    """The terms of the risk analysis for one task after another; none without generated replay."""
    if r.strategy.memory != "replay":
        return {}
    real = _some(r, r.tasks[index].test)
    family = [Classifier(r.nets.class_model, p) for p in (*earlier, s.params["class"])]
    on_p = np.stack([member(real.images)[0] for member in family])
    if index == task:  # what the task itself is learned from is real and truly labelled
        error = risk.disagreement(on_p[-1], real.labels)
        parts = {"source_risk": error, "target_risk": error, "bound": error}
        return parts | {"discrepancy": 0.0, "labelling_error": 0.0}
    key = jax.random.fold_in(r.eval_key, RISK + index)
    n = r.config.eval.samples
    images, _ = replay.images(r.nets, s.replay, key, index, n, r.class_mask)
    on_q = np.stack([member(images)[0] for member in family])
    # The class model that labelled the replay of this task is the one of the task before.
    return risk.terms(on_p, real.labels, on_q, h=task, g=task - 1)


def grids(r: Run, s: TrainState, index: int) -> dict[str, np.ndarray]:
    """Pictures of one task: real, generated and, where there is an autoencoder, reconstructed."""
    task = r.tasks[index]
    real, reconstructed = evaluation.reconstruction_grids(r.nets, s, r.class_mask, task, GRID_ROWS)
    generated = evaluation.generated_grid(r.nets, s, r.eval_key, r.class_mask, index, GRID_ROWS)
    pictures = {"real": real, "generated": generated}
    pictures |= {"reconstructed": reconstructed} if r.strategy.autoencodes else {}
    return {kind: report.grid(images) for kind, images in pictures.items()}
