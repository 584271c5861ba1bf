"""Command line: `python launch.py --config=configs/quickstart.py [--workdir=DIR] [--mode=eval]`."""

import os
import re
import sys

from absl import app, flags, logging
from ml_collections import config_flags

from lgaa_jax.errors import UserError
from lgaa_jax.files import user_cache

CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment.", lock_config=True)
WORKDIR = flags.DEFINE_string("workdir", None, "Where the run writes; default runs/<config name>.")
MODE = flags.DEFINE_enum(
    "mode",
    "train",
    ["train", "eval", "compare"],
    "train (starts or resumes), eval (a checkpoint) or compare (strategies and seeds).",
)
STEP = flags.DEFINE_integer(
    "step", None, "Step of the checkpoint that eval loads; default the last."
)
STRATEGIES = flags.DEFINE_list("strategies", None, "What compare runs; default the config's.")
SEEDS = flags.DEFINE_list("seeds", None, "Seeds that compare runs; default the config's.")
DEVICES = flags.DEFINE_list(
    "devices", None, "Numbers of the GPUs or TPU chips that compare uses, a run at a time on each."
)
ONLY_WITH = {"step": "eval", "strategies": "compare", "seeds": "compare", "devices": "compare"}


def parse_flags(argv: list[str]) -> list[str]:
    """absl's parser, but a mistake in a flag or a config key ends in one sentence."""
    try:
        rest = flags.FLAGS(argv)
    except (AttributeError, KeyError) as error:
        sys.exit(f"launch.py: a --config.KEY is unknown: {reason(error)}; see configs/default.py.")
    except (flags.Error, TypeError, ValueError) as error:
        sys.exit(f"launch.py: {reason(error)}")
    path = config_path().partition(":")[0]
    if not os.path.isfile(path):
        sys.exit(f"launch.py: there is no config {path!r}; paths count from the present folder.")
    return rest


def reason(error: Exception) -> str:
    """The sentence in an exception of the flags: they wrap errors in each other, and tracebacks."""
    while error.args and isinstance(error.args[0], Exception):
        error = error.args[0]
    *_, last = str(error.args[0] if error.args else error).strip().splitlines()
    return re.sub(r"^ *[A-Za-z]*Error: ", "", last)


def config_path() -> str:
    """What --config names: FILE or FILE:PRESET."""
    return config_flags.get_config_filename(flags.FLAGS["config"])


def default_workdir() -> str:
    """runs/<file name of the config>, with -<preset> where one is given."""
    path, _, preset = config_path().partition(":")
    name = os.path.splitext(os.path.basename(path))[0]
    return os.path.join("runs", f"{name}-{preset}" if preset else name)


def keep_compiled() -> None:
    """Lets JAX keep what it compiles in the user's cache folder, so that a second start is quick.

    JAX_COMPILATION_CACHE_DIR names another folder; with JAX_ENABLE_COMPILATION_CACHE=false
    nothing is kept.
    """
    import jax

    if not jax.config.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(user_cache("compiled")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def main(argv: list[str]) -> None:
    """Checks the flags and calls `driver.run` or `driver.evaluate`."""
    if len(argv) > 1:
        sys.exit(f"launch.py: {argv[1]!r} is not a flag; write --name=value.")
    for name, mode in ONLY_WITH.items():
        if flags.FLAGS[name].value is not None and MODE.value != mode:
            sys.exit(f"launch.py: --{name} goes with --mode={mode}.")
    workdir = WORKDIR.value or default_workdir()
    try:
        if MODE.value == "compare":
            compare(workdir)
            return
        # JAX, Flax and Orbax take seconds to import: a mistake in the flags is told before that.
        from lgaa_jax.run import driver

        keep_compiled()
        if MODE.value == "train":
            driver.run(CONFIG.value, workdir)
        else:
            driver.evaluate(CONFIG.value, workdir, STEP.value)
    except UserError as error:
        sys.exit(f"launch.py: {error}")


def compare(workdir: str) -> None:
    """Runs this command for each strategy and seed, and prints the table."""
    from lgaa_jax.run import comparison

    config = CONFIG.value
    seeds = [str(config.seed)] if SEEDS.value is None else SEEDS.value
    if not all(re.fullmatch("[0-9]+", seed) for seed in seeds):
        raise UserError(f"--seeds={','.join(seeds)} cannot be read; write it like 0,1,2.")
    overrides = config_flags.get_override_values(flags.FLAGS["config"])
    command = [sys.executable, os.path.abspath(__file__), f"--config={config_path()}"]
    command += [f"--config.{key}={value}" for key, value in overrides.items()]
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
