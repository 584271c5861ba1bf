"""How well what was inferred without labels tells the true classes apart."""

import numpy as np

PROBE = {"C": 1.0, "max_iter": 1000}  # inverse L2 penalty of the probe, and most iterations


def accuracy(found: np.ndarray, truth: np.ndarray) -> float:
    """Share of examples that are right when each class found stands for at most one true class.

    Of all such assignments the best is taken (the Hungarian method; Kuhn 1955). There may be more
    or fewer classes found than true ones. found, truth: [n] int32, not negative.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import

    together = np.zeros((found.max() + 1, truth.max() + 1), np.int64)
    np.add.at(together, (found, truth), 1)
    return float(together[linear_sum_assignment(together, maximize=True)].sum() / len(truth))


def linear_probe(
    codes: np.ndarray, labels: np.ndarray, test_codes: np.ndarray, test_labels: np.ndarray
) -> float | None:
    """Test accuracy of multinomial logistic regression from codes to labels.

    None where all labels are the same: there is nothing to tell apart. The codes are standardised
    by the mean and deviation of the training codes. codes, test_codes: [n, Z] and [m, Z]; labels,
    test_labels: [n] and [m].
    """
    if len(np.unique(labels)) < 2:
        return None
    from sklearn.linear_model import LogisticRegression  # slow to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(**PROBE))
    return float(model.fit(codes, labels).score(test_codes, test_labels))
