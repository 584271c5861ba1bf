"""CelebA, then CACD (Ye and Bors 2024): faces, then faces of all ages, without labels.

    python -m lgaa_jax.prepare celeb_a
    python launch.py --config=configs/celeba_cacd.py          # wide networks; wants a GPU
    python launch.py --config=configs/celeba_cacd.py:small    # narrow ones, for a CPU

data/cacd must hold the images of CACD (the cross-age celebrity data set, Chen et al. 2014), which
TFDS does not have: the original face images of https://bcsiriuschen.github.io/CARC/, unpacked.
--config.tasks=celeb_a,folder:PATH takes them from another place. The middle 128 and 250 pixels are
taken, as published, and brought to 64x64x3. The default takes 20 epochs a task, `:small` 3,000
steps. `:published` has the published networks, optimisers and five critic updates a step
(docs/fidelity.md); `:smoke` is a few steps at 16x16, for tests.
"""

import ml_collections

from configs import default

PRESETS = ("", "published", "small", "smoke")


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    """preset: one of `PRESETS`."""
    default.check_preset(preset, PRESETS, "celeba_cacd")
    c = default.get_config()
    c.tasks = "celeb_a,folder:data/cacd"
    c.labels = "none"
    c.data.crop = "128,250"
    default.colour(c, 64, preset, small_steps=3000)
    return c
