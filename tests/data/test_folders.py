"""Folders of images: how they are listed, split, decoded, kept, and what is refused."""

import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from configs import default
from lgaa_jax.data import folder_images, listing, loading, reading
from lgaa_jax.errors import UserError
from lgaa_jax.run import checks


@pytest.fixture(autouse=True)
def forget():
    """`data` remembers the folders it loaded; here they change."""
    reading.forget()


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
        reading.forget()
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


def _cut(kept):
    kept.write_bytes(kept.read_bytes()[:1000])


def _flip(kept):
    content = bytearray(kept.read_bytes())
    content[-5] ^= 1  # within an image: no form tells it
    kept.write_bytes(content)


@pytest.mark.parametrize("damage", [_cut, _flip])
@pytest.mark.parametrize("part", ["*.npy", "*.json"])
def test_a_cache_that_is_damaged_is_made_anew(tmp_path, damage, part):
    root = fill(tmp_path / "x", ["a"])
    (before,) = load(root, tmp_path)
    (kept,) = (tmp_path / "cache").glob(part)
    damage(kept)
    reading.forget()
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


def test_what_is_told_of_the_files_is_noted(tmp_path):
    root = fill(tmp_path / "x", ["b", "a2", "a10"])
    deep = Image.fromarray(np.full((16, 16), 4095, np.uint16))
    for name in ("deep/1.png", "deep/2.png", "deep/3.png"):
        (root / "deep").mkdir(exist_ok=True)
        deep.save(root / name)
    frames = [Image.new("L", (16, 16), grey) for grey in (1, 2)]
    frames[0].save(root / "b/moving.gif", save_all=True, append_images=frames[1:])
    (root / "b/notes.txt").write_text("none")
    (task,) = load(root, tmp_path)
    assert task.class_names == ("a2", "a10", "b", "deep")
    assert task.notes == (
        "no test folder: 11 of 94 images are for testing",
        "1 file passed over: 1 .txt",
        "1 image with several frames or pages: the first is taken",
        "3 images of 16-bit grey with no value above 4095 of 65535: they load nearly black; "
        "stretch them to the whole range",
        "all training images are identical in class deep",
    )
    assert load(root, tmp_path)[0].notes == task.notes  # from the cache, too


def test_bright_16_bit_images_are_no_matter(tmp_path):
    for i in range(4):
        image = Image.fromarray(np.full((16, 16), 4096 + i * 9000, np.uint16))
        write(tmp_path / "x/a/0.png")
        image.save(tmp_path / f"x/a/{i}.png")
    (task,) = load(tmp_path / "x", tmp_path)
    assert len(task.notes) == 1


def test_black_drawings_on_transparent_ground_differ_over_white(tmp_path):
    for k, part in enumerate(("train", "test")):
        for i in range(3):
            image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
            image.paste((0, 0, 0, 255), (2, 2, 8 + i, 9 + k))
            (tmp_path / "x" / part / "a").mkdir(parents=True, exist_ok=True)
            image.save(tmp_path / "x" / part / "a" / f"{i}.png")
    (task,) = load(tmp_path / "x", tmp_path)
    assert [(image == 0).sum() for image in task.train.images] == [42, 49, 56]
    assert task.notes == ("train/ and test/ are the splits",)
    (black,) = load(tmp_path / "x", tmp_path, background="black")  # decoded again
    assert not black.train.images.any()
    assert black.notes[1:] == ("all 3 training images are identical",)


def test_a_class_without_test_images_is_named(tmp_path):
    for name in ("train/a/1", "train/b/2", "train/b/3", "test/a/4"):
        write(tmp_path / "x" / f"{name}.png", int(name[-1]))
    (task,) = load(tmp_path / "x", tmp_path)
    assert (task.classes, task.test.labels.tolist()) == ((0, 1), [0])
    assert task.notes[1:] == ("no test image of class b",)
    (part,) = load(tmp_path / "x", tmp_path, "folder:{}[a]")
    assert part.notes[1:] == ()
    with pytest.raises(UserError, match=r"x\[b\]' has no test image; name another class as well"):
        load(tmp_path / "x", tmp_path, "folder:{}[b]")


