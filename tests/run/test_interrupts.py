"""Ctrl-C that waits for the end of a step."""

import signal
import threading

import pytest

from lgaa_jax.run.interrupts import deferred


def test_the_first_is_noted_and_the_second_raises():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with deferred() as pressed:
            assert not pressed()
            signal.raise_signal(signal.SIGINT)
            assert pressed()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_and_another_handler_are_left_alone():
    found = []

    def inside():
        with deferred() as pressed:
            found.append((pressed(), signal.getsignal(signal.SIGINT)))

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        inside()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert found == [(False, signal.SIG_IGN), (False, signal.default_int_handler)]
