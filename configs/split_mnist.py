"""Split MNIST, class-incremental: five tasks of two digits, one head of ten classes.

    python -m lgaa_jax.prepare mnist
    python launch.py --config=configs/split_mnist.py

No image of an earlier task is kept, and nothing tells the class model which task a test image is
of. The mean over the tasks' test accuracies after the last one is `average_accuracy`. `:smoke` is a
few steps, for tests.
"""

import ml_collections

from configs import default


def get_config(preset: str = "") -> ml_collections.ConfigDict:
    """preset: "" or "smoke"."""
    default.check_preset(preset, ("smoke",), "split_mnist")
    c = default.get_config()
    c.tasks = "mnist[0-1],mnist[2-3],mnist[4-5],mnist[6-7],mnist[8-9]"
    c.steps_per_task = 2500
    # All tasks are of one kind here: against telling replay from real images by its look.
    c.optim.inference.learning_rate = 5e-4
    c.loss.class_noise = 0.3
    c.replay.temperature = 4.0
    c.replay.spread = 1.2
    if preset == "smoke":
        default.shrink(c)
    return c
