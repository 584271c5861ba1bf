"""Time `lgaa_jax.ops` against plain `jax.lax` on the layers of our networks, batch 64.

    python benchmarks/conv.py --repeats=15 --cases=small,paper

Prints, for each case, the median milliseconds of one value and gradient: plain, ours, their
ratio, and the same for ours inside `lax.scan`. For a critic the value includes the gradient
penalty. The two ways take turns, so that other load on the machine falls on both.
"""

import argparse
import statistics
import time

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from lgaa_jax.networks import ops

BATCH = 64
LOOP = 2  # steps in the scan


def plain_pool(x):
    """The max pooling that `ops.max_pool` replaces."""
    return nn.max_pool(x, (2, 2), (2, 2))


PLAIN = (ops.plain_conv, ops.plain_conv_transpose, plain_pool)
OURS = (ops.conv, ops.conv_transpose, ops.max_pool)


def generator(way, kernels, x):
    """Two up blocks from 8x8 and the last convolution."""
    conv, up, _ = way
    for i in (0, 2):
        x = nn.relu(up(x, kernels[i]))
        x = nn.relu(conv(x, kernels[i + 1], 1))
    return jnp.mean(jnp.tanh(conv(x, kernels[4], 1)) ** 2)


def critic(way, kernels, x):
    """Wasserstein loss with gradient penalty."""

    def score(x):
        for kernel in kernels:
            x = nn.leaky_relu(way[0](x, kernel, 2), 0.2)
        return x.mean((1, 2, 3))

    slope = jax.grad(lambda x: score(x).sum())(x)
    norm = jnp.sqrt(jnp.sum(slope**2, (1, 2, 3)) + 1e-12)
    return jnp.mean(score(x) - score(-x) + 10 * (norm - 1) ** 2)


def class_model(way, kernels, x):
    """Two 5x5 convolutions, each with its pooling."""
    conv, _, pool = way
    for kernel in kernels:
        x = nn.relu(pool(conv(x, kernel, 1)))
    return jnp.mean(x**2)


def generator_kernels(width, channels):
    """Kernel shapes of `generator`."""
    return [(3, 3, width, width)] * 4 + [(3, 3, width, channels)]


def critic_kernels(channels, *widths):
    """Kernel shapes of `critic`."""
    return [(3, 3, i, o) for i, o in zip((channels, *widths), widths, strict=False)]


# name: (loss, shapes of the kernels, height and width of the input, its channels)
CASES = {
    "small": {
        "generator 8 to 32, 64": (generator, generator_kernels(64, 1), 8, 64),
        "critic 32x32x1, 16-128": (critic, critic_kernels(1, 16, 32, 64, 128), 32, 1),
        "critic 16x16x1, 16-128": (critic, critic_kernels(1, 16, 32, 64, 128), 16, 1),
        "class model 32x32x1": (class_model, [(5, 5, 1, 32), (5, 5, 32, 64)], 32, 1),
    },
    "paper": {
        "generator 8 to 32, 256": (generator, generator_kernels(256, 3), 8, 256),
        "critic 32x32x3, 64-512": (critic, critic_kernels(3, 64, 128, 256, 512), 32, 3),
    },
}


def step(loss, way, wrt):
    """One jitted value and gradient."""
    return jax.jit(lambda kernels, x: jax.value_and_grad(loss, wrt)(way, kernels, x))


def loop(loss, way):
    """`LOOP` steps of gradient descent in one scan."""

    def descend(kernels, x):
        gradient = jax.grad(loss, 1)(way, kernels, x)
        return jax.tree.map(lambda k, g: k - 1e-3 * g, kernels, gradient), None

    return jax.jit(
        lambda kernels, x: jax.lax.scan(lambda k, _: descend(k, x), kernels, None, LOOP)[0]
    )


def medians(functions, args, repeats):
    """Median milliseconds of each function, taking turns."""
    for function in functions:
        jax.block_until_ready(function(*args))
    times = [[] for _ in functions]
    for _ in range(repeats):
        for taken, function in zip(times, functions, strict=True):
            start = time.perf_counter()
            jax.block_until_ready(function(*args))
            taken.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(taken) for taken in times]


def measure(loss, shapes, size, channels, repeats):
    """Milliseconds of plain, ours, and ours in a loop."""
    rng = np.random.default_rng(0)
    kernels = [jnp.asarray(0.05 * rng.normal(size=s), jnp.float32) for s in shapes]
    x = jnp.asarray(rng.normal(size=(BATCH, size, size, channels)), jnp.float32)
    wrt = (1, 2) if loss is generator else 1  # below a generator's convolutions lies a layer
    functions = [step(loss, PLAIN, wrt), step(loss, OURS, wrt), loop(loss, OURS)]
    plain, ours, looped = medians(functions, (kernels, x), repeats)
    return plain, ours, looped / LOOP


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description="time our convolutions against plain jax.lax")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--cases", default="small", help="comma-separated: " + ", ".join(CASES))
    args = parser.parse_args()
    print(f"jax {jax.__version__} on {jax.default_backend()}, batch {BATCH}, median ms")
    print(f"{'case':<24} {'plain':>9} {'ours':>9} {'ratio':>6} {'in scan':>9}")
    for group in args.cases.split(","):
        if group not in CASES:
            parser.error(f"--cases must be among {', '.join(CASES)}, got {group}")
        for name, case in CASES[group].items():
            plain, ours, looped = measure(*case, args.repeats)
            row = f"{name:<24} {plain:9.1f} {ours:9.1f} {plain / ours:6.2f} {looped:9.1f}"
            print(row, flush=True)


if __name__ == "__main__":
    main()
