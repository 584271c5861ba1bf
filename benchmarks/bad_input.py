"""Starts launch.py with mistakes at random: each must end in one sentence, and leave no trace.

A start that nothing is said against is ended where training would begin, once its step was traced.
"""

import collections
import os
import pathlib
import random
import re
import shutil
import time

from benchmarks import forks, mistakes
from benchmarks.forks import ROOT

SECONDS = 120.0  # after which a start hangs
KINDS = ("config", "command line", "config file", "folder")
WRONG = ("traceback", "hang", "workdir left", "killed", "no sentence")
ACCEPTED = 42  # exit status


def config_keys() -> list[str]:
    """All keys of a config."""
    from configs import default
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
    keys = config_keys()
    counts: collections.Counter = collections.Counter(dict.fromkeys(("inputs", *WRONG), 0))
    slowest: tuple[float, list[str]] = 0.0, []
    for turn in range(number):
        kind, here = kinds[turn % len(kinds)], folder / "bad"
        here.mkdir()
        workdir, output = here / "run", here / "output"
        given = arguments(kind, rng, keys, here, workdir)
        begin = time.monotonic()
        child = forks.start(given, output, _stop_before_training)
        status = forks.wait(child, SECONDS)
        if status is None:
            forks.kill(child)
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
