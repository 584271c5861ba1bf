"""Signals that wait for the end of a step."""

import contextlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from lgaa_jax.run.interrupts import Terminated, deferred

DEFAULTS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


@contextlib.contextmanager
def handlers(found):
    before = {number: signal.signal(number, handler) for number, handler in found.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_the_first_is_noted_and_a_second_of_the_user_raises(number, kind):
    with handlers(DEFAULTS):
        with deferred() as stop:
            assert stop() is None
            signal.raise_signal(number)
            assert stop() is kind
            signal.raise_signal(signal.SIGTERM)  # whoever tells a whole group of processes
            assert stop() is kind
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert {n: signal.getsignal(n) for n in DEFAULTS} == DEFAULTS


def test_another_thread_and_another_handler_are_left_alone():
    found = []

    def inside():
        with deferred() as stop:
            found.append((stop(), signal.getsignal(signal.SIGINT)))

    with handlers({signal.SIGINT: signal.SIG_IGN}):
        inside()
    with handlers(DEFAULTS):
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
    assert found == [(None, signal.SIG_IGN), (None, signal.default_int_handler)]


# Heeds signals as launch.py does; then is busy, and cleans up for longer than its patience.
PROGRAM = """
import sys, time
from lgaa_jax.run import interrupts
interrupts._PATIENCE = 0.3
interrupts.heed()
try:
    print("ready", flush=True)
    {busy}
except KeyboardInterrupt as error:
    time.sleep(1)
    interrupts.leave(type(error)("saved."))
"""
# A loop in C that looks at no signal, as XLA's compiler does, and lets other threads run.
DEAF = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 500_000_000)"


@pytest.mark.parametrize(
    ("busy", "number", "status", "says"),
    [
        ("time.sleep(60)", signal.SIGTERM, 75, "saved."),
        ("time.sleep(60)", signal.SIGINT, 130, "saved."),
        (DEAF, signal.SIGTERM, 75, "terminated; the same command goes on from the last checkpoint"),
    ],
)
def test_a_program_ends_in_order_or_at_once_where_a_library_is_deaf(busy, number, status, says):
    heeding = f"import signal; signal.signal({int(number)}, signal.SIG_DFL)\n"
    command = [sys.executable, "-c", heeding + PROGRAM.format(busy=busy)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as program:
        assert program.stdout.readline() == "ready\n"
        time.sleep(0.1)
        begin = time.monotonic()
        program.send_signal(number)
        time.sleep(0.5)
        if program.poll() is None:  # it cleans up, and is told once more
            program.send_signal(signal.SIGTERM)
        stderr = program.communicate(timeout=30)[1]
    assert (program.returncode, time.monotonic() - begin < 30) == (status, True)
    assert stderr.startswith(f"launch.py: {says}")
