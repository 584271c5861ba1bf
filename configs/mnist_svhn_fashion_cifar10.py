"""MNIST, SVHN, Fashion-MNIST, then CIFAR-10: four domains, a sequence of our own, through TFDS.

    python -m lgaa_jax.prepare mnist svhn_cropped fashion_mnist cifar10
    python launch.py --config=configs/mnist_svhn_fashion_cifar10.py          # wants a GPU
    python launch.py --config=configs/mnist_svhn_fashion_cifar10.py:small    # for a CPU

32x32x3; grey is repeated in all channels. The default is the paper's size. `:small` has
reduced width and takes 2,000 steps a task; `:smoke` is a few steps, for tests.
"""

import ml_collections

from configs import default

PRESETS = ("", "small", "smoke")


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    """preset: one of `PRESETS`."""
    default.check_preset(preset, PRESETS, "mnist_svhn_fashion_cifar10")
    c = default.get_config()
    c.tasks = "mnist,svhn_cropped,fashion_mnist,cifar10"
    default.colour(c, 32, preset, small_steps=2000)
    return c
