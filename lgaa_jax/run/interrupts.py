"""Ctrl-C that is not lost.

Python raises KeyboardInterrupt between any two instructions, also where what is raised is dropped,
as in a callback of the garbage collector; a run would then go on.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Within it, Ctrl-C raises nothing: the function that is given tells whether it was pressed.

    A second one raises KeyboardInterrupt. Nothing changes outside of the main thread, nor where
    SIGINT is not handled as Python does by itself.
    """
    pressed: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if own and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, note)
        try:
            yield lambda: bool(pressed)
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    else:
        yield lambda: False
