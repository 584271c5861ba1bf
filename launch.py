"""Trains, evaluates, explores or compares runs of a config.

    python launch.py --config=configs/quickstart.py [--workdir=DIR] [--config.KEY=VALUE ...]
    python launch.py --config=configs/quickstart.py --mode=eval
    python launch.py --config=configs/quickstart.py --mode=explore
    python launch.py --config=configs/quickstart.py --mode=compare --strategies=lgaa,finetune

configs/default.py has every KEY. The same command again goes on where a run was stopped.
"""

import itertools
import logging as standard_logging
import os
import re
import sys
import traceback

import ml_collections
from absl import app, flags, logging
from ml_collections import config_flags

from lgaa_jax.errors import UserError
from lgaa_jax.run import interrupts

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "FILE or FILE:PRESET, such as configs/mnist_fashion.py:small.", lock_config=True
)
WORKDIR = flags.DEFINE_string("workdir", None, "Where the run writes; default runs/<config name>.")
MODE = flags.DEFINE_enum(
    "mode",
    "train",
    ["train", "eval", "explore", "export", "compare", "verify", "rerun"],
    "train (starts or resumes), eval (a checkpoint), explore (its codes), export (the model), "
    "compare (strategies and seeds), verify (the files of a run) or rerun (a step that failed).",
)
STEP = flags.DEFINE_integer(
    "step",
    None,
    "Step of the checkpoint that eval or export loads, or that rerun takes; default the last, or "
    "the one that failed.",
)
STRATEGIES = flags.DEFINE_list("strategies", None, "What compare runs; default the config's.")
SEEDS = flags.DEFINE_list("seeds", None, "Seeds that compare runs; default the config's.")
DEVICES = flags.DEFINE_list(
    "devices", None, "Numbers of the GPUs or TPU chips that compare uses, a run at a time on each."
)
COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "HOST:PORT of process 0, where several processes train one model."
)
PROCESSES = flags.DEFINE_integer(
    "processes", None, "How many processes there are; 1: this one alone, whatever SLURM says."
)
PROCESS = flags.DEFINE_integer("process", None, "Which of them this is, from 0 on.")
ONLY_WITH = {
    "coordinator": ("train", "eval"),
    "process": ("train", "eval"),
    "step": ("eval", "export", "rerun"),
    "strategies": ("compare",),
    "seeds": ("compare",),
    "devices": ("compare",),
}


def parse_flags(argv: list[str]) -> list[str]:
    """absl's parser, but a mistake in a flag, a config key or a config ends in one sentence."""
    standard_logging.disable(standard_logging.WARNING)  # what ml_collections warns of is said below
    try:
        rest = flags.FLAGS(argv)
    except Exception as error:  # whatever the user's config raises; absl wraps some of it
        check_config_file()
        sys.exit(f"launch.py: {config_mistake(error)}")
    finally:
        standard_logging.disable(standard_logging.NOTSET)
    check_config_file()
    if not isinstance(CONFIG.value, ml_collections.ConfigDict):
        sys.exit(f"launch.py: get_config in {config_file()} must return a ConfigDict.")
    return rest


def check_config_file() -> None:
    """Ends the program where there is no such config."""
    path = config_file()
    if not path:
        sys.exit("launch.py: name a config, such as --config=configs/quickstart.py.")
    if not os.path.isfile(path):
        if os.path.isfile(config_path()):
            sys.exit(
                f"launch.py: the config {config_path()!r} has a colon in its path, which begins a "
                "preset; rename it."
            )
        sys.exit(f"launch.py: there is no config {path!r}; paths count from the present folder.")


def config_mistake(error: Exception) -> str:
    """What to say of an error that came while the config was loaded or changed by flags."""
    path = config_file()
    if "no attribute 'get_config'" in str(error):
        return f"the config {path} has no function get_config(preset); configs/default.py has one."
    if "must have a value other than None" in str(error):
        return f"get_config in {path} returned nothing; let it return the config."
    cause: BaseException | None = error
    while cause is not None:
        line = config_line(cause, path)
        # A ValueError says by itself what may be: a preset, a number.
        if line is not None and not isinstance(cause, ValueError):
            return f"the config {path}, line {line}: {type(cause).__name__}: {reason(cause)}"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, AttributeError | KeyError):
        return f"a --config.KEY is unknown: {reason(error).rstrip('?')}; see configs/default.py."
    return reason(error)


