"""MNIST, then Fashion-MNIST (Ye and Bors 2024), through TFDS.

    python -m lgaa_jax.prepare mnist fashion_mnist
    python launch.py --config=configs/mnist_fashion.py          # the paper's schedule; wants a GPU
    python launch.py --config=configs/mnist_fashion.py:small    # reduced width, for a CPU

The default is the paper's size: 32x32x3, batch 64, 20 epochs a task. `:published` also goes back to
the optimisers, the normalisation and the gradients of the published code where this project departs
from them by a config key. `:smoke` is a few steps, for tests.
"""

import ml_collections

from configs import default

PRESETS = ("", "published", "small", "smoke")


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    """preset: one of `PRESETS`."""
    default.check_preset(preset, PRESETS, "mnist_fashion")
    c = default.get_config()
    c.tasks = "mnist,fashion_mnist"
    c.data.size = 32
    if preset in ("", "published"):
        default.paper(c, 32)
    if preset == "published":
        default.published(c)
    if preset == "small":
        c.steps_per_task = 2000
        c.loss.beta = 0.3  # replay and reconstructions have more detail (docs/results.md)
    if preset == "smoke":
        default.shrink(c)
    return c
