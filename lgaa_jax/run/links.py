"""Connections between the first process of a run and each other one.

The system closes one when a process dies, however that came. Of a machine that is gone it is given
up after half a minute.
"""

import contextlib
import json
import secrets
import socket
import threading
from collections.abc import Callable
from typing import Any

from lgaa_jax.errors import UserError
from lgaa_jax.training import hosts

CONNECTING = 60.0  # seconds
KEEP_ALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}  # seconds; tries


class Link:
    """A connection to another process."""

    def __init__(self, number: int, host: str, connection: socket.socket):
        self.number, self.host = number, host
        self.done = False  # whether it may close without a word
        self.closed = threading.Event()
        self._connection, self._lines = connection, connection.makefile("r", encoding="utf-8")
        connection.settimeout(None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEP_ALIVE.items():
            if hasattr(socket, name):  # not on every system
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def send(self, **message: Any) -> None:
        """Sends a message; one to a process that is gone is lost."""
        with contextlib.suppress(OSError):
            self._connection.sendall(json.dumps(message).encode() + b"\n")

    def listen(
        self, heard: Callable[["Link", dict[str, Any]], None], lost: Callable[["Link"], None]
    ) -> None:
        """Hands on each message, and at the end that the connection is lost, unless it may be."""
        with contextlib.suppress(OSError, ValueError):  # a line may be cut short
            for line in self._lines:
                heard(self, json.loads(line))
        self.closed.set()
        if not self.done:
            lost(self)


def connect(coordinator: str) -> list[Link]:
    """The links of this process, called by all of them: the first has one to each other.

    coordinator: the machine of the first one, as far as it is known. Raises UserError.
    """
    name, secret = socket.gethostname(), secrets.token_hex(16)
    with listening() as server:
        own = [name, *_addresses(name)], server.getsockname()[1], secret
        found, port, secret = hosts.shared(lambda: own)
        if hosts.first():
            return _accepted(server, secret)
    return [_connected([coordinator] * bool(coordinator) + found, port, secret)]


def listening(port: int = 0) -> socket.socket:
    """A socket that listens at a port of this machine, 0: at any. OSError where that is taken."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _addresses(name: str) -> list[str]:
    with contextlib.suppress(OSError):
        return sorted({str(info[4][0]) for info in socket.getaddrinfo(name, None)})
    return []


def _accepted(server: socket.socket, secret: str) -> list[Link]:
    """The links to all others, in their order."""
    links: dict[int, Link] = {}
    server.settimeout(CONNECTING)
    while len(links) < hosts.count() - 1:
        try:
            connection, _ = server.accept()
            connection.settimeout(CONNECTING)
            word, number, host = connection.makefile("r", encoding="utf-8").readline().split()
        except ValueError:
            continue  # somebody else
        except OSError as error:
            missing = sorted({*range(1, hosts.count())} - links.keys())
            raise UserError(
                f"no word came from the processes {missing}; start all of them again."
            ) from error
        if secrets.compare_digest(word, secret):
            links[int(number)] = Link(int(number), host, connection)
    return [links[number] for number in sorted(links)]


def _connected(places: list[str], port: int, secret: str) -> Link:
    """The link to the first process, at the first of the addresses that answers."""
    for place in places:
        with contextlib.suppress(OSError):
            connection = socket.create_connection((place, port), timeout=CONNECTING / 4)
            greeting = f"{secret} {hosts.number()} {socket.gethostname()}\n"
            connection.sendall(greeting.encode())
            return Link(0, place, connection)
    raise UserError(
        f"process {hosts.number()} cannot reach process 0 at {', '.join(places)}, port {port}; "
        "let the machines of a run reach each other."
    )