def test_a_class_whose_training_images_are_all_broken_is_left_out_of_the_test_set(tmp_path):
    for name in ("train/a/1", "train/b/2", "test/a/3", "test/b/4"):
        write(tmp_path / "x" / f"{name}.png", int(name[-1]))
    (tmp_path / "x/train/a/1.png").write_text("none")
    (task,) = load(tmp_path / "x", tmp_path, skip_broken=True)
    assert task.class_names == ("a", "b")
    assert (task.train.labels.tolist(), task.test.labels.tolist()) == ([1], [1])
    assert task.test.images[0, 0, 0, 0] == 4
    assert task.notes[-1] == "left out: 1 image of classes that are in test only: a"
    (tmp_path / "x/train/b/2.png").write_text("none")
    reading.forget()
    with pytest.raises(UserError, match="can be used, 0 are for training and 2 for testing"):
        load(tmp_path / "x", tmp_path, skip_broken=True)


def test_dead_links_and_unreadable_folders_are_broken_images(tmp_path, monkeypatch):
    root, scandir = fill(tmp_path / "x", ["a", "b"]), listing.os.scandir
    (root / "a/zz.png").symlink_to("gone.png")

    def refuse(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    write(root / "locked/1.png")
    monkeypatch.setattr(listing.os, "scandir", refuse)
    with pytest.raises(UserError, match="2 of 62 images cannot be used: ") as error:
        load(root, tmp_path)
    assert "a/zz.png (a link to nothing); locked/ (Permission denied)" in str(error.value)
    (task,) = load(root, tmp_path, skip_broken=True)
    assert len(task.train.images) + len(task.test.images) == 60
    assert task.notes[-1].startswith("left out: 2 images that cannot be used: a/zz.png (")
    with pytest.raises(UserError, match=r"locked cannot be read \(Permission denied\)"):
        load(root / "locked", tmp_path)


def test_a_file_that_cannot_be_opened_is_tried_again_at_the_next_start(tmp_path, monkeypatch):
    root, opening = fill(tmp_path / "x", ["a"]), Image.open

    def refuse(path, **options):
        if Path(path).name == "007.png":
            raise PermissionError(13, "Permission denied", str(path))
        return opening(path, **options)

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(UserError, match=r"a/007.png \(Permission denied\)"):
        load(root, tmp_path)
    monkeypatch.undo()
    reading.forget()
    (task,) = load(root, tmp_path)
    assert len(task.train.images) + len(task.test.images) == 30


def test_names_that_are_no_text_are_loaded_and_printed_by_their_bytes(tmp_path):
    strange = os.fsdecode(b"caf\xe9")
    root = fill(tmp_path / "x", [strange, "a"])
    (root / strange / (strange + ".png")).write_text("none")
    with pytest.raises(UserError, match=r"caf\\xe9/caf\\xe9.png \(no image that Pillow knows\)"):
        load(root, tmp_path)
    (task,) = load(root, tmp_path, skip_broken=True)
    assert task.class_names == ("a", r"caf\xe9")
    tests = [f"{name}/{i:03}.png" for name in ("a", strange) for i in range(30)]
    tests = [name for name in tests if zlib.crc32(os.fsencode(name)) % 10 == 0]
    assert len(task.test.images) == len(tests)
    ("".join(task.notes) + task.class_names[1]).encode()
    (part,) = load(root, tmp_path, f"folder:{{}}[{strange}]", skip_broken=True)
    assert part.classes == (1,)


def test_a_folder_in_quotes_and_classes_by_name(tmp_path):
    root = fill(tmp_path / "a,b[c]", ["cat", "dog", "x,y"])
    tasks = load(root, tmp_path, "folder:'{0}'[dog], folder:\"{0}\"[cat, 'x,y'],folder:'{0}'")
    assert [task.classes for task in tasks] == [(1,), (0, 2), (0, 1, 2)]
    assert tasks[0].class_names == tasks[2].class_names == ("cat", "dog", "x,y")
    assert tasks[1].name == f"folder:'{root}'[cat,'x,y']"


def test_a_bad_background_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"data.background='red' .* white or grey or black"):
        load("", tmp_path, "digits", background="red")
