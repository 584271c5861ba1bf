"""How folders are taken as splits and classes; pure functions of the names."""

import collections
import zlib

import pytest

from lgaa_jax.data.classes import class_names, natural
from lgaa_jax.data.layout import arrange
from lgaa_jax.data.listing import Entry, Listing
from lgaa_jax.errors import UserError


def by_checksum(files):
    """The note on files that were split by the checksums of their paths."""
    tests = sum(test for _, _, test in files)
    return f"no test folder: {tests} of {len(files)} images are for testing"


def listing(*names, empty=()):
    """The listing of a folder with these images and these folders without one."""
    parents = {
        "/".join(name.split("/")[:n]) for name in names for n in range(1, name.count("/") + 1)
    }
    images = [Entry(name, (0, 0)) for name in sorted(names)]
    return Listing(images, sorted({*parents, *empty}), {}, collections.Counter())


def taken(*names, empty=()):
    """(name, label, test) of each file, and the notes."""
    files, notes = arrange(listing(*names, empty=empty), "task 'x'")
    return [(file.entry.name, file.label, file.test) for file in files], notes


@pytest.mark.parametrize(
    ("train", "test"), [("train", "test"), ("Training", "TEST"), ("TRAIN", "testing")]
)
def test_train_and_test_are_the_splits_in_any_case(train, test):
    files, notes = taken(f"{train}/a/1.png", f"{train}/b/2.png", f"{test}/b/x/3.png")
    assert sorted(files) == sorted(
        [
            (f"{train}/a/1.png", "a", False),
            (f"{train}/b/2.png", "b", False),
            (f"{test}/b/x/3.png", "b", True),
        ]
    )
    assert notes == [f"{train}/ and {test}/ are the splits"]


@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
def test_a_validation_folder_serves_as_the_test_set_only_where_there_is_none(val):
    files, notes = taken("train/a/1.png", f"{val}/a/2.png")
    assert {(label, test) for _, label, test in files} == {("a", False), ("a", True)}
    assert notes == [f"train/ and {val}/ are the splits: {val} serves as the test set"]
    files, notes = taken("train/a/1.png", f"{val}/a/2.png", "test/a/3.png", "sheet.png")
    assert sorted(name for name, _, _ in files) == ["test/a/3.png", "train/a/1.png"]
    assert notes == [
        "train/ and test/ are the splits",
        f"left out: 1 image in {val}/",
        "left out: 1 image beside the splits",
    ]


@pytest.mark.parametrize("around", ["train/", "images/", "data/images/", "Test/", "x/train/"])
def test_one_folder_around_everything_is_taken_as_the_folder_itself(around):
    files, notes = taken(*(f"{around}{label}/{i}.png" for label in "ab" for i in range(9)))
    assert {label for _, label, _ in files} == {"a", "b"}
    for label in "ab":
        assert {test for _, other, test in files if other == label} == {True, False}
    assert notes[-2:] == [
        f"all images lie in {around}, which is taken as the folder itself",
        by_checksum(files),
    ]


def test_splits_in_one_folder_around_everything_are_found():
    files, notes = taken("archive/train/a/1.png", "archive/val/a/2.png")
    assert [(label, test) for _, label, test in files] == [("a", False), ("a", True)]
    assert len(notes) == 2


def test_one_folder_of_images_is_a_class_unless_it_is_called_like_a_split():
    assert {label for _, label, _ in taken(*(f"cat/{i}.png" for i in range(4)))[0]} == {"cat"}
    assert {label for _, label, _ in taken(*(f"train/{i}.png" for i in range(4)))[0]} == {None}


def test_one_split_name_beside_other_folders_is_a_class():
    files, notes = taken(*(f"{vehicle}/{i}.png" for vehicle in ("bus", "train") for i in range(4)))
    assert {label for _, label, _ in files} == {"bus", "train"}
    assert notes == ["train/, beside other folders, is taken as a class", by_checksum(files)]


@pytest.mark.parametrize(
    ("names", "empty", "message"),
    [
        (["train/a/1.png", "Training/a/1.png"], [], "has both Training/ and train/; leave one"),
        (["train/1.png", "val/1.png", "valid/1.png"], [], "has both val/ and valid/"),
        (
            ["train/a/1.png", "test/a/1.png", "cat/1.png"],
            [],
            r"the splits test, train beside other folders with images \(cat\)",
        ),
        (["test/a/1.png", "val/a/1.png"], [], "the splits test, val and none for training"),
        (["train/a/1.png"], ["test"], "has no image in test/; fill or remove that folder"),
        (["train/a/1.png", "val/a/1.png"], ["test"], "has no image in test/"),
        (["a/1.png", "2.png"], [], r"in folders \(a/1.png\) and beside them \(2.png\)"),
        (["train/a/1.png", "test/2.png"], [], r"in folders \(train/a/1.png\) and beside them"),
    ],
)
def test_what_is_ambiguous_is_refused(names, empty, message):
    with pytest.raises(UserError, match=f"^task 'x' .*{message}"):
        taken(*names, empty=empty)


def test_an_empty_validation_folder_does_no_harm():
    assert len(taken("train/a/1.png", "test/a/2.png", empty=["val"])[0]) == 2


def test_a_class_in_the_test_split_only_is_left_out():
    files, notes = taken("train/b/1.png", "test/b/2.png", "test/a/3.png", "test/a/4.png")
    assert {label for _, label, _ in files} == {"b"}
    assert notes[1:] == ["left out: 2 images of classes that are in test only: a"]


def test_classes_are_in_natural_order():
    names = ["10", "2", "1", "b2", "B10", "a", "01"]
    assert sorted(names, key=natural) == ["01", "1", "2", "10", "a", "b2", "B10"]
    files, _ = arrange(listing(*(f"{k}/{i}.png" for k in range(12) for i in range(3))), "")
    assert class_names(files) == tuple(map(str, range(12)))


def checksum_says_test(name):
    return zlib.crc32(name.encode()) % 10 == 0


def test_every_class_of_two_images_has_both_a_training_and_a_test_image():
    names = [f"person{k}/{i}.png" for k in range(50) for i in range(2 + k % 3)]
    files, _ = taken(*names)
    for k in range(50):
        tests = [test for _, label, test in files if label == f"person{k}"]
        assert any(tests)
        assert not all(tests)


def test_a_class_of_one_image_trains():
    name = next(name for name in (f"a/{i}.png" for i in range(99)) if checksum_says_test(name))
    files, _ = taken(name, *(f"b/{i}.png" for i in range(5)))
    assert files[0] == (name, "a", False)


def test_an_added_image_moves_at_most_one_other():
    names = [f"a/{i:03}.png" for i in range(60)]
    before = {}
    for n in range(2, 60):
        now = {name: test for name, _, test in taken(*names[:n])[0]}
        assert sum(now[name] != test for name, test in before.items()) <= 1
        chosen = {name for name in names[:n] if checksum_says_test(name)}
        if chosen and len(chosen) < n:  # as the checksum alone says
            assert {name for name, test in now.items() if test} == chosen
        before = now
