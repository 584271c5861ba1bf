"""Folders of images: how they are listed, split, decoded, kept, and what is refused."""

import zlib

import numpy as np
import pytest
from PIL import Image

from configs import default
from lgaa_jax.data import folder_images, loading
from lgaa_jax.errors import UserError
from lgaa_jax.run import checks


@pytest.fixture(autouse=True)
def forget():
    """`data` remembers the folders it loaded; here they change."""
    loading._load_folder.cache_clear()


def write(path, value=128, size=(16, 16), mode="L", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path, **options)


def fill(root, names, n=30):
    """`n` images in each folder of `names`, image i of the k-th of the grey level 10 k + i."""
    for k, name in enumerate(names):
        for i in range(n):
            write(root / name / f"{i:03}.png", 10 * k + i)
    return root


def load(root, tmp_path, tasks="folder:{}", **settings):
    c = default.get_config()
    c.tasks = tasks.format(root)
    c.data.update({"cache_dir": str(tmp_path / "cache"), **settings})
    checks.check_config(c)
    return loading.load(c)


def test_folders_are_classes_and_the_checksum_of_a_name_chooses_its_split(tmp_path):
    root = fill(tmp_path / "x", ["cat", "ant/deep", "bee"])
    (task,) = load(root, tmp_path)
    assert (task.classes, task.num_classes) == ((0, 1, 2), 3)
    expected = {True: [], False: []}
    for label, (name, k) in enumerate([("ant/deep", 1), ("bee", 2), ("cat", 0)]):
        for i in range(30):
            test = zlib.crc32(f"{name}/{i:03}.png".encode()) % 10 == 0
            expected[test].append((label, 10 * k + i))
    for split, test in ((task.train, False), (task.test, True)):
        assert split.images.shape[1:] == (16, 16, 1)
        pairs = zip(split.labels.tolist(), split.images[:, 8, 8, 0].tolist(), strict=True)
        assert list(pairs) == expected[test]
    fill(root, ["dog"])
    before, (after,) = task, load(root, tmp_path)
    known = after.test.labels < 3
    np.testing.assert_array_equal(after.test.images[known], before.test.images)


def test_folders_train_and_test_are_the_splits(tmp_path):
    for name, value in (("train/a/1", 1), ("train/b/2", 2), ("test/b/3", 3), ("valid/c/4", 4)):
        write(tmp_path / "x" / f"{name}.png", value)
    (task,) = load(tmp_path / "x", tmp_path)
    assert task.class_names == ("a", "b")
    assert task.train.images[:, 0, 0, 0].tolist() == [1, 2]
    assert task.train.labels.tolist() == [0, 1]
    assert (task.test.images[0, 0, 0, 0], task.test.labels.tolist()) == (3, [1])


def test_without_folders_there_are_no_labels_and_hidden_files_are_no_images(tmp_path):
    root = fill(tmp_path / "x", [""])
    write(root / ".thumbnails/1.png")
    write(root / ".2.png")
    (root / "notes.txt").write_text("none")
    (task,) = load(root, tmp_path)
    assert (task.classes, task.num_classes) == ((), 0)
    assert len(task.train.images) + len(task.test.images) == 30
    assert set(task.train.labels) == {-1}


def test_some_classes_of_a_folder_and_a_crop_for_each_task(tmp_path):
    root = fill(tmp_path / "x", ["a", "b", "c"])
    for k in range(30):  # white around a black middle of 16x16
        image = Image.new("L", (20, 24), 255)
        image.paste(0, (2, 4, 18, 20))
        image.save(root / f"c/{k:03}.png")
    tasks = load(root, tmp_path, "folder:{0}[0-1],folder:{0}[2]", crop="0,16")
    assert [task.classes for task in tasks] == [(0, 1), (2,)]
    assert [task.num_classes for task in tasks] == [3, 3]
    assert not tasks[1].train.images.any()
    (whole,) = load(root, tmp_path, "folder:{}[2]")
    assert whole.train.images.max() == 255


@pytest.mark.parametrize(
    ("name", "mode", "value", "expected"),
    [
        ("grey.png", "L", 200, (200, 200, 200)),
        ("deep.png", "I;16", 200 * 257, (200, 200, 200)),
        ("colour.PNG", "RGB", (10, 20, 30), (10, 20, 30)),
        ("alpha.png", "RGBA", (0, 51, 255, 51), (204, 214, 255)),  # a fifth of it over white
        ("greyalpha.png", "LA", (50, 0), (255, 255, 255)),
        ("black.png", "1", 1, (255, 255, 255)),
        ("photo.jpeg", "RGB", (10, 200, 30), (10, 200, 30)),
        ("print.jpg", "CMYK", (0, 0, 0, 0), (255, 255, 255)),
        ("web.webp", "RGB", (90, 20, 30), (90, 20, 30)),
    ],
)
def test_every_kind_of_image_becomes_rgb(tmp_path, name, mode, value, expected):
    for part in ("train", "test"):
        write(tmp_path / "x" / part / name, value, mode=mode)
    (task,) = load(tmp_path / "x", tmp_path, channels=3)
    np.testing.assert_allclose(task.train.images[0, 5, 5], expected, atol=6)


