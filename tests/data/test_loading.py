import itertools
import os
import sys
import types
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import default
from lgaa_jax import prepare
from lgaa_jax.data import loading, notation, order, reading, tfds_sets
from lgaa_jax.data.decoding import BrokenImageError
from lgaa_jax.data.images import Form, fit, to_uint8, to_unit
from lgaa_jax.data.task_notes import task_notes
from lgaa_jax.errors import UserError

PREPARED = Path(os.environ.get("LGAA_TEST_DATA", ""))  # a TFDS folder of real sets
COMMAND = r"pip install 'lgaa-jax\[prepare\]' && python -m lgaa_jax.prepare "

pytestmark = pytest.mark.usefixtures("no_network")


def _config(tasks, labels="all", seed=0, **settings):
    c = default.get_config()
    c.tasks, c.labels, c.seed = tasks, labels, seed
    c.data.update({"size": 16, "data_dir": str(settings.pop("data_dir", ""))} | settings)
    return c


# Images


def _fit(image, size, channels):
    return fit(Image.fromarray(image), size, channels)


def test_nearly_large_enough_images_are_padded_with_zeros():
    rng = np.random.default_rng(0)
    image = rng.integers(1, 256, (28, 28), np.uint8)
    np.testing.assert_array_equal(_fit(image, 32, 1)[..., 0], np.pad(image, 2))
    np.testing.assert_array_equal(_fit(image, 31, 1)[..., 0], np.pad(image, (1, 2)))
    np.testing.assert_array_equal(_fit(image, 28, 1)[..., 0], image)


def _triangle(n, size):
    """The [size, n] matrix of an antialiased bilinear resize."""
    scale = n / size
    centre = (np.arange(size) + 0.5) * scale
    distance = np.abs(np.arange(n) + 0.5 - centre[:, None]) / max(scale, 1)
    weights = np.clip(1 - distance, 0, None)
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize(("n", "size"), [(28, 16), (8, 16), (8, 32), (105, 32), (32, 16)])
def test_other_images_are_resized_with_a_triangle(n, size):
    image = np.random.default_rng(0).integers(0, 256, (n, n), np.uint8)
    expected = _triangle(n, size) @ image @ _triangle(n, size).T
    np.testing.assert_allclose(_fit(image, size, 1)[..., 0], expected, atol=1.1)  # rounded twice


def test_the_middle_square_is_taken_before_anything_else():
    wide = np.random.default_rng(0).integers(0, 256, (28, 40), np.uint8)
    square = wide[:, 6:34]
    for size in (16, 28, 32):
        np.testing.assert_array_equal(_fit(wide, size, 1), _fit(square, size, 1))
        np.testing.assert_array_equal(_fit(wide.T, size, 1), _fit(square.T, size, 1))


def test_channels():
    colour = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    grey = _fit(colour, 16, 1)
    luma = colour @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey[..., 0], luma, atol=0.51)
    np.testing.assert_array_equal(_fit(colour, 16, 3), colour)
    np.testing.assert_array_equal(_fit(grey[..., 0], 16, 3), np.repeat(grey, 3, axis=-1))


@pytest.mark.parametrize("xp", [np, jnp])
def test_to_unit_and_back(xp):
    levels = xp.arange(256, dtype=xp.uint8)
    x = to_unit(levels)
    assert x.dtype == xp.float32
    assert x.min() == -1
    assert x.max() == 1
    back = to_uint8(x)
    assert back.dtype == xp.uint8
    np.testing.assert_array_equal(back, levels)
    np.testing.assert_array_equal(to_uint8(xp.array([-1.5, 1.5])), [0, 255])


# Tasks


def test_load_embedded_tasks():
    digits, letters = loading.load(_config("digits,letters[0,2-3]", size=16, channels=3))
    assert digits.train.images.shape == (1297, 16, 16, 3)
    assert digits.train.images.dtype == np.uint8
    assert digits.classes == tuple(range(10))
    assert digits.num_classes == 10
    assert letters.name == "letters[0,2-3]"
    assert letters.train.images.shape == (576, 16, 16, 3)
    assert len(letters.test.labels) == 180
    assert letters.classes == (0, 2, 3)
    assert letters.num_classes == 10
    assert letters.train.labels.dtype == np.int32
    assert set(letters.test.labels.tolist()) == {0, 2, 3}


def test_tasks_with_one_source_split_its_examples():
    whole, low, high = loading.load(_config("digits,digits[0-4],digits[5-9]"))
    keep = whole.train.labels < 5
    np.testing.assert_array_equal(low.train.images, whole.train.images[keep])
    np.testing.assert_array_equal(high.train.labels, whole.train.labels[~keep])


