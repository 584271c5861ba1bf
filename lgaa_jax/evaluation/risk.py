"""The terms of the paper's risk analysis, for 0-1 loss and a finite family (docs/theory.md)."""

import numpy as np


def disagreement(a: np.ndarray, b: np.ndarray) -> float:
    """Expected 0-1 loss between two labellings of the same images, [n] each."""
    return float(np.mean(a != b))


def discrepancy(on_p: np.ndarray, on_q: np.ndarray) -> float:
    """max over h, h' of |E_P [h != h'] - E_Q [h != h']| (Mansour et al. 2009, 0-1 loss).

    on_p: [M, n], on_q: [M, m]: the labels that each of the M members of the family gives to n
    images of P and m of Q. A finite family gives a lower bound of the discrepancy over all of H.
    """
    members = range(len(on_p))
    return max(
        abs(disagreement(on_p[i], on_p[j]) - disagreement(on_q[i], on_q[j]))
        for i in members
        for j in members
    )


def terms(
    on_p: np.ndarray, labels: np.ndarray, on_q: np.ndarray, h: int, g: int
) -> dict[str, float]:
    """The two sides of  R(h; P, f) <= R(h; Q, g) + disc(P, Q) + R(g; P, f)  and their parts.

    on_p, on_q: as in `discrepancy`; labels: [n], f on P; h, g: indices in the family of the class
    model that is judged and of the one that labels the replay. As both are in the family, the
    inequality holds for these very numbers, whatever they were measured on.
    """
    source = disagreement(on_q[h], on_q[g])
    distance, labelling = discrepancy(on_p, on_q), disagreement(on_p[g], labels)
    return {
        "source_risk": source,
        "target_risk": disagreement(on_p[h], labels),
        "discrepancy": distance,
        "labelling_error": labelling,
        "bound": source + distance + labelling,
    }
