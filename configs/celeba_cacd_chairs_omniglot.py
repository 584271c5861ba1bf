"""CelebA, CACD, 3D-Chairs, then Omniglot: four domains without labels.

The data sets of Ye and Bors 2024 at 64x64 and Omniglot, in a sequence of our own.

    python -m lgaa_jax.prepare celeb_a omniglot
    python launch.py --config=configs/celeba_cacd_chairs_omniglot.py          # wants a GPU
    python launch.py --config=configs/celeba_cacd_chairs_omniglot.py:small    # for a CPU

data/cacd and data/chairs must hold the images of CACD (Chen et al. 2014) and of 3D-Chairs (Aubry et
al. 2014), as configs/celeba_cacd.py and configs/celeba_chairs.py say; --config.tasks names other
folders. All is brought to 64x64x3, Omniglot's 105x105 uncropped. The default takes 20 epochs a
task, `:small` 3,000 steps. `:published` has the published networks, optimisers and five critic
updates a step (docs/fidelity.md); `:smoke` is a few steps at 16x16, for tests.
"""

import ml_collections

from configs import default

PRESETS = ("", "published", "small", "smoke")


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    """preset: one of `PRESETS`."""
    default.check_preset(preset, PRESETS, "celeba_cacd_chairs_omniglot")
    c = default.get_config()
    c.tasks = "celeb_a,folder:data/cacd,folder:data/chairs,omniglot"
    c.labels = "none"
    c.data.crop = "128,250,300,0"
    default.colour(c, 64, preset, small_steps=3000)
    return c