def test_a_fraction_of_the_labels_is_kept_per_class():
    full = loading.load(_config("digits"))[0]
    part = loading.load(_config("digits", labels="0.1"))[0]
    kept = part.train.labels >= 0
    np.testing.assert_array_equal(part.train.labels[kept], full.train.labels[kept])
    counts = np.bincount(full.train.labels)
    np.testing.assert_array_equal(np.bincount(part.train.labels[kept]), np.round(counts * 0.1))
    np.testing.assert_array_equal(part.test.labels, full.test.labels)
    np.testing.assert_array_equal(part.train.truth, full.train.labels)
    assert part.classes == full.classes
    assert part.num_classes == 10


def test_which_labels_are_kept_depends_on_seed_and_task_only():
    def kept(tasks, seed):
        return loading.load(_config(tasks, labels=".2", seed=seed))[-1].train.labels

    np.testing.assert_array_equal(kept("digits", 3), kept("letters,digits", 3))
    assert (kept("digits", 3) != kept("digits", 4)).any()


def test_a_set_that_comes_again_keeps_the_same_labels():
    first, _, again = loading.load(_config("digits,letters,digits", labels="0.1"))
    assert (first.name, again.name, again.base) == ("digits", "digits#2", "digits")
    np.testing.assert_array_equal(first.train.labels, again.train.labels)
    np.testing.assert_array_equal(first.train.images, again.train.images)


def test_at_least_one_label_of_each_class_is_kept():
    (task,) = loading.load(_config("digits", labels="0.001"))
    np.testing.assert_array_equal(np.bincount(task.train.labels + 1)[1:], [1] * 10)


def test_without_labels_there_are_no_classes():
    (task,) = loading.load(_config("digits[0-4]", labels="none"))
    assert task.classes == ()
    assert task.num_classes == 0
    assert (task.train.labels == -1).all()
    assert (task.test.labels == -1).all()
    labelled = loading.load(_config("digits[0-4]"))[0]
    for split, known in ((task.train, labelled.train), (task.test, labelled.test)):
        np.testing.assert_array_equal(split.truth, known.labels)  # for evaluation
    assert len(task.train.images) < 700  # the classes are still chosen by label


@pytest.mark.parametrize("labels", ["some", "0", "1", "0.0", "1.5", "-0.1", ""])
def test_bad_labels_are_refused(labels):
    with pytest.raises(UserError, match=f"labels='{labels}' cannot be used; it must be all, none"):
        loading.load(_config("digits", labels=labels))


def test_bad_image_shapes_are_refused():
    with pytest.raises(UserError, match=r"data\.size=0 "):
        loading.load(_config("digits", size=0))
    with pytest.raises(UserError, match=r"data\.channels=2 "):
        loading.load(_config("digits", channels=2))


# TFDS sets


def test_the_command_names_no_folder_when_none_is_set():
    assert tfds_sets.command("mnist", "").endswith("lgaa_jax.prepare mnist")


def test_load_a_prepared_set_that_is_not_in_the_table(tiny_dir):
    (task,) = loading.load(_config("tiny[1-2]", size=22, channels=3, data_dir=tiny_dir))
    assert task.classes == (1, 2)
    assert task.num_classes == 4
    assert task.train.images.shape == (6, 22, 22, 3)
    assert task.test.images.shape == (2, 22, 22, 3)
    middle = task.train.images[:, 11, 11, 0]
    assert sorted(middle.tolist()) == [11, 22, 41, 52, 71, 82]
    np.testing.assert_array_equal(middle % 10, task.train.labels)
    assert task.train.images[:, 0].max() == 0  # 20x30 was cut to 20x20 and padded
    assert "tensorflow" not in sys.modules


def test_a_class_without_examples_is_refused(tiny_dir):
    with pytest.raises(UserError, match=r"'tiny\[3\]' has no example of class 3"):
        loading.load(_config("tiny[3]", data_dir=tiny_dir))


def _copy(tiny_dir, folder, old, new):
    """Copies the set with one change in its description."""
    target = folder / "tiny" / "1.0.0"
    target.mkdir(parents=True)
    for path in (tiny_dir / "tiny" / "1.0.0").iterdir():
        content = path.read_bytes()
        (target / path.name).write_bytes(
            content.replace(old, new) if path.suffix == ".json" else content
        )
    return str(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            b'"array_record"',
            b'"tfrecord"',
            f"stored as tfrecord.*{COMMAND}tiny --data_dir=NEW_FOLDER",
        ),
        (
            b'"test"',
            b'"validation"',
            "has the splits train, validation; a task needs train and test",
        ),
        (
            b'"image": {\n                "image"',
            b'"photo": {\n                "image"',
            "no 8-bit",
        ),
    ],
)
def test_sets_that_cannot_be_read_are_refused(tiny_dir, tmp_path, old, new, message):
    folder = _copy(tiny_dir, tmp_path, old, new)
    with pytest.raises(UserError, match=message):
        notation.check_tasks("tiny", folder)


