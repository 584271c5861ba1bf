"""Digits, then letters: data that comes with the installation, 16x16 grey images, minutes on a CPU.

    python launch.py --config=configs/quickstart.py

1,797 handwritten digits (scikit-learn), then the letters A to J in the fonts of Matplotlib.
This is small already, so `:small` changes nothing; `:smoke` is the same in seconds, to see that
everything runs.
"""

import ml_collections

from configs import default

PRESETS = ("", "small", "smoke")


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    """preset: one of `PRESETS`."""
    default.check_preset(preset, PRESETS, "quickstart")
    c = default.get_config()
    c.tasks = "digits,letters"
    c.steps_per_task = 850
    c.loss.beta = 0.1  # small images have a small squared error; at 1 the code carries too little
    c.code_noise = 0.75  # digits vary more than with 0.5 (docs/networks.md)
    c.optim.autoencoder.b2 = 0.999  # they vary more than with 0.99, too
    c.net.class_full = 0  # a third less time a step, and these classes are told apart as well
    c.eval.samples = 2000
    c.eval.classifier_steps = 300
    if preset == "smoke":
        default.shrink(c)
    return c
