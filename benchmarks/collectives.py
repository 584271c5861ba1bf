"""Lists what moves between devices in a training step, from the compiled programs; runs none.

    python benchmarks/collectives.py --devices=8,64,256 --json=collectives.json
    python benchmarks/collectives.py --devices=8 --shard_state

The programs are compiled for so many devices of a CPU, which XLA makes believe are there, each in a
process of its own. The batch is --rows for all devices together. Bytes are those of the results of
each collective on one device; the gradients' are 4 for each parameter that a phase trains, for each
time that it does.
"""

import argparse
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import time

import jax
import jax.numpy as jnp

# `configs` lies beside this folder and is not installed.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from configs import default
from lgaa_jax.networks import ops
from lgaa_jax.networks.nets import build_nets
from lgaa_jax.training.batch import Pool
from lgaa_jax.training.devices import build_layout
from lgaa_jax.training.hyper import trained_networks
from lgaa_jax.training.learner import build_learner
from lgaa_jax.training.replay import replay_spec
from lgaa_jax.training.state import shardings
from lgaa_jax.training.train_step import make_train_steps

NUM_CLASSES, NUM_TASKS, IMAGES = 10, 2, 1000
NAMES = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
SIZES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2, "s64": 8, "f64": 8}


def collectives(compiled):
    """What moves between devices in a program: operation and shapes, sorted."""
    found = re.findall(rf"= (.*?) ({NAMES})(?:-start)?\(", compiled.as_text())
    return sorted((name, *re.findall(r"\w+\[[\d,]*\]", shapes)) for shapes, name in found)


def num_bytes(shape):
    """Of an array that a program writes like f32[3,4]."""
    dtype, dimensions = shape.rstrip("]").split("[")
    return SIZES.get(dtype, 4) * math.prod(map(int, filter(None, dimensions.split(","))))


def moved(found):
    """Bytes by operation."""
    sums = {}
    for name, *shapes in found:
        sums[name] = sums.get(name, 0) + sum(map(num_bytes, shapes))
    return sums


def analysed(config):
    """The figures of one config, whose devices are there."""
    layout = build_layout(config)
    nets = build_nets(config, NUM_CLASSES, NUM_TASKS)
    spec = replay_spec(config, jnp.ones((NUM_TASKS, NUM_CLASSES), bool))
    size = config.batch_size
    learner = build_learner(config, nets, spec, (10, 20), size // 2, layout)
    state = jax.eval_shape(learner.init, jax.random.key(0))
    where = shardings(state, layout)

    def given(tree, places):
        return jax.tree.map(
            lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s), tree, places
        )

    def whole(shape, dtype):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=layout.whole)

    key = given(jax.eval_shape(lambda: jax.random.key(0)), layout.whole)
    labels = whole((IMAGES,), jnp.int32)
    pool = Pool(whole((IMAGES, *nets.image_shape), jnp.uint8), labels, labels)
    indices = jax.ShapeDtypeStruct((1, size), jnp.int32, sharding=layout.by_row(axis=1))
    numbers = [whole((), jnp.int32)] * 2
    step = jax.jit(
        make_train_steps(learner.train_step),
        donate_argnums=0,
        out_shardings=(where, layout.whole),
        compiler_options=ops.compiler_options(),
    )
    begin = time.monotonic()
    compiled = step.lower(given(state, where), key, pool, indices, *numbers).compile()
    trained = trained_networks(nets, learner.hyper).items()
    times = {phase: learner.hyper.n_critic if phase == "critic" else 1 for phase, _ in trained}
    gradients = sum(
        times[phase] * a.size * 4
        for phase, networks in trained
        for name in networks
        for a in jax.tree.leaves(state.params[name])
    )
    held = sum(
        math.prod(s.shard_shape(a.shape)) * 4
        for a, s in zip(jax.tree.leaves(state), jax.tree.leaves(where), strict=True)
    )
    return {
        "devices": layout.num_devices,
        "rows": size,
        "gradients": gradients,
        "state_on_each": held,
        "moved": moved(collectives(compiled)),
        "count": len(collectives(compiled)),
        "seconds": round(time.monotonic() - begin, 1),
    }


def main():
    """Compiles for each number of devices and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", default="8,64,256")
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--strategy", default="lgaa")
    parser.add_argument("--shard_state", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        jax.config.update("jax_disable_most_optimizations", True)  # of the code, which is not run
        config = default.get_config()
        config.update(devices=int(options.devices), batch_size=options.rows)
        config.update(shard_state=options.shard_state, strategy=options.strategy)
        config.data.update(size=options.size, channels=options.channels)
        print(json.dumps(analysed(config)))
        return
    found = []
    for devices in options.devices.split(","):
        flags = f"--xla_force_host_platform_device_count={devices}"
        command = [sys.executable, *sys.argv, f"--devices={devices}", "--here"]
        environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        found.append(facts := json.loads(done.stdout))
        reduced = facts["moved"].get("all-reduce", 0) / facts["gradients"]
        print(f"{facts}; all-reduce / gradients {reduced:.4f}", flush=True)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
