"""What Orbax prints that tells a user nothing."""

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def no_stragglers() -> Iterator[None]:
    """Keeps a failed read to its one error.

    When one array cannot be read, Orbax closes its event loop while the others are on their way;
    each of those would then print a traceback from a background thread, a moment later.
    """
    hook = sys.unraisablehook

    def quiet(what: Any) -> None:
        if "loop is closed" not in str(what.exc_value):
            hook(what)

    sys.unraisablehook = quiet
    try:
        yield
    except Exception:
        time.sleep(0.3)
        raise
    finally:
        sys.unraisablehook = hook


_USUAL = ("Waiting for previous save", "Attempted to create temporary directory")


def _not_chatter(record: logging.LogRecord) -> bool:
    if "orbax" not in record.pathname:
        return True
    if record.exc_info:  # of a thread; it is raised as well, where its end is waited for
        return False
    return record.levelno >= logging.WARNING and not record.getMessage().startswith(_USUAL)


def quieten() -> None:
    """Drops Orbax's own chatter, pages per save, from absl's log; other warnings stay."""
    logging.getLogger("absl").addFilter(_not_chatter)
