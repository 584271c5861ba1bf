"""What is found below a folder; the files here are empty, as none is opened."""

import os
from pathlib import Path

import pytest

from lgaa_jax.data import listing
from lgaa_jax.data.listing import Entry, printable, walk


def touch(root, *names):
    for name in names:
        path = Path(os.fsdecode(os.fsencode(root)), name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def names(root):
    return [entry.name for entry in walk(root).images]


def test_images_are_found_at_any_depth_by_their_suffix_in_any_case(tmp_path):
    suffixes = ["png", "JPG", "jfif", "bmp", "TIF", "gif", "ppm", "webp", "psd", "mpo"]
    files = [f"a/b/{suffix}.{suffix}" for suffix in suffixes]
    touch(tmp_path, *files, ".hidden/1.png", "a/.2.png", "a/3.txt", "a/4.TXT", "5.pdf", "a/README")
    found = walk(tmp_path)
    assert [entry.name for entry in found.images] == sorted(files)
    assert found.passed == {".txt": 2, ".pdf": 1, "without a suffix": 1}
    assert found.notes() == ["4 files passed over: 2 .txt, 1 .pdf, 1 without a suffix"]
    assert sorted(found.folders) == ["a", "a/b"]


def test_where_nothing_is_passed_over_there_is_no_note(tmp_path):
    assert walk(touch(tmp_path, "a.png")).notes() == []


def test_files_that_run_another_program_are_no_images(tmp_path):
    assert names(touch(tmp_path, "a.eps", "b.ps", "c.wmf", "d.h5", "e.mpg")) == []


def test_a_folder_is_entered_once_and_never_by_a_link_upwards(tmp_path):
    root = touch(tmp_path / "x", "a/1.png", "b/2.png")
    touch(tmp_path, "beside.png")
    (root / "a/up").symlink_to("..")
    (root / "a/self").symlink_to(".")
    (root / "0").symlink_to("b")
    (root / "c").symlink_to(tmp_path)  # above the root
    found = walk(root)
    assert [entry.name for entry in found.images] == ["a/1.png", "b/2.png"]
    assert found.passed == {"link to a folder that is listed already": 4}


def test_links_to_folders_and_files_elsewhere_are_followed(tmp_path):
    touch(tmp_path / "store", "deep/1.png", "2.png")
    root = touch(tmp_path / "x", "a/0.png")
    (root / "b").symlink_to(tmp_path / "store")
    (root / "a/link.png").symlink_to(tmp_path / "store/2.png")
    assert names(root) == ["a/0.png", "a/link.png", "b/2.png", "b/deep/1.png"]


def test_dead_links_and_pipes_are_images_with_a_problem(tmp_path):
    touch(tmp_path, "a/1.png")
    (tmp_path / "a/2.png").symlink_to("gone.png")
    (tmp_path / "a/3.png").symlink_to("3.png")  # to itself
    (tmp_path / "a/dead").symlink_to("gone")
    os.mkfifo(tmp_path / "a/4.png")
    found = walk(tmp_path)
    assert {entry.name: entry.problem for entry in found.images} == {
        "a/1.png": "",
        "a/2.png": "a link to nothing",
        "a/3.png": "Too many levels of symbolic links",
        "a/4.png": "not a regular file",
    }
    assert found.passed == {"dead link": 1}


def test_unreadable_folders_are_listed_as_such(tmp_path, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    touch(tmp_path, "a/1.png", "b/2.png")
    monkeypatch.setattr(listing.os, "scandir", refuse)
    found = walk(tmp_path)
    assert [entry.name for entry in found.images] == ["a/1.png"]
    assert found.unreadable == {"b/": "Permission denied"}
    with pytest.raises(PermissionError):
        walk(tmp_path / "b")


def test_names_that_are_no_text_are_found_and_can_be_printed(tmp_path):
    name = os.fsdecode(b"caf\xe9\n.png")
    (tmp_path / name).touch()
    (entry,) = walk(tmp_path).images
    assert entry == Entry(name, (0, (tmp_path / name).stat().st_mtime_ns))
    assert printable(entry.name) == r"caf\xe9\n.png"
    assert printable("été 字.png") == "été 字.png"
