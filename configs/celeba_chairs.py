"""CelebA, then 3D-Chairs (Ye and Bors 2024): faces, then rendered chairs, without labels.

    python -m lgaa_jax.prepare celeb_a
    python launch.py --config=configs/celeba_chairs.py          # wide networks; wants a GPU
    python launch.py --config=configs/celeba_chairs.py:small    # narrow ones, for a CPU

data/chairs must hold the images of 3D-Chairs ("Seeing 3D chairs", Aubry et al. 2014), which TFDS
does not have: rendered_chairs.tar of https://www.di.ens.fr/willow/research/seeing3Dchairs/,
unpacked, in folders of any names. --config.tasks=celeb_a,folder:PATH takes them from another place.
The middle 128 and 300 pixels are taken, as published, and brought to 64x64x3. The default takes 20
epochs a task, `:small` 3,000 steps. `:published` has the published networks, optimisers and five
critic updates a step (docs/fidelity.md); `:smoke` is a few steps at 16x16, for tests.
"""

import ml_collections

from configs import default

PRESETS = ("", "published", "small", "smoke")


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    """preset: one of `PRESETS`."""
    default.check_preset(preset, PRESETS, "celeba_chairs")
    c = default.get_config()
    c.tasks = "celeb_a,folder:data/chairs"
    c.labels = "none"
    c.data.crop = "128,300"
    default.colour(c, 64, preset, small_steps=3000)
    return c