def test_palettes_and_turned_photographs(tmp_path):
    palette = Image.new("P", (16, 16), 1)
    palette.putpalette([0, 0, 0, 40, 50, 60])
    photo = Image.new("RGB", (16, 16))
    photo.paste((255, 255, 255), (0, 0, 16, 8))  # the upper half; shown turned by 90 degrees
    exif = Image.Exif()
    exif[0x0112] = 6
    for part in ("train", "test"):
        (tmp_path / "x" / part).mkdir(parents=True)
        palette.save(tmp_path / "x" / part / "a.png", transparency=0)  # of another colour
        photo.save(tmp_path / "x" / part / "b.png", exif=exif)
    (task,) = load(tmp_path / "x", tmp_path, channels=3)
    assert task.train.images[0, 0, 0].tolist() == [40, 50, 60]
    assert task.train.images[1, :, :, 0].mean(axis=0).tolist() == [0] * 8 + [255] * 8


def test_images_are_decoded_once_until_a_file_or_the_form_changes(tmp_path, monkeypatch):
    root, decoded, decode = fill(tmp_path / "x", ["a"]), [], folder_images.decode
    monkeypatch.setattr(folder_images, "decode", lambda *a: decoded.append(1) or decode(*a))

    def again(**settings):
        loading._load_folder.cache_clear()
        return load(root, tmp_path, **settings)[0]

    first, second = again(), again()
    np.testing.assert_array_equal(first.train.images, second.train.images)
    np.testing.assert_array_equal(first.test.labels, second.test.labels)
    assert len(decoded) == 1
    again(size=32)
    assert len(decoded) == 2
    write(root / "a/000.png", 99)
    images = np.concatenate([part.images for part in (again().train, again().test)])
    assert len(decoded) == 3
    assert (images == 99).any()


def test_a_cache_that_was_cut_short_is_made_anew(tmp_path):
    root = fill(tmp_path / "x", ["a"])
    (before,) = load(root, tmp_path)
    (kept,) = (tmp_path / "cache").glob("*.npy")
    kept.write_bytes(kept.read_bytes()[:1000])
    loading._load_folder.cache_clear()
    (after,) = load(root, tmp_path)
    np.testing.assert_array_equal(before.train.images, after.train.images)


def test_where_nothing_can_be_kept_a_run_goes_on(tmp_path, caplog):
    (tmp_path / "cache").write_text("a file where the folder should be")
    (task,) = load(fill(tmp_path / "x", ["a"]), tmp_path)
    assert len(task.train.images) + len(task.test.images) == 30
    (record,) = caplog.records
    assert "name another data.cache_dir" in record.getMessage()


def test_broken_images_are_named_and_left_out_on_request(tmp_path, monkeypatch):
    root = fill(tmp_path / "x", ["a", "b"])
    write(root / "a/photo.jpg", size=(64, 64))
    whole = (root / "a/photo.jpg").read_bytes()
    (root / "a/photo.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "b/no.png").write_text("no image")
    with pytest.raises(UserError, match=r"2 of 62 images cannot be used: ") as error:
        load(root, tmp_path)
    for part in ("a/photo.jpg (", "b/no.png (", "data.skip_broken=True"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)
    # What could be decoded was kept.
    monkeypatch.setattr(folder_images, "decode", None)
    (task,) = load(root, tmp_path, skip_broken=True)
    assert len(task.train.images) + len(task.test.images) == 60
    for label in (0, 1):
        greys = task.train.images[task.train.labels == label][:, 0, 0, 0]
        assert (greys // 10 <= 3).all()
        assert greys.min() >= 10 * label
    (note,) = [note for note in task.notes if note.startswith("left out: 2 images")]
    assert "a/photo.jpg (" in note
    assert "b/no.png (" in note


def test_folders_that_cannot_be_used_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "mixed/a/1.png")
    write(tmp_path / "mixed/2.png")
    write(tmp_path / "single/1.png")
    small = fill(tmp_path / "small", ["a"])
    write(small / "a/tiny.png", size=(10, 40))
    for folder, settings, message in (
        ("nowhere", {}, "there is no folder .*nowhere; name one that exists"),
        ("empty", {}, r"empty holds no image \(no file at all\)"),
        ("mixed", {}, r"in folders \(a/1.png\) and beside them \(2.png\)"),
        ("single", {}, "of its 1 image, none is a test image; add images"),
        ("small", {"crop": "16"}, r"1 of 31 .*: a/tiny.png \(10x40 pixels, data.crop asks for 16"),
        ("small", {"crop": "16", "tasks": "folder:{}[3]"}, "its classes are 0 to 0"),
        ("small", {"tasks": "folder:{}[]"}, "cannot read '' in task 'folder:.*; write it like"),
        ("small", {"crop": "16,16"}, "data.crop='16,16' .* one for each of the 1 tasks"),
        ("small", {"crop": "big"}, "data.crop='big'"),
    ):
        with pytest.raises(UserError, match=message):
            load(tmp_path / folder, tmp_path, **settings)


def test_a_crop_larger_than_the_images_of_a_set_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"'digits' has an image of 8x8 pixels, .*; lower"):
        load("", tmp_path, "digits", crop="9")
