"""Whether a model tells images of a task that it has not learned from those of its own.

Two scores of an image, higher for what is new: the error of its reconstruction, and how thinly the
codes of the learned tasks lie where its own is.
"""

import numpy as np

from lgaa_jax.explore.codes import log_density
from lgaa_jax.model.model import Model


def scores(model: Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of novelty by name: [n] each. images: [n, H, W, C] uint8 in the model's form."""
    apart = np.float64(model.reconstruct(images, floats=True)) - images / 255
    return {
        "reconstruction_error": np.square(apart).mean((1, 2, 3)),
        "code_density": -log_density(model, model.encode(images)),
    }


def auroc(known: np.ndarray, unknown: np.ndarray) -> float:
    """Chance that an unknown image scores higher than a known one, ties counting half.

    The area under the ROC curve. known, unknown: scores [n] and [m].
    """
    from sklearn.metrics import roc_auc_score  # slow to import

    truth = np.concatenate([np.zeros(len(known)), np.ones(len(unknown))])
    return float(roc_auc_score(truth, np.concatenate([known, unknown])))


def detection(model: Model, known: np.ndarray, unknown: np.ndarray) -> dict[str, float]:
    """`auroc` of each score. known: images of learned tasks; unknown: of one that is not."""
    own, other = scores(model, known), scores(model, unknown)
    return {name: auroc(own[name], other[name]) for name in own}
