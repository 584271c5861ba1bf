"""The classifiers that judge images: what they learn, that they repeat, and their cache."""

import dataclasses

import numpy as np
import pytest
from conftest import assert_equal

from lgaa_jax.data.split import Split
from lgaa_jax.evaluation import classifier
from lgaa_jax.networks.modules import ClassModel

RNG = np.random.default_rng(0)


def bars(n):
    """A bright bar at one of three heights, on noise; its place is the class."""
    labels = RNG.integers(0, 3, n).astype(np.int32)
    images = RNG.integers(0, 60, (n, 16, 16, 1), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[5 * label : 5 * label + 3] = 255
    return Split(images, labels, labels)


@pytest.fixture(scope="module")
def train_set():
    return bars(200)


@pytest.fixture(scope="module")
def trained(train_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    return classifier.reference(train_set, 30, folder), folder


def test_it_learns_and_its_features_are_one_row_per_image(trained):
    test = bars(301)  # not a multiple of the batch
    assert trained[0].accuracy(test.images, test.labels) > 0.95
    predicted, features = trained[0](test.images)
    assert (predicted.shape, features.shape) == ((301,), (301, 512))
    assert (features >= 0).all()  # of a ReLU
    first, _ = trained[0](test.images[:3])
    np.testing.assert_array_equal(first, predicted[:3])


def test_rows_without_a_label_are_not_learned_from(trained, train_set):
    images = np.concatenate([train_set.images, bars(50).images])
    labels = np.concatenate([train_set.labels, np.full(50, -1, np.int32)])
    again = classifier.train(trained[0].model, images, labels, 30, seed=0)
    assert_equal(again.params, trained[0].params)


def test_it_is_trained_once_for_its_data_and_steps(trained, train_set, monkeypatch):
    reference, folder = trained
    monkeypatch.setattr(classifier, "train", lambda *args, **kwargs: pytest.fail("trained again"))
    again = classifier.reference(train_set, 30, folder)
    assert_equal(again.params, reference.params)
    other = dataclasses.replace(train_set, images=train_set.images[::-1])
    for arguments in ((other, 30), (train_set, 31)):
        with pytest.raises(pytest.fail.Exception, match="trained again"):
            classifier.reference(*arguments, folder)


def test_it_learns_the_true_labels_whatever_a_run_may_know(
    trained, train_set, tmp_path, monkeypatch
):
    """Trained anew, and found among those that were trained."""
    hidden = dataclasses.replace(train_set, labels=np.full_like(train_set.labels, -1))
    assert_equal(classifier.reference(hidden, 30, tmp_path).params, trained[0].params)
    monkeypatch.setattr(classifier, "train", lambda *args, **kwargs: pytest.fail("trained again"))
    again = classifier.reference(hidden, 30, trained[1])
    assert_equal(again.params, trained[0].params)


@pytest.mark.parametrize("part", ["LEARNING_RATE", "BATCH", "RECIPE"])
def test_another_recipe_is_another_file(train_set, monkeypatch, part):
    model = ClassModel(3, 8, 0.5)
    before = classifier._name(model, train_set, 30)
    assert classifier._name(model, train_set, 30) == before
    assert classifier._name(model.clone(width=9), train_set, 30) != before
    monkeypatch.setattr(classifier, part, 2 * getattr(classifier, part))
    assert classifier._name(model, train_set, 30) != before


def test_a_damaged_file_is_made_again(trained, train_set, tmp_path):
    whole = next(trained[1].iterdir())
    flipped = bytearray(whole.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    for content in (b"", b"\x00" * 100, whole.read_bytes()[:-100], flipped):
        (tmp_path / whole.name).write_bytes(content)
        again = classifier.reference(train_set, 30, tmp_path)
        assert_equal(again.params, trained[0].params)
        assert (tmp_path / whole.name).read_bytes() == whole.read_bytes()


def test_where_it_cannot_be_kept_it_judges_all_the_same(trained, train_set, tmp_path, caplog):
    (tmp_path / "file").touch()
    again = classifier.reference(train_set, 30, tmp_path / "file")
    assert_equal(again.params, trained[0].params)
    assert "a reference classifier cannot be kept in" in caplog.text
