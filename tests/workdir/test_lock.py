"""One process at a time on a workdir, and no lock that outlives its owner."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from lgaa_jax.errors import UserError
from lgaa_jax.workdir import lock as locking
from lgaa_jax.workdir.lock import locked

HOLDER = """
import pathlib, sys, time
from lgaa_jax.workdir.lock import locked
with locked(pathlib.Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


def write(path, old=0.0, **changes):
    """A lock of this process, but for some changes, that was touched so many seconds ago."""
    path.write_text(json.dumps({"token": "other", **locking._myself(), **changes}))
    then = time.time() - old
    os.utime(path, (then, then))


def test_a_lock_is_held_once_and_given_back(tmp_path, path):
    with locked(tmp_path / "new") as lock:
        lock.require()
        with (
            pytest.raises(UserError, match=rf"in use by process {os.getpid()} on .*: wait until"),
            locked(tmp_path / "new"),
        ):
            pass
        assert (tmp_path / "new/lock").exists()
    assert not [*(tmp_path / "new").iterdir()]
    with locked(tmp_path / "new"):
        pass


def test_where_the_disk_is_full_no_empty_lock_is_left(tmp_path, path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as m:
        m.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"), locked(tmp_path):
            pass
    assert not path.exists()
    with locked(tmp_path):
        pass


def test_a_killed_process_holds_no_lock_and_a_living_one_does(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(UserError, match=f"in use by process {holder.pid} on"), locked(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet asked how
        with locked(tmp_path):
            pass
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("old", "changes", "dead"),
    [
        (0, {}, False),
        (1000, {}, False),  # asleep, but this machine knows that it is there
        (0, {"born": "1"}, True),  # another process with its number
        (0, {"pid": 2**22 + 1}, True),  # above any number that there is
        (0, {"host": "elsewhere", "pid": 2**22 + 1}, False),
        (1000, {"host": "elsewhere"}, True),
        (0, {"boot": "before"}, False),  # or another machine of the same name
        (1000, {"boot": "before"}, True),
        (0, {"processes": "pid:[1]"}, False),
        (1000, {"processes": "pid:[1]"}, True),
    ],
)
def test_an_owner_is_dead_by_its_number_here_and_by_its_silence_elsewhere(
    tmp_path, path, old, changes, dead
):
    write(path, old, **changes)
    try:
        with locked(tmp_path):
            pass
        assert dead
    except UserError:
        assert not dead
    assert path.exists() != dead


@pytest.mark.parametrize("content", ["", "{", "[]", '{"token": "x"}'])
def test_a_lock_that_says_nothing_is_waited_for_and_then_dead(tmp_path, path, content):
    path.write_text(content)
    with pytest.raises(UserError, match="is in use by"), locked(tmp_path):
        pass
    os.utime(path, (0, 0))
    with locked(tmp_path):
        pass


def test_of_two_that_find_an_owner_dead_one_gets_the_lock(tmp_path, path):
    """The slower one stands before the removal while the faster one has made its own."""
    write(path, born="1")
    (tmp_path / "lock.dead").mkdir()  # of the faster one
    with pytest.raises(UserError, match="is in use by"), locked(tmp_path):
        pass
    os.utime(tmp_path / "lock.dead", (0, 0))  # it was killed there
    with locked(tmp_path):
        pass
    assert not [*tmp_path.iterdir()]


def test_one_that_stood_still_until_another_took_over_writes_no_more(tmp_path, path, monkeypatch):
    monkeypatch.setattr(locking, "BEAT", 0.01)
    with locked(tmp_path) as lock:
        before = path.stat().st_mtime_ns
        time.sleep(0.1)
        assert path.stat().st_mtime_ns > before
        lock.require()
        write(path)
        time.sleep(0.1)
        with pytest.raises(UserError, match="another process has gone on with the run in"):
            lock.require()
    assert path.exists()  # the other's


def test_no_two_of_many_hold_it_at_once(tmp_path):
    loop = """
import pathlib, sys
from lgaa_jax.errors import UserError
from lgaa_jax.workdir.lock import locked
root, got = pathlib.Path(sys.argv[1]), 0
while got < 20:
    try:
        with locked(root):
            (root / "inside").mkdir()  # fails where another is inside
            (root / "inside").rmdir()
            got += 1
    except UserError:
        pass
"""
    command = [sys.executable, "-c", loop, str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
