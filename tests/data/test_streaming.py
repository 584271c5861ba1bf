"""Images that stay on disk: the same as in memory, and only those are read that are asked for."""

import pickle

import numpy as np
import pytest
from conftest import small_config
from PIL import Image

from lgaa_jax.data import ahead, decoding, folder_rows, loading, reading, records
from lgaa_jax.data.fingerprint import fingerprint, sample
from lgaa_jax.data.stored import Stored, chunks
from lgaa_jax.data.streaming import most_bytes
from lgaa_jax.errors import UserError

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture(autouse=True)
def forget():
    reading.forget()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of 30 images of noise, one of which cannot be read."""
    root, rng = tmp_path_factory.mktemp("x"), np.random.default_rng(0)
    for name in ("ant", "bee"):
        (root / name).mkdir()
        for i in range(30):
            pixels = rng.integers(0, 256, (16, 20), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i:02}.png")
    (root / "bee/no.png").write_text("no image")
    return root


@pytest.fixture(params=["folder", "tfds"])
def load(request, tmp_path, folder, tiny_dir):
    """Loads a source with 16x16 images, as the keys say."""
    tasks = {"folder": f"folder:{folder}", "tfds": "tiny"}[request.param]
    settings = {"data.cache_dir": str(tmp_path / "cache"), "data.data_dir": str(tiny_dir)}

    def one(classes="", **changes):
        changes = {"data.skip_broken": True, **settings, **changes}
        return loading.load(small_config(tasks=tasks + classes, **changes))[0]

    return one


def decoded(monkeypatch):
    """A list that gets an entry for each image that is decoded one by one."""
    found, opened = [], decoding.opened
    for module in (folder_rows, records):
        monkeypatch.setattr(module, "opened", lambda file: found.append(file) or opened(file))
    return found


@pytest.mark.parametrize("split", ["test", "validation"])
@pytest.mark.parametrize("classes", ["", "[0]"])
def test_what_stays_on_disk_is_what_comes_into_memory(load, split, classes):
    changes = {"eval.split": split, "labels": ".5"}
    on = load(classes, **changes, **{"data.streaming": "on"})
    off = load(classes, **changes, **{"data.streaming": "off"})
    assert (on.streamed, off.streamed) == (True, False)
    assert (on.classes, on.class_names, on.notes) == (off.classes, off.class_names, off.notes)
    for a, b in ((on.train, off.train), (on.test, off.test)):
        assert isinstance(a.images, Stored)
        assert a.images.shape == b.images.shape
        np.testing.assert_array_equal(np.concatenate(list(chunks(a.images))), b.images)
        np.testing.assert_array_equal(a.images[-1], b.images[-1])
        np.testing.assert_array_equal(a.read(), b.read())
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_array_equal(a.truth, b.truth)
    of_on, of_off = fingerprint(on), fingerprint(off)
    assert of_off.pop("images")
    assert of_on == of_off


def test_of_what_was_found_out_once_no_image_is_read_but_those_asked_for(load, monkeypatch):
    before = load(**{"data.streaming": "on"}).train.images
    expected = before[:]
    reading.forget()
    monkeypatch.setattr(folder_rows, "decode", None)
    asked, examples = [], records.Records._examples
    monkeypatch.setattr(
        records.Records, "_examples", lambda self, rows: asked.append(rows) or examples(self, rows)
    )
    images = load(**{"data.streaming": "on"}).train.images
    # No labels; single images, to see whether those of a class are all the same.
    assert {len(rows) for rows in asked} <= {1}
    found = decoded(monkeypatch)
    read, pread = [], folder_rows.os.pread
    monkeypatch.setattr(folder_rows.os, "pread", lambda *a: read.append(a) or pread(*a))
    np.testing.assert_array_equal(images[np.array([5, 2])], expected[[5, 2]])
    np.testing.assert_array_equal(images.take(np.arange(3, 9))[2:4], expected[5:7])
    assert len(found) + len(read) == 4


def test_other_processes_read_them_too(load):
    images = load(**{"data.streaming": "on"}).train.images
    expected = images[3]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(images))[3], expected)


def test_a_folder_in_memory_and_one_on_disk_share_what_is_kept(folder, tmp_path, monkeypatch):
    def load(streaming):
        reading.forget()
        changes = {"data.cache_dir": str(tmp_path), "data.skip_broken": True}
        changes |= {"tasks": f"folder:{folder}", "data.streaming": streaming}
        return loading.load(small_config(**changes))[0].train.read()

    for first, second in (("on", "off"), ("off", "on")):
        expected = load(first)
        with monkeypatch.context() as m:
            m.setattr(decoding, "decode", None)
            m.setattr(folder_rows, "decode", None)
            m.setattr(reading.folder_images, "decode", None)
            np.testing.assert_array_equal(load(second), expected)
        for path in tmp_path.iterdir():
            path.unlink()


def test_a_damaged_image_is_told_when_it_is_read(folder, tmp_path):
    changes = {"data.cache_dir": str(tmp_path), "data.skip_broken": True, "data.streaming": "on"}
    task = loading.load(small_config(tasks=f"folder:{folder}", **changes))[0]
    (path,) = tmp_path.glob("*.npy")
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    task.train.images[0]
    with pytest.raises(UserError, match=r"\.npy is damaged; delete it, and the same command"):
        task.test.images[-1]


def test_where_nothing_can_be_kept_the_files_are_decoded_when_asked_for(
    folder, tmp_path, monkeypatch, caplog
):
    (tmp_path / "cache").write_text("a file where the folder should be")
    changes = {"data.cache_dir": str(tmp_path / "cache"), "data.skip_broken": True}
    changes["tasks"] = f"folder:{folder}"
    on = loading.load(small_config(**changes, **{"data.streaming": "on"}))[0].train.images
    assert "name another data.cache_dir" in caplog.text
    off = loading.load(small_config(**changes, **{"data.streaming": "off"}))[0].train.images
    found = decoded(monkeypatch)
    np.testing.assert_array_equal(on[7:9], off[7:9])
    assert len(found) == 2


def test_auto_counts_what_the_images_of_all_sources_take(folder, tiny_dir):
    changes = {"data.data_dir": str(tiny_dir), "data.skip_broken": True}

    def streamed(tasks, streaming):
        changes["data.streaming"] = streaming
        return {t.streamed for t in loading.load(small_config(tasks=tasks, **changes))}

    size = 14 * 16 * 16 / 1e9  # of tiny, which counts once
    assert streamed("tiny[0],tiny[1-2]", str(size)) == {False}
    assert streamed("tiny[0],tiny[1-2]", str(size * 0.99)) == {True}
    assert streamed(f"tiny,folder:{folder}", str(size)) == {True}
    assert streamed("tiny,digits", "auto") == {False}
    assert most_bytes("auto") == 4e9


@pytest.mark.parametrize("text", ["maybe", "-1", "inf", ""])
def test_another_word_is_refused(text):
    with pytest.raises(
        UserError, match=r"data.streaming=.* must be auto, on, off or the gigabytes"
    ):
        most_bytes(text)


def test_a_sample_is_spread_over_all_images():
    images = np.arange(2500, dtype=np.uint16)
    found = sample(images)
    assert (len(found), found[0], found[-1]) == (1000, 0, 2499)
    assert len(np.unique(found)) == 1000
    np.testing.assert_array_equal(sample(images[:9]), images[:9])


class Squares:
    """Elements that note which of them were computed; the seventh cannot be."""

    def __init__(self, n):
        self.n, self.computed = n, []

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        self.computed.append(index)
        if index == 7:
            raise UserError("no seventh")
        return np.full(3, index**2)


def test_elements_come_in_their_order_and_no_more_than_a_few_ahead():
    elements = Squares(20)
    found = ahead.ahead(elements)
    assert [next(found)[0] for _ in range(4)] == [0, 1, 4, 9]
    found.close()
    assert elements.computed[:4] == [0, 1, 2, 3]
    assert len(elements.computed) <= 4 + ahead.AHEAD
    assert [x[0] for x in ahead.ahead(Squares(3))] == [0, 1, 4]
    with pytest.raises(UserError, match="no seventh"):
        list(ahead.ahead(Squares(9)))


@pytest.mark.slow
def test_processes_compute_the_same_elements():
    pytest.importorskip("grain")
    assert [x[0] for x in ahead.ahead(Squares(7), 2)] == [i**2 for i in range(7)]
    with pytest.raises(Exception, match="no seventh"):
        list(ahead.ahead(Squares(9), 2))


def test_processes_need_grain(monkeypatch):
    monkeypatch.setattr(ahead.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"data.workers=2 needs Grain; run pip install 'lgaa-jax"):
        ahead.check(2)
    ahead.check(0)
