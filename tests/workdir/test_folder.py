"""A workdir that cannot serve is refused in one sentence, before anything is made."""

import os

import pytest

from lgaa_jax.errors import UserError
from lgaa_jax.workdir import folder


def test_a_folder_that_does_not_exist_yet_is_usable_and_not_made(tmp_path):
    assert folder.usable_folder(tmp_path / "a/b") == tmp_path / "a/b"
    assert not (tmp_path / "a").exists()


def test_the_home_folder_is_written_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder.usable_folder("~/x") == tmp_path / "x"


@pytest.mark.parametrize("name", ["file", "file/below", "dead/below"])
def test_a_file_or_a_dead_link_in_the_path_is_refused(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "dead").symlink_to("gone")
    what = "a dead link" if name.startswith("dead") else "not a folder"
    with pytest.raises(UserError, match=f"is {what}; name another --workdir"):
        folder.usable_folder(tmp_path / name)


def test_a_folder_without_write_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as on a read-only file system
    with pytest.raises(UserError, match="nothing can be written in"):
        folder.usable_folder(tmp_path / "run")


@pytest.mark.parametrize("name", ["digits[0-4]", "a]b", "back\\slash", "digits[0-4]/run"])
def test_a_path_that_orbax_cannot_read_back_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="checkpoints cannot be read back from a folder with"):
        folder.usable_folder(tmp_path / name)


def test_a_link_to_such_a_path_is_refused_as_well(tmp_path):
    (tmp_path / "odd[1]").mkdir()
    (tmp_path / "plain").symlink_to("odd[1]")
    with pytest.raises(UserError, match="checkpoints cannot be read back"):
        folder.usable_folder(tmp_path / "plain")


@pytest.mark.parametrize("name", ["ünïcode", "with space", "star*", "what?", "per%cent", "a'b"])
def test_other_odd_names_are_usable(tmp_path, name):
    assert folder.usable_folder(tmp_path / name) == tmp_path / name
