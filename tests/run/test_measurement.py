"""What is measured after a task, on generators whose quality is known."""

import dataclasses
import types

import jax
import numpy as np
import pytest
from conftest import small_config

from lgaa_jax.data import loading
from lgaa_jax.data.loading import Task
from lgaa_jax.data.split import Split
from lgaa_jax.evaluation import classifier
from lgaa_jax.networks.modules import ClassModel
from lgaa_jax.run import drawing, measurement
from lgaa_jax.run.experiment import Experiment
from lgaa_jax.training.devices import ONE_DEVICE
from lgaa_jax.training.replay import ReplaySpec
from lgaa_jax.training.strategies import STRATEGIES


@pytest.fixture(scope="module", autouse=True)
def optimised():
    """Here it is running that takes the time, not compiling."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="module")
def digits():
    return loading.load(small_config(tasks="digits"))[0]


@pytest.fixture(scope="module")
def experiment(digits):
    """As much of a run as the metrics of generated images look at."""
    changes = {"eval.samples": 400, "eval.classifier_steps": 150}
    return types.SimpleNamespace(
        config=small_config(**changes),
        tasks=(digits,),
        nets=types.SimpleNamespace(class_model=ClassModel(10, 16, 0.5)),
        eval_key=jax.random.key(0),
        layout=ONE_DEVICE,
        class_mask=np.ones((1, 10), bool),
    )


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.mark.parametrize("strategy", ["lgaa", "joint"])
def test_the_tasks_before_are_measured_now_and_then_and_after_the_last(strategy):
    run = types.SimpleNamespace(
        config=small_config(**{"eval.every": 3}), tasks=range(5), strategy=STRATEGIES[strategy]
    )
    run.learned = lambda task: Experiment.learned(run, task)
    of_all = range(5) if strategy == "joint" else range(3)
    expected = [[0], [1], [*of_all], [3], [*range(5)]]
    assert [Experiment.measured(run, task) for task in range(5)] == expected


def measured(experiment, workdir, monkeypatch, images, labels):
    """The metrics of a generator that samples these images, in this order."""
    monkeypatch.setattr(measurement, "sample_task", lambda *args: (images, labels))
    return measurement.generation(experiment, types.SimpleNamespace(sampler={}), 0, workdir)


@pytest.mark.ci
def test_fitting_capacity_of_the_real_data_is_the_accuracy_of_the_reference(
    experiment, digits, workdir
):
    steps, test = 400, digits.test
    judge = classifier.reference(digits.train, steps, f"{workdir}/reference")
    fitted = classifier.train(judge.model, digits.train.images, digits.train.labels, steps, seed=1)
    accuracies = [c.accuracy(test.images, test.labels) for c in (judge, fitted)]
    assert min(accuracies) > 0.95
    assert abs(accuracies[0] - accuracies[1]) <= 0.01


@pytest.mark.ci
def test_a_generator_that_copies_the_data_gets_the_best_figures(
    experiment, digits, workdir, monkeypatch
):
    rng = np.random.default_rng(0)
    some = rng.permutation(len(digits.train.images))[:400]
    images, labels = digits.train.images[some], digits.train.labels[some]
    copies = measured(experiment, workdir, monkeypatch, images, labels)
    assert copies["samples"] == 400
    assert copies["label_agreement"] > 0.95
    assert copies["class_balance"] > 0.99
    assert min(copies["precision"], copies["recall"]) > 0.75
    assert copies["fitting_capacity"] > 0.9

    noisy = images // 2 + rng.integers(0, 128, images.shape, np.uint8)
    few = np.resize(np.arange(20), 400)
    worse = {
        "noise": measured(experiment, workdir, monkeypatch, noisy, labels),
        "collapse": measured(experiment, workdir, monkeypatch, images[few], labels[few]),
        "wrong classes": measured(experiment, workdir, monkeypatch, images, (labels + 1) % 10),
    }
    assert worse["noise"]["precision"] < 0.5 * copies["precision"]
    assert worse["noise"]["frechet_distance"] > 2 * copies["frechet_distance"]
    assert worse["collapse"]["recall"] < 0.5 * copies["recall"]
    assert worse["collapse"]["frechet_distance"] > 2 * copies["frechet_distance"]
    assert worse["wrong classes"]["label_agreement"] < 0.05
    assert worse["wrong classes"]["fitting_capacity"] < 0.1
    for figures in worse.values():
        assert figures["reference_accuracy"] == copies["reference_accuracy"]


def test_the_judge_does_not_depend_on_what_the_run_knew(digits, workdir, monkeypatch):
    """Nor on its networks: the same figures with few labels and another class model."""
    images, labels = digits.train.images[:300], digits.train.labels[:300]
    few = np.where(np.arange(len(digits.train.labels)) % 50, -1, digits.train.labels)
    found = {}
    for name, known, classes, model in (
        ("all", digits.train.labels, digits.classes, ClassModel(10, 16, 0.5)),
        ("few", few, digits.classes, ClassModel(12, 4, 0.0)),
        ("none", np.full_like(few, -1), (), None),
    ):
        train = dataclasses.replace(digits.train, labels=known)
        run = part_of_a_run([dataclasses.replace(digits, train=train, classes=classes)])
        run.nets.class_model = model
        found[name] = measured(run, workdir, monkeypatch, images, labels)
    assert found["all"] == found["few"]
    compares = {"fitting_capacity", "label_agreement"}  # with the true class asked for
    assert found["none"] == {k: v for k, v in found["all"].items() if k not in compares}


def test_what_is_chosen_for_a_metric_does_not_depend_on_the_order_of_the_set(experiment, digits):
    split = digits.test
    some = measurement.some_of(experiment, split)
    assert len(some.images) == 400
    assert len(np.unique(some.labels)) == 10
    few = dataclasses.replace(split, images=split.images[:30], labels=split.labels[:30])
    taken = measurement.some_of(experiment, few)
    np.testing.assert_array_equal(np.sort(taken.labels), np.sort(few.labels))


def part_of_a_run(tasks, labels="all", **changes):
    """As much of a run of these tasks as `measure` looks at."""
    spec = ReplaySpec(np.ones((2, 10), bool), "soft", temperature=2.0, spread=1.5)
    return types.SimpleNamespace(
        config=small_config(labels=labels, **{"eval.generation": "never", **changes}),
        tasks=tasks,
        names=[task.name for task in tasks],
        strategy=types.SimpleNamespace(memory="replay", autoencodes=True),
        nets=types.SimpleNamespace(class_model=ClassModel(10, 4, 0.5)),
        learner=types.SimpleNamespace(spec=spec),
        eval_key=jax.random.key(0),
        class_mask=spec.class_mask,
        layout=ONE_DEVICE,
        learned=lambda task: range(task + 1),
        measured=lambda task: range(task + 1),
        alike=lambda index, task: np.arange(2) == index,
    )


def one_class(n):
    images, ones = np.zeros((n, 16, 16, 1), np.uint8), np.ones(n, np.int32)
    return Split(images, ones - 2, ones)


def test_what_cannot_be_computed_is_absent(monkeypatch):
    """The linear probe of a task of one class, found without labels."""
    split = one_class(6)
    task = Task("ones", split, split, (), 0, "ones")
    means = {"domain_accuracy": 1.0, "mse": 0.0}
    monkeypatch.setattr(measurement.split_metrics, "evaluate", lambda *args: dict(means))
    inferred = np.random.default_rng(0).normal(size=(6, 4)), *np.zeros((2, 6), np.int32)
    monkeypatch.setattr(measurement, "infer_all", lambda *args: inferred)
    state = types.SimpleNamespace(evaluated={})
    measured = measurement.measure(part_of_a_run([task], labels="none"), state, 0, [], "")
    assert measured == {"ones": {"domain_accuracy": 1.0, "mse": 0.0, "clustering_accuracy": 1.0}}


def test_fewer_test_images_than_a_metric_needs_leave_it_out(digits, monkeypatch):
    """One image has neither precision nor an FID."""
    task = dataclasses.replace(digits, test=digits.test.take(np.arange(1)))
    images = np.zeros((50, 16, 16, 1), np.uint8)
    monkeypatch.setattr(measurement, "sample_task", lambda *args: (images, np.zeros(50, np.int32)))
    run = part_of_a_run([task], **{"eval.inception_weights": "weights.pth"})
    assert measurement.generation(run, types.SimpleNamespace(sampler={}), 0, "") == {}


@pytest.mark.parametrize(("channels", "expected"), [(1, {}), (3, {"chroma": 0.5, "samples": 20})])
def test_samples_in_colour_are_compared_with_the_colour_of_the_test_images(
    monkeypatch, channels, expected
):
    """Of a task without classes, of which nothing else is measured."""
    real = 100 + np.random.default_rng(0).integers(0, 50, (20, 4, 4, channels), np.uint8) * 2
    split = Split(real, np.full(20, -1, np.int32), np.full(20, -1, np.int32))
    task = Task("plain", split, split, (), 0, "plain")
    halved = np.concatenate([50 + real // 2] * 3)[:50]
    monkeypatch.setattr(measurement, "sample_task", lambda *args: (halved, np.zeros(50, np.int32)))
    run = part_of_a_run([task])
    measured = measurement.generation(run, types.SimpleNamespace(sampler={}), 0, "")
    assert measured == pytest.approx(expected)


def test_the_replay_that_the_risk_judges_is_spread_as_that_of_training(digits, monkeypatch):
    asked = []

    def sample_task(nets, source, key, task, n, class_mask, spread, layout):
        asked.append((source, task, class_mask, spread))
        return np.ones((n, 16, 16, 1), np.uint8), None

    def always_one(model, params, layout):
        return lambda images: (np.ones(len(images), np.int32), None)

    monkeypatch.setattr(measurement, "sample_task", sample_task)
    monkeypatch.setattr(measurement.classifier, "Classifier", always_one)
    run = part_of_a_run([digits, digits])
    state = types.SimpleNamespace(replay={"generator": 1}, params={"class": {}})
    measurement._risk(run, state, 0, 1, [{}])
    assert asked == [({"generator": 1}, 0, run.learner.spec.class_mask, 1.5)]


def test_samples_are_spread_and_kept_as_the_config_has_it(digits, monkeypatch):
    """Those that are measured and those that are shown."""
    asked = []

    def confident(images, again, nets, state, u, least, size, layout):
        asked.append(least)
        return again(1)

    def sample_task(nets, source, key, task, n, class_mask, spread, layout, turn=0):
        asked.append((spread, turn))
        return np.zeros((n, 16, 16, 1), np.uint8), np.zeros(n, np.int32)

    def generated_grid(nets, state, key, class_mask, index, rows, size, spread, confidence):
        asked.append((spread, confidence))
        return np.zeros((rows, 10, 16, 16, 1), np.uint8)

    monkeypatch.setattr(measurement, "sample_task", sample_task)
    monkeypatch.setattr(measurement, "confident", confident)
    monkeypatch.setattr(drawing.grids, "generated_grid", generated_grid)
    nothing = np.zeros((2, 5, 10, 16, 16, 1), np.uint8)
    monkeypatch.setattr(drawing.grids, "reconstruction_grids", lambda *args: nothing)
    one = dataclasses.replace(digits, test=digits.test.take(np.arange(1)))
    run = part_of_a_run([one], code_spread=1.3, **{"replay.spread": 1.7, "eval.confidence": 0.4})
    measurement.generation(run, types.SimpleNamespace(sampler={}), 0, "")
    drawing.task_grids(run, None, 0)
    assert asked == [(1.3, 0), 0.4, (1.3, 1), (1.3, 0.4)]
