"""Starts launch.py with mistakes at random: each must end in one sentence, and leave no trace.

Each start is a fork of a process that has everything imported, so that a thousand take minutes. A
start that nothing is said against is ended where training would begin, once its step was traced.
"""

import collections
import os
import pathlib
import random
import re
import runpy
import shutil
import sys
import time
import warnings

from benchmarks import mistakes

ROOT = pathlib.Path(__file__).parents[1]
SECONDS = 120.0  # after which a start hangs
KINDS = ("config", "command line", "config file", "folder")
WRONG = ("traceback", "hang", "workdir left", "killed", "no sentence")
ACCEPTED = 42  # exit status


def preload() -> list[str]:
    """Imports what launch.py does, but for itself; returns the keys of a config."""
    import tensorflow_datasets  # noqa: F401

    from configs import default
    from lgaa_jax.data import tfds_sets  # noqa: F401
    from lgaa_jax.run import calling, comparison, driver, exploring, rerun, verifying  # noqa: F401
    from lgaa_jax.workdir.metadata import dotted

    return list(dotted(default.get_config().to_dict()))


def arguments(
    kind: str, rng: random.Random, keys: list[str], folder: pathlib.Path, workdir: pathlib.Path
) -> list[str]:
    """The arguments of a start with a mistake of this kind; what it needs is made in `folder`."""
    given = ["--config=configs/quickstart.py:smoke", "--config.tasks=digits"]
    if kind == "config":
        given += mistakes.config_flags(rng, keys)
    elif kind == "command line":
        given = mistakes.command_line(rng, keys)
    elif kind == "config file":
        path = folder / "config.py"
        source = (ROOT / "configs/quickstart.py").read_text(encoding="utf-8")
        path.write_text(mistakes.config_file(rng, source), encoding="utf-8")
        given = [f"--config={path}:smoke", "--config.tasks=digits"]
    else:
        images = folder / "images"
        mistakes.image_folder(rng, images)
        given += [f"--config.tasks=folder:{images}", f"--config.data.cache_dir={folder / 'cache'}"]
        given += [f"--config.data.skip_broken={rng.random() < 0.5}"]
    return [*given, f"--workdir={workdir}"]


def start(given: list[str], output: pathlib.Path) -> int | None:
    """The exit status of launch.py in a fork, negative for a signal; None where it hangs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX warns of forks; nothing has used it yet
        child = os.fork()
    if not child:
        _launch(given, output)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return None


def _launch(given: list[str], output: pathlib.Path) -> None:
    """Is launch.py, up to where training would begin; does not return."""
    status = 1
    try:
        file = os.open(output, os.O_CREAT | os.O_WRONLY)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.chdir(ROOT)
        sys.argv = ["launch.py", *given]
        _stop_before_training()
        runpy.run_path("launch.py", run_name="__main__")
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _stop_before_training() -> None:
    from lgaa_jax.run import comparison, driver

    opened = driver.open_session

    def traced(*args, **kwargs):
        import jax
        import jax.numpy as jnp

        from lgaa_jax.training.batch import Batch

        experiment = opened(*args, **kwargs).experiment
        config = experiment.config
        n, size = config.batch_size, config.data.size
        x = jnp.zeros((n, size, size, config.data.channels), jnp.uint8)
        batch = Batch(x, jnp.zeros(n, jnp.int32), jnp.zeros(n, jnp.int32), jnp.int32(n))
        state = jax.eval_shape(experiment.init)
        jax.eval_shape(experiment.learner.train_step, state, jax.random.key(0), batch)
        os._exit(ACCEPTED)

    driver.open_session = traced
    comparison._complete = lambda *_: os._exit(ACCEPTED)  # would start processes


def verdict(status: int | None, output: str, workdir: pathlib.Path) -> str:
    """What came of a start."""
    if "Traceback (most recent call last)" in output:
        return "traceback"
    if status is None:
        return "hang"
    if status < 0:
        return "killed"
    if status in (0, ACCEPTED):
        return "accepted"
    if workdir.exists():
        return "workdir left"
    # absl's own sentence of a flag that cannot be read begins in another way.
    told = re.search(r"^(launch\.py: \S|FATAL Flags parsing error)", output, flags=re.MULTILINE)
    return "refused" if told else "no sentence"


def count_bad_inputs(
    number: int, rng: random.Random, folder: pathlib.Path, kinds: tuple[str, ...] = KINDS
) -> collections.Counter:
    """Starts launch.py with so many mistakes, and tells of each that ends as it must not."""
    keys = preload()
    counts: collections.Counter = collections.Counter(dict.fromkeys(("inputs", *WRONG), 0))
    slowest: tuple[float, list[str]] = 0.0, []
    for turn in range(number):
        kind, here = kinds[turn % len(kinds)], folder / "bad"
        here.mkdir()
        workdir, output = here / "run", here / "output"
        given = arguments(kind, rng, keys, here, workdir)
        begin = time.monotonic()
        status = start(given, output)
        slowest = max(slowest, (time.monotonic() - begin, given))
        said = output.read_text(errors="replace")
        found = verdict(status, said, workdir)
        counts.update(["inputs", kind, found])
        if found in WRONG:
            print(f"{found}: {given!r} ended with {status}:\n{said[-3000:]}", flush=True)
        shutil.rmtree(here)
        if not (turn + 1) % 100:
            print({**counts, "slowest": slowest}, flush=True)
    return counts
