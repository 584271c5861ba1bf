"""SIGINT (Ctrl-C) and SIGTERM (a scheduler's word before it takes the machine) that are not lost.

Python lets a signal raise between any two instructions, also where what is raised is dropped, as in
a callback of the garbage collector; a run would then go on. And it lets none raise while a library
computes, as XLA does for seconds when it compiles.
"""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn, Protocol

# Exit statuses. 130 is that of a shell's own commands after Ctrl-C. 75 is EX_TEMPFAIL, "try again
# later": 143 would not tell a run that was saved from one that SIGTERM killed before it could be.
INTERRUPTED, TERMINATED = 130, 75
STARTED_BY = "LGAA_STARTED_BY"  # environment variable: the process that a run is to end with
_PATIENCE = 2.0  # seconds that a signal may wait for a library, where there is nothing to save
_training = threading.Event()  # set while there may be something to save
_ending = threading.Event()  # set when a signal came
_heeded = [0.0]  # when a handler ran last, by the monotonic clock
_others: list["Others"] = []  # at most one

Stop = type[KeyboardInterrupt]
Handler = Callable[[int, FrameType | None], Any] | int | None


class Terminated(KeyboardInterrupt):
    """SIGTERM; what is done for Ctrl-C is done for it as well."""


class Others(Protocol):
    """The other processes of a run."""

    def signalled(self, number: int) -> None:
        """Tells them that a signal came to this one."""

    def leave(self, status: int, text: str) -> NoReturn:
        """Ends all of them, one of which says the text."""


def share(others: Others) -> None:
    """Has other processes stop where this one is told to, and end with it."""
    _others.append(others)


def ending() -> bool:
    """Whether a signal came, or this process is to end for one that came to another."""
    return _ending.is_set()


def end() -> None:
    """Has this process take a signal for the second one: another process has had the first."""
    _ending.set()


@contextlib.contextmanager
def deferred() -> Iterator[Callable[[], Stop | None]]:
    """Within it, neither signal raises: the function that is given returns what is to be raised.

    A second SIGINT does raise; a second SIGTERM, or one after a SIGINT, changes nothing, so that
    whoever tells a group of processes need not know who was told already. The function returns
    `Terminated`, too, when the process that started this one for a comparison is gone. Nothing
    changes outside of the main thread, nor for a signal that is not handled as Python or `heed` do.
    """
    came: list[Stop] = []

    def note(number: int, frame: FrameType | None) -> None:
        _noted(number)
        if came and number == signal.SIGINT:
            raise KeyboardInterrupt
        came.append(Terminated if number == signal.SIGTERM else KeyboardInterrupt)

    before = _usual() if threading.current_thread() is threading.main_thread() else {}
    _training.set()
    try:
        for number in before:
            signal.signal(number, note)
        yield lambda: came[0] if came else Terminated if _orphaned() else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _training.clear()


def _usual() -> dict[signal.Signals, Handler]:
    """The handlers of the two signals, of each that is handled as Python or `heed` do."""
    usual: dict[signal.Signals, Handler] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }
    found = {number: signal.getsignal(number) for number in usual}
    return {n: handler for n, handler in found.items() if handler in (usual[n], raise_at_once)}


def _orphaned() -> bool:
    started_by = os.environ.get(STARTED_BY)
    return started_by is not None and int(started_by) != os.getppid()


def _noted(number: int) -> None:
    _heeded[0] = time.monotonic()
    if not _ending.is_set():
        for others in _others:
            others.signalled(number)
    _ending.set()


def raise_at_once(number: int, frame: FrameType | None) -> None:
    """A handler of either signal; of SIGTERM, for the first one and not after a SIGINT."""
    again = _ending.is_set()
    _noted(number)
    if number == signal.SIGTERM and again:
        return
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def heed() -> None:
    """Has both signals raise in this program, and end it where a library would hold them up.

    That is, where one was not heeded in two seconds and there is nothing to save. A signal that is
    ignored, as a shell's background jobs ignore SIGINT, stays so.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, raise_at_once)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)  # is written to before Python heeds it
    threading.Thread(target=_watch, args=(reading,), daemon=True).start()


def _watch(reading: int) -> None:
    """Looks after each signal whether a handler came to run; of several, after the first."""
    while True:
        numbers, came = os.read(reading, 1), time.monotonic()
        time.sleep(_PATIENCE)
        while select.select([reading], [], [], 0)[0]:
            numbers += os.read(reading, 64)
        late = _heeded[0] < came - _PATIENCE / 2
        if late and not _training.is_set() and {signal.SIGINT, signal.SIGTERM} & set(numbers):
            leave(Terminated() if signal.SIGTERM in numbers else KeyboardInterrupt())


def leave(error: KeyboardInterrupt) -> NoReturn:
    """Ends the program with one sentence and the exit status of the signal.

    Not by sys.exit: XLA may be compiling in threads of its own, which Python would wait for or tear
    down under them.
    """
    terminated = isinstance(error, Terminated)
    what = "terminated" if terminated else "interrupted"
    text = str(error) or f"{what}; the same command goes on from the last checkpoint."
    status = TERMINATED if terminated else INTERRUPTED
    for others in _others:
        others.leave(status, text)
    print(f"launch.py: {text}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
