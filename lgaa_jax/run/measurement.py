"""What is measured after a task, for every task learned so far."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

from lgaa_jax.data.loading import Task
from lgaa_jax.data.order import stream_indices
from lgaa_jax.data.split import Split
from lgaa_jax.evaluation import (
    classifier,
    clustering,
    colour,
    inception,
    risk,
    sample_metrics,
    split_metrics,
)
from lgaa_jax.evaluation.confidence import confident
from lgaa_jax.evaluation.inference import infer_all
from lgaa_jax.files import expand
from lgaa_jax.networks.nets import Params
from lgaa_jax.run.experiment import Experiment
from lgaa_jax.training import hosts
from lgaa_jax.training.sampling import sample_task
from lgaa_jax.training.state import TrainState
from lgaa_jax.workdir.record import RECONSTRUCTION, Measured

# Offsets of the task index in the keys folded from `Experiment.eval_key`: one for each purpose. The
# pictures have none.
GENERATION, RISK = 1 << 20, 1 << 21


def measure(
    experiment: Experiment, state: TrainState, task: int, earlier: Sequence[Params], workdir: Path
) -> Measured:
    """All metrics after `task`, by task name; of a group, names begin with the group's.

    Of the tasks that `Experiment.measured` says. A metric that cannot be computed of a task's data
    is left out. earlier: parameters of the class model at the end of each task before this one, for
    the risk.
    """
    return {
        experiment.names[i]: _measure_one(experiment, state, i, task, earlier, workdir)
        for i in experiment.measured(task)
    }


def _measure_one(
    experiment: Experiment,
    state: TrainState,
    index: int,
    task: int,
    earlier: Sequence[Params],
    workdir: Path,
) -> dict[str, float]:
    """The metrics of the task `index` after `task`."""
    config, domains = experiment.config, experiment.alike(index, task)
    one, chosen = experiment.tasks[index], config.eval.generation
    values: dict[str, float | None] = {}
    values |= split_metrics.evaluate(
        experiment.nets,
        state.evaluated,
        experiment.class_mask,
        domains,
        one.test,
        config.log.eval_batch,
        experiment.layout,
    )
    if not experiment.strategy.autoencodes:
        values = {name: v for name, v in values.items() if name not in RECONSTRUCTION}
    if config.labels == "none":
        values |= _unsupervised(experiment, state, one)
    if chosen == "each" or (chosen == "last" and task == len(experiment.tasks) - 1):
        values |= _named("generation", generation(experiment, state, index, workdir))
    if one.classes:
        values |= _named("risk", _risk(experiment, state, index, task, earlier))
    return {name: value for name, value in values.items() if value is not None}


def _named(group: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{group}/{name}": value for name, value in values.items()}


def some_of(experiment: Experiment, split: Split) -> Split:
    """At most `eval.samples` examples, in memory, the same ones in every call."""
    n = len(split.images)
    chosen = stream_indices(n, min(n, experiment.config.eval.samples), 0, 0, 0)
    return split.take(chosen).held()


def _unsupervised(experiment: Experiment, state: TrainState, task: Task) -> dict[str, float | None]:
    """How well the codes of a task tell its true classes, which training did not have."""
    train, test = (split.take(split.truth >= 0) for split in (task.train, task.test))
    if not len(train.images) or not len(test.images):
        return {}
    train = some_of(experiment, train)
    size, layout = experiment.config.log.eval_batch, experiment.layout
    (z, _, _), (z_test, u, _) = (
        infer_all(experiment.nets, state.evaluated, split.images, size, layout)
        for split in (train, test)
    )
    values: dict[str, float | None] = {}
    if experiment.nets.class_model is not None:
        values["clustering_accuracy"] = clustering.accuracy(u, test.truth)
    if experiment.strategy.autoencodes:
        values["linear_probe"] = clustering.linear_probe(z, train.truth, z_test, test.truth)
    return values


def generation(
    experiment: Experiment, state: TrainState, index: int, workdir: Path
) -> dict[str, float]:
    """Metrics of images sampled of one task, against its test images (docs/theory.md)."""
    config, layout, task = experiment.config, experiment.layout, experiment.tasks[index]
    real, n = some_of(experiment, task.test).read(), config.eval.samples
    key = jax.random.fold_in(experiment.eval_key, GENERATION + index)
    given = key, index, n, experiment.class_mask, config.code_spread, layout
    drawn = functools.partial(sample_task, experiment.nets, state.sampler, *given)
    images, asked = drawn()
    kept = experiment.nets, state, asked, config.eval.confidence, config.log.eval_batch, layout
    images = confident(images, lambda turn: drawn(turn)[0], *kept)
    values: dict[str, float] = {}
    if (task.train.truth >= 0).any() and len(real) > sample_metrics.NEIGHBOURS:
        values = judged(experiment, task, real, images, asked, workdir)
    weights = config.eval.inception_weights
    if weights and len(real) > 1:  # a covariance needs two
        values["fid"] = hosts.shared(lambda: inception.distance(real, images[: len(real)], weights))
    if real.shape[-1] == 3:
        values |= colour.ratio(*map(colour.deviation_of, (images[: len(real)], real)))
    return values | ({"samples": min(len(real), n)} if values else {})


def judged(
    experiment: Experiment,
    task: Task,
    real: np.ndarray,
    images: np.ndarray,
    asked: np.ndarray,
    workdir: Path,
) -> dict[str, float]:
    """What a reference classifier and one trained on the samples say of them.

    The reference knows the true labels, whatever the run knew. Where the run had none, a sample was
    asked for no true class, and what compares the two is left out.
    """
    settings, test = experiment.config.eval, task.test
    steps, layout, named = settings.classifier_steps, experiment.layout, settings.reference_dir
    folder = expand(named) if named else workdir / classifier.FOLDER
    model = classifier.judge_model(task.train)
    make = functools.partial(classifier.reference, task.train, steps, folder)
    judge = classifier.made_once(layout, model, make)
    predicted, features = judge(images)
    features, real_features = features[: len(real)], judge(real)[1][: len(images)]
    precision, recall = sample_metrics.precision_recall(real_features, features)
    classes = np.unique(task.train.truth[task.train.truth >= 0])
    values = {
        "frechet_distance": sample_metrics.frechet_distance(real_features, features),
        "precision": precision,
        "recall": recall,
        "class_balance": sample_metrics.class_balance(predicted, classes),
        "reference_accuracy": judge.accuracy(test.images, test.truth),
    }
    if task.classes:
        make = functools.partial(classifier.train, model, images, asked, steps, seed=1)
        fitted = classifier.made_once(layout, model, make)
        values["fitting_capacity"] = fitted.accuracy(test.images, test.truth)
        values["label_agreement"] = 1.0 - risk.disagreement(predicted, asked)
    return values


def _risk(
    experiment: Experiment, state: TrainState, index: int, task: int, earlier: Sequence[Params]
) -> dict[str, float]:
    """The terms of the risk analysis of the task `index` after `task`; none without replay."""
    if experiment.strategy.memory != "replay":
        return {}
    real = some_of(experiment, experiment.tasks[index].test)
    model = experiment.nets.class_model
    assert model is not None, "a task has classes, and the run has no class model"
    model = model.clone(dtype="float32")  # whatever the run computes in
    layout, members = experiment.layout, (*earlier, state.params["class"])
    family = [classifier.Classifier(model, params, layout) for params in members]
    on_p = np.stack([member(real.images)[0] for member in family])
    if index == task:  # it is learned from real images with true labels, not from replay
        error = risk.disagreement(on_p[-1], real.labels)
        parts = {"source_risk": error, "target_risk": error, "bound": error}
        return parts | {"discrepancy": 0.0, "labelling_error": 0.0}
    key = jax.random.fold_in(experiment.eval_key, RISK + index)
    spec, n = experiment.learner.spec, experiment.config.eval.samples
    # As training samples it, spread included: the terms are of the replay that is learned from.
    drawn = state.replay, key, index, n, spec.class_mask, spec.spread, layout
    images, _ = sample_task(experiment.nets, *drawn)
    on_q = np.stack([member(images)[0] for member in family])
    # The replay in this task is labelled by the class model of the task before.
    return risk.terms(on_p, real.labels, on_q, h=task, g=task - 1)
