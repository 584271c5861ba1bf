"""Command line: `python launch.py --config=configs/quickstart.py [--workdir=DIR] [--mode=eval]`."""

import os
import re
import sys

from absl import app, flags, logging
from ml_collections import config_flags

from lgaa_jax.errors import UserError

CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment.", lock_config=True)
WORKDIR = flags.DEFINE_string("workdir", None, "Where the run writes; default runs/<config name>.")
MODE = flags.DEFINE_string("mode", "train", "train (starts or resumes) or eval (a checkpoint).")
STEP = flags.DEFINE_integer(
    "step", None, "Step of the checkpoint that eval loads; default the last."
)


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
        root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        jax.config.update("jax_compilation_cache_dir", os.path.join(root, "lgaa_jax", "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def main(argv: list[str]) -> None:
    """Checks the flags and calls `train.run` or `train.evaluate`."""
    if len(argv) > 1:
        sys.exit(f"launch.py: {argv[1]!r} is not a flag; write --name=value.")
    if MODE.value not in ("train", "eval"):
        sys.exit(f"launch.py: --mode={MODE.value!r} is unknown; it is train or eval.")
    if STEP.value is not None and MODE.value == "train":
        sys.exit(
            "launch.py: --step goes with --mode=eval; training resumes from the last checkpoint."
        )
    # JAX, Flax and Orbax take seconds to import: a mistake in the flags is told before that.
    from lgaa_jax import train

    workdir = WORKDIR.value or default_workdir()
    keep_compiled()
    try:
        if MODE.value == "train":
            train.run(CONFIG.value, workdir)
        else:
            train.evaluate(CONFIG.value, workdir, STEP.value)
    except UserError as error:
        sys.exit(f"launch.py: {error}")


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    # Below that, JAX tells of every kind of device that is not there.
    flags.FLAGS.set_default("verbosity", logging.WARNING)
    app.run(main, flags_parser=parse_flags)
