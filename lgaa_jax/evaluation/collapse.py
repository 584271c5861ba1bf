"""Signs that replay of a task has collapsed: few classes, images alike, images of no class.

The bounds lie far below what sound runs have. Of quickstart, split MNIST and MNIST with
Fashion-MNIST, the balance was at least 0.99 and the share of sure images 0.58.
"""

from collections.abc import Sequence

import numpy as np

from lgaa_jax.evaluation.sample_metrics import class_balance

SURE = 0.9  # probability of a class from which on an image is surely of it
BOUNDS = {"balance": 0.7, "sure": 0.3, "diversity": 0.25}
SENTENCES = {
    "balance": "it has few of its classes (balance {:.2f}, 1 where all are drawn alike)",
    "sure": "the class model is sure of {:.0%} of its images only",
    "diversity": "its images vary {:.2f} times as much as the real ones",
}


def signs(
    drawn: np.ndarray, real: np.ndarray, probabilities: np.ndarray, classes: Sequence[int]
) -> dict[str, float]:
    """The values of `BOUNDS` for images of one task.

    drawn, real: uint8 [n, H, W, C] and [m, H, W, C]; probabilities: [n, U], of the class model for
    `drawn`; classes: labels of the task; without any, the diversity alone is returned. It is the
    variance of the drawn images over that of the real ones, summed over pixels; for real images
    that are all alike it is left out.
    """
    of_drawn, of_real = (float(np.var(x / 255.0, axis=0).sum()) for x in (drawn, real))
    found = {"diversity": of_drawn / of_real} if of_real > 0 else {}
    if len(classes):
        found["balance"] = max(0.0, class_balance(probabilities.argmax(axis=-1), classes))
        found["sure"] = float(np.mean(probabilities.max(axis=-1) >= SURE))
    return found


def warning(task: str, found: dict[str, float]) -> str | None:
    """One sentence on what lies below its bound; None where nothing does."""
    low = [SENTENCES[name].format(found[name]) for name in BOUNDS if _low(found, name)]
    if not low:
        return None
    return f"replay of {task} may have collapsed: {'; '.join(low)}"


def _low(found: dict[str, float], name: str) -> bool:
    return name in found and found[name] < BOUNDS[name]
