"""Word between the processes of a run beside their collectives: a signal, a failure, an end.

So the first process knows at once that another died, where a collective would wait; it tells the
user one sentence, and has all of them end.
"""

import os
import signal
import sys
import threading
import time
import traceback
from typing import Any, NoReturn

import jax

from lgaa_jax.run import interrupts, links
from lgaa_jax.run.links import Link
from lgaa_jax.training import hosts

LEAVING, STOPPING, ECHO = 10.0, 600.0, 1.0  # seconds
GOES_ON = "the same command goes on from the last checkpoint"


class Peers:
    """The other processes of a run, as this one knows them."""

    def __init__(self, coordinator: str = ""):
        """Connects all processes; called by all of them. coordinator: the first one's machine."""
        self._ended = threading.Lock()  # held by the thread that ends this process
        self._links = links.connect(coordinator)
        for link in self._links:
            threading.Thread(target=link.listen, args=(self.heard, self.lost), daemon=True).start()
        interrupts.share(self)

    def signalled(self, number: int) -> None:
        """Tells the others that a signal came to this process."""
        for link in self._links:
            link.send(signal=number)

    def leave(self, status: int, text: str) -> NoReturn:
        """Ends this process, and with it the others; the first one tells the user why."""
        if hosts.first():
            self._end(status, text)
        (first,) = self._links
        if status in (interrupts.TERMINATED, interrupts.INTERRUPTED):
            first.send(stopped=True)
            first.closed.wait(STOPPING)  # it may be saving
        else:
            first.send(failed=text)
            first.closed.wait(LEAVING)
        _exit(status)

    def fail(self, error: Exception, text: str | None) -> NoReturn:
        """Ends this process for an error; text: what to say of it, None where nobody knows."""
        if text is None:
            # When a process is lost, the collectives of the others fail: `lost` comes before this.
            time.sleep(LEAVING / 2)
            if not self._ended.locked():
                traceback.print_exception(error)
            text = f"{type(error).__name__}: {(str(error).strip() or 'no reason').splitlines()[0]}"
        self.leave(1, text)

    def part(self) -> None:
        """Ends what connects this process with the others, which have come to their ends, too."""
        for link in self._links:
            link.send(done=True)
        jax.distributed.shutdown()

    def heard(self, link: Link, message: dict[str, Any]) -> None:
        """What to do about a message."""
        if "signal" in message:
            for other in self._links:
                if other is not link:
                    other.send(**message)
            threading.Thread(target=_echo, args=(message["signal"],), daemon=True).start()
        elif "failed" in message:
            threading.Thread(target=self._blame, args=(link, message["failed"])).start()
        elif "leave" in message:
            _exit(message["leave"])
        else:  # it is done, or was stopped and has told
            link.done = True

    def lost(self, link: Link) -> None:
        """Ends this process for one that is gone."""
        if hosts.first() or link.number == 0:
            text = (
                f"process {link.number} on {link.host} ended without a word, so all end; {GOES_ON}."
            )
            self._end(1, text)

    def _blame(self, link: Link, text: str) -> None:
        """Ends this process for what another one failed of; later, as it may say so by itself."""
        time.sleep(ECHO)
        self._end(1, f"process {link.number} on {link.host}: {text}")

    def _end(self, status: int, text: str) -> NoReturn:
        """Once, whichever thread comes first; another waits here until the process ends."""
        self._ended.acquire()
        if hosts.first() or hosts.number() == 1:
            print(f"launch.py: {text}", file=sys.stderr)
        for link in self._links:
            link.done = True
            link.send(leave=status)
        until = time.monotonic() + LEAVING
        for link in self._links if hosts.first() else ():
            link.closed.wait(max(0.0, until - time.monotonic()))
        _exit(status)


def _echo(number: int) -> None:
    """Has a signal that came to another process come to this one, unless one has by itself.

    Later, as whoever sends a signal to all must not have each of them get two.
    """
    time.sleep(ECHO)
    if not interrupts.ending():
        os.kill(os.getpid(), signal.Signals(number))


def _exit(status: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # at its usual end JAX waits for all processes
