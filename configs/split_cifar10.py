"""Split CIFAR-10, class-incremental: five tasks of two kinds of things, one head of ten classes.

    python -m lgaa_jax.prepare cifar10
    python launch.py --config=configs/split_cifar10.py

The protocol and the settings of configs/split_mnist.py, for 32x32 colour images. The networks are
small already, so `:small` changes nothing; `:smoke` is a few steps, for tests.
"""

import ml_collections

from configs import default

PRESETS = ("", "small", "smoke")


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    """preset: one of `PRESETS`."""
    default.check_preset(preset, PRESETS, "split_cifar10")
    c = default.get_config()
    default.split(c, "cifar10")
    c.data.update(size=32, channels=3)
    if preset == "smoke":
        default.shrink(c)
    return c
