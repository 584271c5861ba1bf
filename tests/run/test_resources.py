"""Disk and memory at their end: one sentence, and a picture is no reason to stop."""

import errno
import types

import jax
import numpy as np
import pytest

from lgaa_jax import files
from lgaa_jax.errors import UserError
from lgaa_jax.run.resources import told
from lgaa_jax.run.session import Session
from lgaa_jax.workdir import pictures, storage
from lgaa_jax.workdir.checkpoint import Checkpoints


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), r"^run: No space left .* the same comm"),
        (OSError(errno.EROFS, "Read-only file system", "run/x"), "^run/x: Read-only file system;"),
        (MemoryError(), "the memory of this machine is full"),
        (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory"), "lower batch_size"),
    ],
)
def test_each_is_told_in_one_sentence(error, says):
    with pytest.raises(UserError, match=says) as told_error, told("run"):
        raise error
    assert "\n" not in str(told_error.value)


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EBADF, "Bad file"), jax.errors.JaxRuntimeError("INTERNAL: x"), KeyError("x")],
)
def test_a_mistake_of_the_program_stays_one(error):
    with pytest.raises(type(error)), told("run"):
        raise error


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_no_other(tmp_path, monkeypatch):
    files.write_bytes(tmp_path / "x", b"old")
    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OSError, match="No space left on device") as error:
        files.write_bytes(tmp_path / "x", b"new")
    assert error.value.filename == str(tmp_path / "x")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_picture_that_cannot_be_written_is_told_and_stops_nothing(tmp_path, monkeypatch):
    said = []
    console = types.SimpleNamespace(say=said.append)
    session = Session(None, tmp_path, None, console, {})
    monkeypatch.setattr(pictures, "write_bytes", full)
    session.draw(tmp_path / "a.png", np.zeros((4, 4, 1), np.uint8))
    assert said == [
        f"{tmp_path / 'a.png'} cannot be written (No space left on device): it is left out"
    ]


def test_a_checkpoint_that_cannot_be_written_ends_in_one_sentence_and_keeps_the_others(
    tmp_path, monkeypatch
):
    state = {"x": jax.numpy.zeros(3)}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state, {})
        checkpoints.wait()
        monkeypatch.setattr(storage.ocp.CheckpointManager, "save", full)
        with pytest.raises(UserError, match=r"checkpoint of step 2 cannot be written .* the same"):
            checkpoints.save(2, state, {})
        monkeypatch.undo()
        checkpoints.save(2, state, {})
        checkpoints.wait()
        assert checkpoints.steps() == [2]