SHARD = "tiny-test.array_record-00000-of-00001"


def _rewrite(tiny_dir, folder, name, change):
    """Copies the set with one file changed, or left out where `change` returns None."""
    source, target = tiny_dir / "tiny" / "1.0.0", folder / "tiny" / "1.0.0"
    target.mkdir(parents=True)
    for path in source.iterdir():
        content = change(path.read_bytes()) if path.name == name else path.read_bytes()
        if content is not None:
            (target / path.name).write_bytes(content)
    return str(folder)


def _flipped(content):
    """The file with a part of its records overwritten."""
    start = content.index(b"\x89PNG")
    return (
        content[:start]
        + bytes(b ^ 0x55 for b in content[start : start + 40])
        + content[start + 40 :]
    )


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (SHARD, lambda content: None, f"{SHARD} is missing"),
        (SHARD, lambda content: b"", f"{SHARD} is empty"),
        (SHARD, lambda content: content[:500], f"{SHARD} is damaged: "),
        (SHARD, lambda content: content[: len(content) // 2], f"{SHARD} is damaged: "),
        (SHARD, _flipped, f"{SHARD} is damaged: "),
        ("dataset_info.json", lambda content: content[:200], "dataset_info.json is damaged: "),
        ("dataset_info.json", lambda content: b"", "dataset_info.json is damaged: "),
        ("dataset_info.json", lambda content: b"\xff\xfe", "dataset_info.json is damaged: "),
        ("dataset_info.json", lambda content: b"[]", r"cannot be read \("),
        ("dataset_info.json", lambda content: content.replace(b'"4"', b'"5"'), "in place of 5"),
        ("features.json", lambda content: content[:100], "features.json is damaged: "),
        ("features.json", lambda content: b"{}", r"cannot be read \("),
        ("features.json", lambda content: None, "has no features.json"),
    ],
)
def test_a_damaged_set_is_reported_with_the_file_and_the_command(
    tiny_dir, tmp_path, name, change, message
):
    folder = _rewrite(tiny_dir, tmp_path, name, change)
    with pytest.raises(UserError, match=message) as error:
        loading.load(_config("tiny", data_dir=folder))
    assert "\n" not in str(error.value)
    assert str(tmp_path / "tiny") in str(error.value)
    assert str(error.value).endswith(tfds_sets.command("tiny", folder))


def test_an_image_of_a_set_that_cannot_be_decoded_is_reported(tiny_dir, monkeypatch):
    def refuse(file):
        raise BrokenImageError(TypeError("odd"))

    monkeypatch.setattr(tfds_sets, "opened", refuse)
    with pytest.raises(UserError, match="image 0 of the split train cannot be decoded: TypeError"):
        loading.load(_config("tiny", size=18, data_dir=tiny_dir))


