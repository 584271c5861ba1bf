"""Sizes a run's state, its checkpoint and what of it lasts, by tasks and by those learned.

    python benchmarks/checkpoint.py --size=32 --channels=3 --tasks=2,100

The arrays are random numbers, which no compression makes smaller. Of the moments of the codes those
of learned tasks are, and the others are the prior's, as in a run.
"""

import argparse
import pathlib
import sys
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np

# `configs` lies beside this folder and is not installed.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from benchmarks.runs import bytes_in
from configs import default
from lgaa_jax.networks.nets import Nets, build_nets
from lgaa_jax.training.codes import init_codes
from lgaa_jax.training.learner import build_learner
from lgaa_jax.training.replay import replay_spec
from lgaa_jax.training.state import TrainState, lasting
from lgaa_jax.workdir.checkpoint import Checkpoints

NUM_CLASSES = 10


def moments(nets: Nets, rank: int, learned: int) -> dict[str, jax.Array]:
    """Moments of the codes, random in the first `learned` tasks."""
    rng = np.random.default_rng(0)
    found = {}
    for name, a in init_codes(nets.num_tasks, nets.num_classes, nets.code_size, rank).items():
        drawn = rng.normal(size=a[:learned].shape)
        found[name] = a.at[:learned].set(np.tril(drawn) if name == "factor" else drawn)
    return found


def state_of(size: int, channels: int, tasks: int, learned: int, wide: bool = False) -> TrainState:
    """A state of the default config, at another size of images; wide: with the wide networks."""
    c = default.get_config()
    c.data.size, c.data.channels = size, channels
    if wide:
        default.wide(c)
    nets = build_nets(c, NUM_CLASSES, tasks)
    spec = replay_spec(c, jnp.ones((tasks, NUM_CLASSES), bool))
    learner = build_learner(c, nets, spec, range(1, tasks + 1), c.batch_size // 2)
    rng = np.random.default_rng(0)
    forms = jax.eval_shape(learner.init, jax.random.key(0))
    state = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape).astype(a.dtype)), forms)
    frozen = {**state.replay, "codes": moments(nets, c.code_rank, max(learned - 1, 0))}
    return state.replace(codes=moments(nets, c.code_rank, learned), replay=frozen)


def saved(state: TrainState) -> tuple[float, float]:
    """MB on disk of a checkpoint, and the seconds that it took to write and to look at."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        with Checkpoints(folder) as checkpoints:
            checkpoints.save(1, state, {})
        seconds = time.perf_counter() - begin
        return bytes_in(pathlib.Path(folder)) / 1e6, seconds


def megabytes(tree: object) -> float:
    """Of all arrays of a tree."""
    return sum(a.nbytes for a in jax.tree.leaves(tree)) / 1e6


def main() -> None:
    """Parses the flags, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--tasks", default="2,100")
    parser.add_argument("--wide", action="store_true", help="networks of about the published size")
    args = parser.parse_args()
    names = ("state MB", "of codes", "on disk", "save s", "lasts")
    print(f"{'tasks':>6}{'learned':>9}" + "".join(f"{name:>10}" for name in names))
    for tasks in map(int, args.tasks.split(",")):
        for learned in (0, tasks // 2, tasks):
            state = state_of(args.size, args.channels, tasks, learned, args.wide)
            codes = megabytes(state.codes) + megabytes(state.replay["codes"])
            disk, seconds = saved(state)
            lasts, _ = saved(lasting(state))
            values = f"{megabytes(state):>10.1f}{codes:>10.1f}{disk:>10.1f}{seconds:>10.2f}"
            print(f"{tasks:>6}{learned:>9}{values}{lasts:>10.1f}", flush=True)


if __name__ == "__main__":
    main()
