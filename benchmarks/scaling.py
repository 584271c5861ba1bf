"""What a run needs past the machine at hand: arrays, work and traffic of a step, by its sizes.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --check

The first prints, by config and number of tasks, what follows from shapes alone, and takes a minute:
parameters, the state that every device holds, the work of a step as XLA's cost analysis counts it,
the bytes of gradients that devices exchange in a step; and from these, by the data sheets of
`DEVICES`, the milliseconds of a step of the config's batch at an assumed share of a device's peak
(`--share`), and of the exchange among 64 such devices. Nothing of it is measured.

--check compiles the step of the small networks at several batch sizes and compares XLA's own count
of temporaries with the straight line through two of them, which the estimates use.
"""

import argparse
import dataclasses
import json
import math
import pathlib
import sys

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

# `configs` lies beside this folder and is not installed.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from step import flops, plainly
from task import get_config

from lgaa_jax.networks import ops
from lgaa_jax.networks.nets import build_nets
from lgaa_jax.training.batch import Batch
from lgaa_jax.training.hyper import trained_networks
from lgaa_jax.training.learner import Learner, build_learner
from lgaa_jax.training.replay import replay_spec
from lgaa_jax.training.state import TrainState, begin_task

NUM_CLASSES = 10
# Name to config and preset.
CONFIGS = {
    "residual 16x16x1": ("quickstart", ""),
    "residual 32x32x1": ("mnist_fashion", "small"),
    "residual 32x32x3": ("mnist_svhn", "small"),
    "wide 32x32x1": ("mnist_fashion", ""),
    "wide 32x32x3": ("mnist_svhn", ""),
    "wide 64x64x3": ("celeba_chairs", ""),
    "paper32": ("mnist_fashion", "published"),
    "paper64": ("celeba_chairs", "published"),
}
# By the makers' data sheets: FLOP/s in bfloat16, bytes of memory, bytes/s to the other devices.
# NVIDIA H100 SXM (NVLink, one direction); Google Cloud TPU v5e (interchip links, all of them).
DEVICES = {"H100": (989e12, 80e9, 450e9), "TPU v5e": (197e12, 16e9, 200e9)}
MANY = 64  # devices whose exchange is shown
CHECKED = (16, 32, 64)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What follows from the shapes of a config with N tasks."""

    parameters: int
    state: int  # bytes
    codes: int  # bytes of the moments of the codes in it
    gradients: int  # bytes that devices add up in a step
    gflop: float  # of a step with the config's batch
    batch: int

    def compute_s(self, device: str, share: float) -> float:
        """Seconds of a step of the config's batch on one device, at this share of its peak."""
        return self.gflop * 1e9 / (share * DEVICES[device][0])

    def exchange_s(self, device: str, devices: int) -> float:
        """Seconds in which so many devices add up their gradients, if nothing else goes on.

        In a ring twice their bytes, less a part, pass through each device.
        """
        return 2 * self.gradients * (devices - 1) / devices / DEVICES[device][2]


def nbytes(tree: object) -> int:
    """Bytes of all arrays of a tree, or of their shapes."""
    return sum(math.prod(a.shape) * a.dtype.itemsize for a in jax.tree.leaves(tree))


def learner_of(config: ml_collections.ConfigDict, tasks: int) -> tuple[Learner, int]:
    """A learner with room for so many tasks of ten classes, and the most replay of a batch."""
    nets = build_nets(config, NUM_CLASSES, tasks)
    spec = replay_spec(config, jnp.ones((tasks, NUM_CLASSES), bool))
    num_replay = config.batch_size - max(1, round(config.batch_size / tasks))
    ends = range(1000, 1000 * (tasks + 1), 1000)
    return build_learner(config, nets, spec, ends, num_replay), num_replay


def lowered(
    learner: Learner, batch_size: int, num_replay: int
) -> tuple[TrainState, jax.stages.Lowered]:
    """The shapes of a state, and the program of a step; nothing is compiled or computed."""
    state = jax.eval_shape(lambda key: begin_task(learner.init(key)), jax.random.key(0))
    shape = (batch_size, *learner.nets.image_shape)
    form = jax.ShapeDtypeStruct
    rows = form((batch_size,), np.int32)
    batch = Batch(form(shape, np.uint8), rows, rows, form((), np.int32))
    key = jax.eval_shape(jax.random.key, 0)
    step = jax.jit(
        lambda *given: learner.train_step(*given),
        donate_argnums=0,
        compiler_options=ops.compiler_options(),
    )
    return state, step.lower(state, key, batch)


