"""launch.py in forks of a process that has imported what it does, so that a start costs little.

The process itself may not use JAX, which is not to be forked once it has begun. What a fork does is
what launch.py does, from the reading of its flags on.
"""

import json
import os
import pathlib
import runpy
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

ROOT = pathlib.Path(__file__).parents[1]


def preload() -> None:
    """Imports what launch.py does, but for itself."""
    import tensorboardX  # noqa: F401
    import tensorflow_datasets  # noqa: F401

    from lgaa_jax.run import calling, comparison, driver, exploring, rerun, verifying  # noqa: F401


def start(arguments: list[str], output: pathlib.Path, before: Callable = lambda: None) -> int:
    """Starts launch.py with these arguments; returns the number of its process.

    output: file for all that it prints; before: is called first.
    """
    child = _fork()
    if not child:
        _launch(arguments, output, before)
    return child


def wait(child: int, seconds: float) -> int | None:
    """The exit status of a fork, negative for a signal; None where it has not ended by then."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def kill(child: int) -> None:
    """SIGKILL to a fork and what it has started."""
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)


def ask(function: Callable, *arguments: Any) -> Any:
    """What a function returns in a fork, as JSON has it."""
    with tempfile.NamedTemporaryFile("r") as file:
        child = _fork()
        if not child:
            status = 1
            try:
                pathlib.Path(file.name).write_text(json.dumps(function(*arguments)))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        if status:
            sys.exit(f"{function.__name__}{arguments} failed")
        return json.load(file)


def _fork() -> int:
    sys.stdout.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX warns of forks; nothing has used it yet
        child = os.fork()
    if not child:
        os.setsid()
    return child


def _launch(arguments: list[str], output: pathlib.Path, before: Callable) -> None:
    """Is launch.py; does not return."""
    status = 1
    try:
        file = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.chdir(ROOT)
        sys.argv = ["launch.py", *arguments]
        before()
        runpy.run_path("launch.py", run_name="__main__")
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
