"""MNIST, then SVHN (Ye and Bors 2024): written digits, then those of house numbers, through TFDS.

    python -m lgaa_jax.prepare mnist svhn_cropped
    python launch.py --config=configs/mnist_svhn.py          # wide networks; wants a GPU
    python launch.py --config=configs/mnist_svhn.py:small    # narrow ones, for a CPU

32x32x3; MNIST's grey is repeated in all channels. The ten labels mean the same in both tasks.
The default takes 20 epochs a task, `:small` 3,000 steps. `:published` has the published networks
and optimisers (docs/fidelity.md); `:smoke` is a few steps, for tests.
"""

import ml_collections

from configs import default

PRESETS = ("", "published", "small", "smoke")


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    """preset: one of `PRESETS`."""
    default.check_preset(preset, PRESETS, "mnist_svhn")
    c = default.get_config()
    c.tasks = "mnist,svhn_cropped"
    c.loss.beta = 0.1  # more detail, and more house numbers are read (docs/networks.md)
    c.code_modes = 16
    c.code_spread = 1.1
    c.eval.confidence = 0.5  # house numbers that cannot be read are drawn again (docs/networks.md)
    # A strong critic: after few steps house numbers vary more than without, and are as true
    # (docs/networks.md).
    c.optim.critic.learning_rate = 6e-4
    c.optim.generator.update(b1=0.9, b2=0.99)
    c.loss.update(r1=0.1, r2=0.1)
    default.colour(c, 32, preset, small_steps=3000)
    return c
