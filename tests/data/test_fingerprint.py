"""By what data are known again."""

import dataclasses

import numpy as np
import pytest
from conftest import small_config

from lgaa_jax.data import loading, reading
from lgaa_jax.data.fingerprint import fingerprint
from lgaa_jax.data.split import Split


@pytest.fixture(scope="module")
def task():
    return loading.load(small_config(tasks="digits"))[0]


def changed(task, column, split):
    """The task with one number changed."""
    found = getattr(task, split)
    array = np.array(getattr(found, column))
    array.flat[7] ^= 1
    return dataclasses.replace(task, **{split: dataclasses.replace(found, **{column: array})})


def test_it_counts_and_stays_the_same_from_load_to_load(task):
    found = fingerprint(task)
    assert (found["training"], found["test"]) == (1297, 500)
    reading.forget()
    assert fingerprint(loading.load(small_config(tasks="digits"))[0]) == found
    # What a run may know of the labels is of its config.
    assert fingerprint(loading.load(small_config(tasks="digits", labels="none"))[0]) == found


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("column", ["images", "truth"])
def test_one_changed_number_changes_it(task, split, column):
    before, after = fingerprint(task), fingerprint(changed(task, column, split))
    expected = {"images", "sample"} if column == "images" else {"labels"}
    assert {name for name in before if before[name] != after[name]} == expected


def test_where_the_splits_meet_is_part_of_it(task):
    train, test = task.train, task.test
    cut = len(train.images) - 1
    moved = Split(
        *(
            np.concatenate([getattr(train, c)[cut:], getattr(test, c)])
            for c in ("images", "labels", "truth")
        )
    )
    other = dataclasses.replace(task, train=train.take(np.arange(cut)), test=moved)
    before = fingerprint(task)
    after = {"training": 1296, "test": 501, "sample": fingerprint(other)["sample"]}
    assert fingerprint(other) == before | after
    assert after["sample"] != before["sample"]
