"""MNIST, SVHN, Fashion-MNIST, then CIFAR-10: four domains, a sequence of our own, through TFDS.

    python -m lgaa_jax.prepare mnist svhn_cropped fashion_mnist cifar10
    python launch.py --config=configs/mnist_svhn_fashion_cifar10.py          # wants a GPU
    python launch.py --config=configs/mnist_svhn_fashion_cifar10.py:small    # for a CPU

32x32x3; grey is repeated in all channels. The default has wide networks and takes 20 epochs a task,
`:small` narrow ones and 2,000 steps. `:published` has the published networks and optimisers
(docs/fidelity.md); `:smoke` is a few steps, for tests.
"""

import ml_collections

from configs import default

PRESETS = ("", "published", "small", "smoke")


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    """preset: one of `PRESETS`."""
    default.check_preset(preset, PRESETS, "mnist_svhn_fashion_cifar10")
    c = default.get_config()
    c.tasks = "mnist,svhn_cropped,fashion_mnist,cifar10"
    c.loss.beta = 0.1  # more detail, as of MNIST with one of the others (docs/networks.md)
    c.code_modes = 16
    c.code_spread = 1.1
    c.eval.confidence = 0.5  # house numbers that cannot be read are drawn again
    default.colour(c, 32, preset, small_steps=2000)
    if preset == "small":
        c.net.class_width = 32  # clothes want it
    return c
