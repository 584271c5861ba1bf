"""Trains the same 20 steps on 1, 2 and 8 devices, over a task change; prints what came out as JSON.

A program of its own, as a process has one number of devices. test_devices.py starts it.
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.collectives import collectives
from configs import default
from lgaa_jax.data.split import Split
from lgaa_jax.evaluation.inference import decode, encode
from lgaa_jax.evaluation.split_metrics import evaluate
from lgaa_jax.networks import ops
from lgaa_jax.networks.nets import build_nets
from lgaa_jax.training.batch import Pool
from lgaa_jax.training.devices import build_layout
from lgaa_jax.training.learner import build_learner
from lgaa_jax.training.replay import replay_spec
from lgaa_jax.training.state import begin_task, shardings
from lgaa_jax.training.train_step import make_train_steps

CLASSES, TASKS, STEPS, IMAGES = 4, 2, 10, 40


def train(config, devices):
    """Losses of each step, the last state, an evaluation, the collectives of both, and bytes.

    These are what the first device holds of the state.
    """
    config.devices = devices
    layout = build_layout(config)
    nets = build_nets(config, CLASSES, TASKS)
    spec = replay_spec(config, jnp.ones((TASKS, CLASSES), bool))
    ends, size = (STEPS, 2 * STEPS), config.batch_size
    learner = build_learner(config, nets, spec, ends, size // 2, layout)
    state = jax.jit(learner.init)(jax.random.key(1))
    where = shardings(state, layout)
    state = jax.device_put(state, where)
    key = jax.device_put(jax.random.key(7), layout.whole)
    step = jax.jit(
        make_train_steps(learner.train_step),
        donate_argnums=0,
        out_shardings=(where, layout.whole),
        compiler_options=ops.compiler_options(),
    )
    rng, losses, compiled = np.random.default_rng(0), [], None
    placed = layout.by_row(axis=1), layout.whole, layout.whole
    for task in range(TASKS):
        state = begin_task(state) if task else state
        x = rng.integers(0, 256, (IMAGES, *nets.image_shape), np.uint8)
        u, d = rng.integers(0, CLASSES, IMAGES), np.full(IMAGES, task)
        pool = jax.device_put(Pool(x, u.astype(np.int32), d.astype(np.int32)), layout.whole)
        for _ in range(STEPS):
            indices = rng.integers(0, IMAGES, (1, size)).astype(np.int32)
            real = np.int32(size // (task + 1))
            given = state, key, pool, *jax.device_put((indices, real, np.int32(1)), placed)
            compiled = compiled or step.lower(*given).compile()
            with jax.transfer_guard("disallow"):
                state, metrics = compiled(*given)
            losses.append({name: float(value) for name, value in metrics.items()})
    held = sum(a.addressable_shards[0].data.nbytes for a in jax.tree.leaves(state))
    params, images = layout.whole_of(state.evaluated), x[:size]
    split, alike = Split(images, u[:size], u[:size]), np.ones(TASKS, bool)
    evaluated = evaluate(nets, params, spec.class_mask, alike, split, size, layout)
    z, of_class = np.zeros((size, nets.code_size), np.float32), np.eye(CLASSES, dtype=np.float32)
    codes = z, of_class[u[:size]], np.eye(TASKS, dtype=np.float32)[d[:size]]
    moved = [
        found
        for program, given in ((encode, [images]), (decode, [*codes]))
        for found in collectives(program.lower(nets, params, *layout.put(given)).compile())
    ]
    return losses, jax.device_get(state), evaluated, collectives(compiled), moved, held


def main():
    """Prints the differences from one device, and the collectives of eight."""
    jax.config.update("jax_disable_most_optimizations", True)
    config = default.get_config()
    default.shrink(config)
    # At full resolution a class model has so many maxima and ReLUs that at one of them rounding
    # decides, now and then, which way a gradient goes: with means and softplus it goes one way.
    config.net.class_full = 0
    config.update_from_flattened_dict(json.loads(sys.argv[1]))
    found = {}
    expected, state, evaluated, *_, alone = train(config, 1)
    for devices in (2, 8):
        losses, other, sums, moved, moved_in_sums, held = train(config, devices)
        pairs = [(a[name], b[name]) for a, b in zip(expected, losses, strict=True) for name in a]
        pairs += [(evaluated[name], sums[name]) for name in evaluated]
        apart = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), state.params, other.params)
        found[devices] = {
            "losses": max(abs(a - b) / max(abs(a), 1e-3) for a, b in pairs),
            "parameters": max(jax.tree.leaves(apart)),
            "held": held / alone,
            "training": moved,
            "evaluation": moved_in_sums,
            "gradients": sum(a.size for a in jax.tree.leaves(state.params))
            + sum(a.size for a in jax.tree.leaves(state.params["generator"])),  # in two phases
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
