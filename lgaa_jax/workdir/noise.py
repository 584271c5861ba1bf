"""What Orbax prints that tells a user nothing."""

import logging
import sys
import warnings
from typing import Any

# A read that had not begun when another one failed; said whenever Python clears it away.
_UNAWAITED = r"coroutine 'Store\..*' was never awaited"
_USUAL = ("Waiting for previous save", "Attempted to create temporary directory")


def quieten() -> None:
    """Drops Orbax's own chatter, pages per save, from absl's log, and stragglers; the rest stays.

    When one array cannot be read or written, Orbax closes its event loop while the others are on
    their way; each of those would then print a traceback from a background thread, a moment after
    the error or, of a save, while training goes on.
    """
    log = logging.getLogger("absl")
    if _not_chatter in log.filters:
        return
    log.addFilter(_not_chatter)
    warnings.filterwarnings("ignore", _UNAWAITED, RuntimeWarning)
    hook = sys.unraisablehook

    def of_others(what: Any) -> None:
        if "Event loop is closed" not in str(what.exc_value):
            hook(what)

    sys.unraisablehook = of_others


def _not_chatter(record: logging.LogRecord) -> bool:
    if "orbax" not in record.pathname:
        return True
    if record.exc_info:  # of a thread; it is raised as well, where its end is waited for
        return False
    return record.levelno >= logging.WARNING and not record.getMessage().startswith(_USUAL)
