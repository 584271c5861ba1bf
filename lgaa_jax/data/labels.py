"""Which of the true labels training may know: the key `labels`."""

import re

import numpy as np

from lgaa_jax.errors import UserError


def label_share(text: str) -> float:
    """Returns which share of the training labels is kept: 1 for "all", 0 for "none"."""
    if text in ("all", "none"):
        return float(text == "all")
    if not re.fullmatch(r"0?\.[0-9]*[1-9][0-9]*", str(text)):
        raise UserError(
            f"labels={text!r} cannot be used; it must be all, none or a share such as 0.1."
        )
    return float(text)


def keep_share(labels: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Replaces all but a share of each class's labels, and at least one of each, by -1."""
    kept = np.full_like(labels, -1)
    for c in np.unique(labels[labels >= 0]):
        indices = rng.permutation(np.flatnonzero(labels == c))
        kept[indices[: max(1, round(share * len(indices)))]] = c
    return kept
