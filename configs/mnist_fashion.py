"""MNIST, then Fashion-MNIST (Ye and Bors 2024), through TFDS.

    python -m lgaa_jax.prepare mnist fashion_mnist
    python launch.py --config=configs/mnist_fashion.py          # wide networks; wants a GPU
    python launch.py --config=configs/mnist_fashion.py:small    # narrow ones, for a CPU

32x32x1, batch 64. The default has the paper's schedule of 20 epochs a task, `:small` 2,800 steps.
`:published` has the published networks for 32x32x3, their optimisers, normalisation and gradients:
it goes back to the published code wherever this project departs from it by a config key
(docs/fidelity.md). `:smoke` is a few steps, for tests.
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
    # More detail, and digits vary more (docs/networks.md).
    c.loss.beta = 0.1
    c.code_noise = 0.75
    c.loss.class_shift = 0.0  # clothes are told apart better as they are
    c.code_modes = 16  # one normal for a digit draws codes between its forms
    c.code_spread = 1.1  # samples are truer than they have to be, and vary more (docs/networks.md)
    c.replay.spread = 1.0  # digits vary enough without, and are truer (docs/networks.md)
    c.eval.confidence = 0.5  # what cannot be read as asked for is drawn again (docs/networks.md)
    if preset == "":
        default.wide(c)
        c.net.code_size = 64  # of 128 numbers, samples are less true (docs/networks.md)
    if preset == "published":
        default.published(c)
    if preset == "small":
        c.steps_per_task = 2800
        c.net.class_width = 32
        c.net.code_size = 32  # one normal fits fewer numbers better (docs/networks.md)
    if preset == "smoke":
        default.shrink(c)
    return c
