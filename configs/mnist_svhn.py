"""MNIST, then SVHN (Ye and Bors 2024): written digits, then those of house numbers, through TFDS.

    python -m lgaa_jax.prepare mnist svhn_cropped
    python launch.py --config=configs/mnist_svhn.py          # the paper's size; wants a GPU
    python launch.py --config=configs/mnist_svhn.py:small    # reduced width, for a CPU

32x32x3; MNIST's grey is repeated in all channels. The ten labels mean the same in both tasks.
`:small` takes 2,000 steps a task; `:smoke` is a few steps, for tests.
"""

import ml_collections

from configs import default

PRESETS = ("", "small", "smoke")


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    """preset: one of `PRESETS`."""
    default.check_preset(preset, PRESETS, "mnist_svhn")
    c = default.get_config()
    c.tasks = "mnist,svhn_cropped"
    default.colour(c, 32, preset, small_steps=2000)
    return c
