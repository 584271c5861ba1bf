import hashlib

import numpy as np
import pytest

from lgaa_jax.data import embedded


@pytest.fixture(scope="module")
def letters():
    return embedded.letters()


def _hash(splits):
    return hashlib.sha256(b"".join(array.tobytes() for split in splits for array in split)).digest()


def test_digits_are_all_of_scikit_learns_images_each_once():
    from sklearn.datasets import load_digits

    (train, train_labels), (test, test_labels) = embedded.digits()
    assert train.shape == (1297, 8, 8)
    assert test.shape == (500, 8, 8)
    assert train.dtype == np.uint8
    assert train_labels.dtype == np.int32
    levels = np.round(np.concatenate([train, test]) / (255 / 16))
    ours = np.column_stack([levels.reshape(1797, 64), np.concatenate([train_labels, test_labels])])
    raw = load_digits()
    theirs = np.column_stack([raw.data, raw.target])
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_digits_have_every_class_in_both_splits():
    for _, labels in embedded.digits():
        assert np.bincount(labels).min() >= 35
        assert len(np.bincount(labels)) == 10


def test_digits_are_the_same_on_every_call():
    assert _hash(embedded.digits()) == _hash(embedded.digits())


def test_letters_have_equally_many_of_each_class(letters):
    for (images, labels), n in zip(letters, (1920, 600), strict=True):
        assert images.shape == (n, 32, 32)
        assert images.dtype == np.uint8
        assert labels.dtype == np.int32
        np.testing.assert_array_equal(np.bincount(labels), [n // 10] * 10)


def test_letters_are_the_same_on_every_call(letters):
    assert _hash(letters) == _hash(embedded.letters())


def test_letters_stay_in_the_frame_and_are_bright_enough_to_read(letters):
    for images, _ in letters:
        frame = np.ones((32, 32), bool)
        frame[1:-1, 1:-1] = False
        assert images[:, frame].max() == 0
        assert images.max((1, 2)).min() >= 128
        assert np.count_nonzero(images > 64, axis=(1, 2)).min() >= 16


def test_no_drawing_occurs_twice(letters):
    drawings = np.concatenate([images for images, _ in letters])
    assert len(np.unique(drawings.reshape(len(drawings), -1), axis=0)) == len(drawings)


def test_no_font_is_in_both_train_and_test():
    fonts = embedded.TRAIN_FONTS + embedded.TEST_FONTS
    assert len(set(fonts)) == len(fonts) == 22


def test_unseen_fonts_are_recognised_by_a_plain_classifier(letters):
    from sklearn.svm import SVC

    (train, train_labels), (test, test_labels) = letters
    halves = [
        x.reshape(-1, 16, 2, 16, 2).mean((2, 4)).reshape(-1, 256) / 255 for x in (train, test)
    ]
    assert SVC(C=10).fit(halves[0], train_labels).score(halves[1], test_labels) >= 0.95