def test_preparing_that_fails_ends_in_one_sentence(tmp_path, monkeypatch, capsys):
    import tensorflow_datasets as tfds

    def fail(self):
        raise OSError("no\nnetwork")

    monkeypatch.setattr(tfds_sets.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    assert prepare.main(["mnist", f"--data_dir={tmp_path}"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: data set 'mnist' could not be prepared in ")
    assert "(no network); mend that" in error


def test_tasks_know_the_names_of_their_classes(tiny_dir):
    digits, letters = loading.load(_config("digits,letters[0,2]"))
    assert digits.class_names == tuple("0123456789")
    assert letters.class_names == tuple("ABCDEFGHIJ")
    (tiny,) = loading.load(_config("tiny", data_dir=tiny_dir))
    assert tiny.class_names == ("0", "1", "2", "3")
    assert digits.notes == letters.notes == tiny.notes == ()
    (unlabelled,) = loading.load(_config("digits", labels="none"))
    assert unlabelled.class_names == ()


def test_a_class_of_a_set_without_test_images_is_named():
    images = np.arange(6, dtype=np.uint8)[:, None, None, None]
    assert task_notes(images, np.array([0, 0, 1, 1, 3, 3]), np.array([0, 0, 3]), "abcd") == [
        "no test image of class b"
    ]
    assert task_notes(images, np.array([0, 0, 1, 1, 3, 3]), np.array([-1]), "abcd") == [
        "no test image of the classes a, b, d"
    ]
    assert task_notes(images, np.full(6, -1), np.full(2, -1), ()) == []
    assert task_notes(images // 2, np.array([0, 0, 1, 1, 2, 3]), np.arange(4), "abcd") == [
        "all training images are identical in the classes a, b"
    ]
    assert task_notes(images * 0, np.full(6, -1), np.full(2, -1), ()) == [
        "all 6 training images are identical"
    ]


def test_prepare_program(tiny_dir, tmp_path, monkeypatch, capsys):
    assert prepare.main(["tiny", f"--data_dir={tiny_dir}"]) == 0
    assert "tiny: prepared in" in capsys.readouterr().out
    assert prepare.main(["no_such_set", f"--data_dir={tmp_path}"]) == 1
    assert "TFDS has no data set 'no_such_set'" in capsys.readouterr().err
    monkeypatch.setattr(tfds_sets.importlib.util, "find_spec", lambda name: None)
    assert prepare.main(["mnist", f"--data_dir={tmp_path}"]) == 1
    assert "preparing 'mnist' needs TensorFlow" in capsys.readouterr().err


@pytest.mark.skipif(
    not (PREPARED / "mnist").is_dir(),
    reason="no prepared MNIST; name a TFDS folder in LGAA_TEST_DATA",
)
def test_real_mnist():
    builder = tfds_sets.find("mnist", str(PREPARED))
    assert tfds_sets.read(builder, "train", str(PREPARED))[0] == 60_000
    count, examples = tfds_sets.read(builder, "test", str(PREPARED))
    assert count == 10_000
    notation.check_tasks("mnist[0-4]", str(PREPARED))
    split = reading._gather(
        "mnist", 200, itertools.islice(examples, 200), True, Form(32, 1, 0, "white")
    )
    assert (np.bincount(split.labels, minlength=10) > 0).all()
    assert split.images[:, :2].max() == 0
    assert split.images[:, 2:30].max() == 255


def test_svhn_gives_the_digit_zero_the_label_zero(tmp_path, monkeypatch):
    """TFDS reads the published file, where that digit has the label 10."""
    from scipy.io import savemat

    path = tmp_path / "test_32x32.mat"
    published = np.array([10, 1, 9, 10], np.uint8)
    savemat(path, {"X": np.zeros((32, 32, 3, 4), np.uint8), "y": published[:, None]})
    builder = tfds_sets.find("svhn_cropped", str(tmp_path))
    gfile = types.SimpleNamespace(GFile=open)  # the one thing there that TensorFlow is used for
    tf = types.SimpleNamespace(io=types.SimpleNamespace(gfile=gfile))
    monkeypatch.setattr(sys.modules[type(builder).__module__], "tf", tf)
    examples = builder._generate_examples("test_", str(path))
    assert [int(example["label"]) for _, example in examples] == [0, 1, 9, 0]


# The order of the data


@pytest.mark.parametrize(("n", "count"), [(12, 4), (10, 3), (7, 16), (5, 5), (64, 63), (1, 3)])
def test_every_example_occurs_once_an_epoch(n, count):
    steps = 3 * n  # 3 * count whole epochs
    stream = np.concatenate([order.stream_indices(n, count, 0, 1, step) for step in range(steps)])
    assert stream.dtype == np.int64
    epochs = np.sort(stream.reshape(-1, n), axis=1)
    np.testing.assert_array_equal(epochs, np.tile(np.arange(n), (len(epochs), 1)))


def test_the_order_is_a_pure_function_of_its_arguments():
    later = order.stream_indices(50, 8, 1, 2, 40)
    order._kept.clear()
    np.testing.assert_array_equal(later, order.stream_indices(50, 8, 1, 2, 40))
    expected = [np.random.default_rng((1, 2, epoch)).permutation(50) for epoch in (6, 7)]
    np.testing.assert_array_equal(later, np.concatenate(expected)[20:28])


def test_of_the_orders_only_some_bytes_are_kept_those_asked_for_last(monkeypatch):
    monkeypatch.setattr(order, "MOST_BYTES", 3 * 50 * 8)
    order._kept.clear()
    for task in (0, 1, 0, 2, 3):
        order.stream_indices(50, 50, 0, task, 0)
    assert [task for _, _, task, _ in order._kept] == [0, 2, 3]
    order.stream_indices(1000, 1, 0, 4, 0)  # more than all by itself
    assert [task for _, _, task, _ in order._kept] == [4]
    monkeypatch.setattr(order, "MOST", 2)
    for task in range(5):
        order.stream_indices(1, 1, 0, task, 0)
    assert [task for _, _, task, _ in order._kept] == [3, 4]


def test_of_one_task_two_epochs_are_kept():
    order._kept.clear()
    for step in range(40):
        order.stream_indices(50, 16, 0, 0, step)
    assert [epoch for *_, epoch in order._kept] == [11, 12]


def test_the_order_differs_between_seeds_tasks_and_epochs():
    arguments = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    orders = [tuple(order.stream_indices(50, 50, *a).tolist()) for a in arguments]
    assert len(set(orders)) == 4