def config_line(error: BaseException, path: str) -> int | None:
    """The line of the file `path` that an error came from, if it did."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if os.path.realpath(f.filename) == os.path.realpath(path)]
    return error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None


def reason(error: BaseException) -> str:
    """The sentence in an exception of the flags: they wrap errors in each other, and tracebacks."""
    while error.args and isinstance(error.args[0], Exception):
        error = error.args[0]
    text = str(error.args[0] if error.args else error).strip() or type(error).__name__
    last = text.splitlines()[-1]
    return re.sub(r"^ *[A-Za-z]*Error: ", "", last)


def config_path() -> str:
    """What --config names: FILE or FILE:PRESET; also where its parsing failed. The last counts."""
    path = ""
    for argument, following in itertools.pairwise([*sys.argv[1:], ""]):
        name, assigned, value = argument.partition("=")
        if name in ("--config", "-config"):
            path = value if assigned else following
    return path


def config_file() -> str:
    """FILE of what --config names."""
    return config_path().partition(":")[0]


def default_workdir() -> str:
    """runs/<file name of the config>, with -<preset> where one is given."""
    path, _, preset = config_path().partition(":")
    name = os.path.splitext(os.path.basename(path))[0]
    return os.path.join("runs", f"{name}-{preset}" if preset else name)


def main(argv: list[str]) -> None:
    """Checks the flags and does what --mode says."""
    if len(argv) > 1:
        sys.exit(f"launch.py: {argv[1]!r} is not a flag; write --name=value.")
    for name, modes in ONLY_WITH.items():
        if flags.FLAGS[name].value is not None and MODE.value not in modes:
            sys.exit(f"launch.py: --{name} goes with --mode={' or '.join(modes)}.")
    workdir = WORKDIR.value or default_workdir()
    peers = None
    try:
        interrupts.heed()
        if MODE.value == "compare":
            compare(workdir)
            return
        # JAX, Flax and Orbax take seconds to import: a mistake in the flags is told before that.
        from lgaa_jax.run import cluster

        flags_of_it = COORDINATOR.value, PROCESSES.value, PROCESS.value
        peers = cluster.join(MODE.value, *flags_of_it)
        act(workdir)
        if peers is not None:
            peers.part()
    except Exception as error:
        text = sentence(error)
        if peers is not None:
            peers.fail(error, text)
        if text is None:
            raise
        sys.exit(f"launch.py: {text}")
    except KeyboardInterrupt as error:
        interrupts.leave(error)


def act(workdir: str) -> None:
    """Does what --mode says, but for compare."""
    from lgaa_jax.run import driver

    if MODE.value == "train":
        from configs import default

        driver.run(CONFIG.value, workdir, default.get_config())
    elif MODE.value == "explore":
        from lgaa_jax.run import exploring

        exploring.explore(CONFIG.value, workdir)
    elif MODE.value == "verify":
        from lgaa_jax.run import verifying

        sys.exit(0 if verifying.verify(workdir) else 1)
    elif MODE.value == "rerun":
        from lgaa_jax.run import rerun

        rerun.rerun(CONFIG.value, workdir, STEP.value)
    elif MODE.value == "export":
        from lgaa_jax.run import calling

        print(f"exported    {calling.export(workdir, step=STEP.value)}")
    else:
        driver.evaluate(CONFIG.value, workdir, STEP.value)


def sentence(error: Exception) -> str | None:
    """What to say of an error; None where it is a mistake of the program."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return (
            f"{error.filename}: {error.strerror}; once that is mended, the same command goes on "
            "from the last checkpoint."
        )
    return None


def compare(workdir: str) -> None:
    """Runs this command for each strategy and seed, and prints the table."""
    config = CONFIG.value
    seeds = [str(config.seed)] if SEEDS.value is None else SEEDS.value
    if not all(re.fullmatch("[0-9]+", seed) for seed in seeds):
        raise UserError(f"--seeds={','.join(seeds)} cannot be read; write it like 0,1,2.")
    from lgaa_jax.run import comparison  # slow, as it brings JAX

    overrides = config_flags.get_override_values(flags.FLAGS["config"])
    command = [sys.executable, os.path.abspath(__file__), f"--config={config_path()}"]
    command += [f"--config.{key}={value}" for key, value in overrides.items()]
    command += ["--processes=1"]  # they would take the processes of this one for theirs
    table = comparison.run(
        config,
        workdir,
        STRATEGIES.value or [config.strategy],
        [int(seed) for seed in seeds],
        DEVICES.value or [],
        command,
    )
    print(table)


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    # Below that, JAX tells of every kind of device that is not there. Set, as absl takes INFO where
    # it finds its own default.
    flags.FLAGS.verbosity = logging.WARNING
    app.run(main, flags_parser=parse_flags)
