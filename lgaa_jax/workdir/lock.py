"""One process at a time on a workdir: a lock that a dead owner holds from nobody.

Only what every file system does is relied on, network ones included: a file that is made with
O_EXCL is made by one process, and so is a folder. The lock says who owns it. Whether an owner on
this machine lives, the machine knows. One elsewhere, or before a restart of it, is taken for dead
when it has not touched the lock for `STALE` seconds, by the clock of the file system.
"""

import contextlib
import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lgaa_jax.errors import UserError
from lgaa_jax.files import read_json

NAME = "lock"
BEAT, STALE = 20.0, 180.0  # seconds: between two touches, and after which an owner is dead


class Lock:
    """The lock of a workdir that this process owns."""

    def __init__(self, path: Path, token: str):
        self._path, self._token = path, token
        self._ended = threading.Event()
        self._lost = False
        self._beats = threading.Thread(target=self._beat, daemon=True)
        self._beats.start()

    def require(self) -> None:
        """Raises UserError where the lock is not held any more.

        The workdir was removed, or this process stood still and another one took the lock.
        """
        if not self._path.exists():
            raise UserError(f"{self._path.parent} was removed or moved while its run was at work.")
        if self._lost:
            raise UserError(
                f"another process has gone on with the run in {self._path.parent}, as this one "
                "showed no sign of life for minutes; this one ends."
            )

    def release(self) -> None:
        """Gives the lock back."""
        self._ended.set()
        self._beats.join()
        if self._owned():
            self._path.unlink(missing_ok=True)

    def _owned(self) -> bool:
        owner = read_json(self._path)
        return isinstance(owner, dict) and owner.get("token") == self._token

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            with contextlib.suppress(OSError):  # a server that is away for a moment
                os.utime(self._path)
            # Gone or unreadable is not another's: a workdir may be moved, or its server be away.
            owner = read_json(self._path)
            self._lost = isinstance(owner, dict) and owner.get("token") != self._token


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[Lock]:
    """Holds the lock of a workdir, which is made where it is not there.

    Raises UserError where another process holds it.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    lock = _acquired(workdir / NAME)
    try:
        yield lock
    finally:
        lock.release()


def _acquired(path: Path) -> Lock:
    token = secrets.token_hex(8)
    if not _made(path, token):
        _remove_dead(path)
        if not _made(path, token):
            raise UserError(_in_use(path))
    return Lock(path, token)


def _made(path: Path, token: str) -> bool:
    """Makes the lock; whether it is ours."""
    try:
        made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    try:
        with os.fdopen(made, "w") as file:
            print(json.dumps({"token": token, **_myself()}), file=file, flush=True)
            os.fsync(file.fileno())
    except OSError:  # of a full disk: an empty lock would be waited for
        path.unlink(missing_ok=True)
        raise
    return True


def _remove_dead(path: Path) -> None:
    """Removes the lock of a dead owner.

    In a folder's protection: of two processes that find it dead, the slower one would else remove
    the lock that the faster one has made since.
    """
    guard = path.with_name(f"{NAME}.dead")
    if guard.exists() and _age(guard) > STALE:  # of a process that was killed right here
        with contextlib.suppress(OSError):
            guard.rmdir()
    try:
        guard.mkdir()
    except FileExistsError:
        return
    try:
        if _dead(path):
            path.unlink(missing_ok=True)
    finally:
        guard.rmdir()


def _dead(path: Path) -> bool:
    """Whether the owner of a lock is dead, as far as can be known."""
    owner = read_json(path)
    mine = _myself()
    if not isinstance(owner, dict) or not mine.keys() <= owner.keys():
        return path.exists() and _age(path) > STALE  # cut short, or being written right now
    if any(owner[key] != mine[key] for key in ("host", "boot", "processes")):
        return _age(path) > STALE
    return owner["born"] != _born(owner["pid"])


def _age(path: Path) -> float:
    """Seconds since a file was touched, by the clock of its file system."""
    probe = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    probe.touch()
    try:
        return probe.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
    finally:
        probe.unlink()


def _myself() -> dict[str, Any]:
    """What tells this process from all others, on all machines and since each was started.

    processes: the space that its number counts in, which containers have of their own.
    """
    return {
        "host": socket.gethostname(),
        "boot": _read("/proc/sys/kernel/random/boot_id"),
        "processes": str(_inode("/proc/self/ns/pid")),
        "pid": os.getpid(),
        "born": _born(os.getpid()),
    }


def _born(pid: int) -> str | None:
    """When a process of this machine was started, which tells it from one that had its number.

    None: there is none. Where the machine does not say, "".
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # somebody else's
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()  # a name may hold blanks
    if fields and fields[0] in "ZX":  # ended, and its parent has not asked how
        return None
    return fields[19] if len(fields) > 19 else ""


def _inode(path: str) -> int:
    return os.stat(path).st_ino if os.path.exists(path) else 0


def _read(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text().strip()
    return ""


def _in_use(path: Path) -> str:
    owner = read_json(path)
    known = isinstance(owner, dict)
    who = f"process {owner.get('pid')} on {owner.get('host')}" if known else "another process"
    return (
        f"the run in {path.parent} is in use by {who}: wait until that ends, or choose another "
        "--workdir"
    )
