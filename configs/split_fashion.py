"""Split Fashion-MNIST, class-incremental: five tasks of two kinds of clothes, one head of ten.

    python -m lgaa_jax.prepare fashion_mnist
    python launch.py --config=configs/split_fashion.py

The protocol and the settings of configs/split_mnist.py. This is small already, 16x16 grey images,
so `:small` changes nothing; `:smoke` is a few steps, for tests.
"""

import ml_collections

from configs import default

PRESETS = ("", "small", "smoke")


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    """preset: one of `PRESETS`."""
    default.check_preset(preset, PRESETS, "split_fashion")
    c = default.get_config()
    default.split(c, "fashion_mnist")
    if preset == "smoke":
        default.shrink(c)
    return c
