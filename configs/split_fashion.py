"""Split Fashion-MNIST, class-incremental: five tasks of two kinds of clothes, one head of ten.

    python -m lgaa_jax.prepare fashion_mnist
    python launch.py --config=configs/split_fashion.py

The protocol of configs/split_mnist.py and its settings, but for those of replay and of the class
model. This is small already, 16x16 grey images, so `:small` changes nothing; `:smoke` is a few
steps, for tests.
"""

import ml_collections

from configs import default

PRESETS = ("", "small", "smoke")


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    """preset: one of `PRESETS`."""
    default.check_preset(preset, PRESETS, "split_fashion")
    c = default.get_config()
    default.split(c, "fashion_mnist")
    # Pullovers, coats and shirts differ by little: what blurs that, or makes it doubtful, costs
    # more here than it brings (docs/networks.md).
    c.replay.update(label="drawn", fraction="balanced")
    c.loss.update(class_noise=0.2, class_shift=0.0)
    if preset == "smoke":
        default.shrink(c)
    return c