def sizes(config: ml_collections.ConfigDict, tasks: int, work: bool = True) -> Sizes:
    """Counts; without `work` the step is not traced, and its GFLOP are 0."""
    learner, num_replay = learner_of(config, tasks)
    state = jax.eval_shape(learner.init, jax.random.key(0))
    trained = trained_networks(learner.nets, learner.hyper)
    gradients = sum(
        nbytes(state.params[name]) * (config.loss.n_critic if phase == "critic" else 1)
        for phase, names in trained.items()
        for name in names
    )
    gflop = 0.0
    if work:
        with plainly():
            gflop = flops(lowered(learner, config.batch_size, num_replay)[1]) / 1e9
    parameters = sum(math.prod(a.shape) for a in jax.tree.leaves(state.params))
    codes = nbytes((state.codes, state.replay["codes"])) if state.codes else 0
    return Sizes(parameters, nbytes(state), codes, gradients, gflop, config.batch_size)


def table(counts: dict[str, dict[int, Sizes]], share: float) -> str:
    """The table of all configs."""
    head = f"{'':<18}{'tasks':>6}{'parameters':>12}{'state MB':>10}{'codes MB':>10}"
    head += f"{'grad. MB':>10}{'GFLOP':>9}"
    head += "".join(f"{name:>10}{'exchange':>10}" for name in DEVICES)
    lines = [head]
    for name, by_tasks in counts.items():
        for tasks, s in by_tasks.items():
            line = f"{name:<18}{tasks:>6}{s.parameters:>12,}{s.state / 1e6:>10.1f}"
            line += f"{s.codes / 1e6:>10.1f}{s.gradients / 1e6:>10.1f}"
            if s.gflop:
                line += f"{s.gflop:>9.1f}"
                for device in DEVICES:
                    line += f"{1e3 * s.compute_s(device, share):>10.2f}"
                    line += f"{1e3 * s.exchange_s(device, MANY):>10.2f}"
            lines.append(line)
    return "\n".join(lines)


def check() -> list[dict]:
    """Temporaries of the compiled step by batch size, against the line through the outer two."""
    found = []
    for name in ("residual 16x16x1", "residual 32x32x3"):
        file, preset = CONFIGS[name]
        config = get_config(f"configs/{file}.py:{preset}")
        held = {}
        for batch_size in CHECKED:
            config.batch_size = batch_size
            learner, num_replay = learner_of(config, 2)
            compiled = lowered(learner, batch_size, num_replay)[1].compile()
            held[batch_size] = compiled.memory_analysis().temp_size_in_bytes
        low, middle, high = CHECKED
        slope = (held[high] - held[low]) / (high - low)
        line = held[low] + slope * (middle - low)
        found.append(
            {"config": name, "bytes": held, "bytes_an_image": slope, "off": held[middle] / line - 1}
        )
        print(
            f"{name:<18}"
            + "".join(f"  batch {b}: {m / 1e6:.1f} MB" for b, m in held.items())
            + f"  {slope / 1e6:.2f} MB an image, {100 * found[-1]['off']:+.1f} % off the line",
            flush=True,
        )
    return found


def main() -> None:
    """Parses the flags, counts, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=0.3, help="of a device's peak, assumed")
    parser.add_argument("--check", action="store_true", help="compile, and compare temporaries")
    parser.add_argument("--json", help="file for the figures")
    args = parser.parse_args()
    if args.check:
        found: object = check()
    else:
        counts = {}
        for name, (file, preset) in CONFIGS.items():
            config = get_config(f"configs/{file}.py:{preset}")
            counts[name] = {n: sizes(config, n, work=n == 2) for n in (2, 100)}
        print(f"a step at {100 * args.share:.0f} % of a device's peak: assumed, not measured")
        print(table(counts, args.share))
        found = {
            name: {n: dataclasses.asdict(s) for n, s in by_tasks.items()}
            for name, by_tasks in counts.items()
        }
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
