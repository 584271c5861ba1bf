"""Split MNIST, class-incremental: five tasks of two digits, one head of ten classes.

    python -m lgaa_jax.prepare mnist
    python launch.py --config=configs/split_mnist.py

No image of an earlier task is kept, and nothing tells the class model which task a test image is
of. The mean over the tasks' test accuracies after the last one is `average_accuracy`. This is small
already, 16x16 grey images, so `:small` changes nothing; `:smoke` is a few steps, for tests.
"""

import ml_collections

from configs import default

PRESETS = ("", "small", "smoke")


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    """preset: one of `PRESETS`."""
    default.check_preset(preset, PRESETS, "split_mnist")
    c = default.get_config()
    default.split(c, "mnist")
    if preset == "smoke":
        default.shrink(c)
    return c
