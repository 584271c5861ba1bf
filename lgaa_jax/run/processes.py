"""Commands that run beside this process, as many at a time as there are devices for them."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from lgaa_jax.run.interrupts import STARTED_BY

Key = TypeVar("Key")
_PAUSE = 0.1  # seconds between two looks at what runs
_GRACE = 20.0  # seconds in which one that is told here may put its files in order


def run_all(
    commands: Mapping[Key, Sequence[str]],
    devices: Sequence[str],
    announce: Callable[[Key], None],
) -> dict[Key, int]:
    """Runs each command, one at a time on each device; returns their exit statuses.

    devices: numbers of the GPUs or TPU chips; () for one command at a time on the default device.
    announce: is called before each start. One that fails holds nothing up. Where this process is
    interrupted or told to end, no command is left running.
    """
    waiting, free = list(commands), [*devices] if devices else [""]
    running: dict[Key, tuple[subprocess.Popen[bytes], str]] = {}
    statuses: dict[Key, int] = {}
    try:
        while waiting or running:
            while waiting and free:
                key, device = waiting.pop(0), free.pop(0)
                announce(key)
                running[key] = _start(commands[key], device), device
            time.sleep(_PAUSE)
            for key in [key for key, (process, _) in running.items() if not _runs(process)]:
                process, device = running.pop(key)
                statuses[key] = process.returncode
                free.append(device)
    finally:
        _end([process for process, _ in running.values()])
    return statuses


def _start(command: Sequence[str], device: str) -> subprocess.Popen[bytes]:
    chosen = {"CUDA_VISIBLE_DEVICES": device, "TPU_VISIBLE_CHIPS": device} if device else {}
    bound = {STARTED_BY: str(os.getpid())}  # where this process is killed, they end, too
    return subprocess.Popen(command, env=os.environ | chosen | bound)


def _runs(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is None


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Has what still runs end, and kills what does not.

    By SIGTERM, which changes nothing for one that the terminal has told so by SIGINT.
    """
    for process in filter(_runs, processes):
        process.terminate()
    try:
        _wait(processes, _GRACE)
    finally:
        for process in filter(_runs, processes):
            process.kill()
            process.wait()


def _wait(processes: Sequence[subprocess.Popen[bytes]], seconds: float) -> None:
    """Waits until all have ended, at most so long."""
    last = time.monotonic() + seconds
    while any(map(_runs, processes)) and time.monotonic() < last:
        time.sleep(_PAUSE)
