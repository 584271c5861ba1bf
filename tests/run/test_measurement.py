"""What is measured after a task, on generators whose quality is known."""

import dataclasses
import types

import jax
import numpy as np
import pytest
from conftest import small_config

from lgaa_jax.data import loading
from lgaa_jax.evaluation import (
    classifier,
)
from lgaa_jax.networks.modules import ClassModel
from lgaa_jax.run import measurement


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
def r(digits):
    """As much of a run as the metrics of generated images look at."""
    changes = {"eval.samples": 400, "eval.classifier_steps": 150}
    return types.SimpleNamespace(
        config=small_config(**changes),
        tasks=(digits,),
        nets=types.SimpleNamespace(class_model=ClassModel(10, 16, 0.5)),
        eval_key=jax.random.key(0),
        class_mask=np.ones((1, 10), bool),
    )


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("run"))


def measured(r, workdir, monkeypatch, images, labels):
    """The metrics of a generator that draws these images, in this order."""
    monkeypatch.setattr(measurement, "sample_task", lambda *args: (images, labels))
    return measurement._generation(r, types.SimpleNamespace(sampler={}), 0, workdir)


def test_fitting_capacity_of_the_real_data_is_the_accuracy_of_the_reference(r, digits, workdir):
    model, steps, test = r.nets.class_model, 400, digits.test
    judge = classifier.reference(model, digits.train, steps, f"{workdir}/reference")
    fitted = classifier.train(model, digits.train.images, digits.train.labels, steps, seed=1)
    accuracies = [c.accuracy(test.images, test.labels) for c in (judge, fitted)]
    assert min(accuracies) > 0.95
    assert abs(accuracies[0] - accuracies[1]) <= 0.01


def test_a_generator_that_copies_the_data_gets_the_best_figures(r, digits, workdir, monkeypatch):
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(digits.train.images))[:400]
    images, labels = digits.train.images[rows], digits.train.labels[rows]
    copies = measured(r, workdir, monkeypatch, images, labels)
    assert copies["samples"] == 400
    assert copies["label_agreement"] > 0.95
    assert copies["class_balance"] > 0.99
    assert min(copies["precision"], copies["recall"]) > 0.75
    assert copies["fitting_capacity"] > 0.9

    noisy = images // 2 + rng.integers(0, 128, images.shape, np.uint8)
    few = np.resize(np.arange(20), 400)
    worse = {
        "noise": measured(r, workdir, monkeypatch, noisy, labels),
        "collapse": measured(r, workdir, monkeypatch, images[few], labels[few]),
        "wrong classes": measured(r, workdir, monkeypatch, images, (labels + 1) % 10),
    }
    assert worse["noise"]["precision"] < 0.5 * copies["precision"]
    assert worse["noise"]["frechet_distance"] > 2 * copies["frechet_distance"]
    assert worse["collapse"]["recall"] < 0.5 * copies["recall"]
    assert worse["collapse"]["frechet_distance"] > 2 * copies["frechet_distance"]
    assert worse["wrong classes"]["label_agreement"] < 0.05
    assert worse["wrong classes"]["fitting_capacity"] < 0.1
    for figures in worse.values():
        assert figures["reference_accuracy"] == copies["reference_accuracy"]


def test_what_is_chosen_for_a_metric_does_not_depend_on_the_order_of_the_set(r, digits):
    split = digits.test
    some = measurement._some(r, split)
    assert len(some.images) == 400
    assert len(np.unique(some.labels)) == 10
    few = dataclasses.replace(split, images=split.images[:30], labels=split.labels[:30])
    taken = measurement._some(r, few)
    np.testing.assert_array_equal(np.sort(taken.labels), np.sort(few.labels))
