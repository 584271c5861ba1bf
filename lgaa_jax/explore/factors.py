"""How the codes of a model hold the known factors of images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lgaa_jax.explore import disentanglement
from lgaa_jax.model.model import Model

NAMES = ("class",)  # the factors whose values are names and no quantities
Known = tuple[np.ndarray, np.ndarray]  # images [n, H, W, C] uint8, their factors [n, K] from 0


def held(model: Model, names: Sequence[str], train: Known, test: Known) -> dict[str, Any]:
    """How disentangled the codes are, by code: z alone, and z with the inferred class beside it.

    names: of the factors. The trees of DCI are fitted to the training images; all else is of the
    test images. Factors that do not vary are left out.
    """
    varies = np.all([np.ptp(factors, axis=0) > 0 for _, factors in (train, test)], axis=0)
    names = [name for name, given in zip(names, varies, strict=True) if given]
    factors, test_factors = (own[:, varies] for _, own in (train, test))
    z, test_z = (model.encode(images) for images, _ in (train, test))
    found = {"z": scores(z, factors, test_z, test_factors, names)}
    if model.nets.num_classes:
        with_class, test_with_class = (
            np.column_stack([code, model.classify(images)])
            for code, (images, _) in zip((z, test_z), (train, test), strict=True)
        )
        found["z_and_class"] = scores(with_class, factors, test_with_class, test_factors, names)
    return found


def scores(
    codes: np.ndarray,
    factors: np.ndarray,
    test_codes: np.ndarray,
    test_factors: np.ndarray,
    names: Sequence[str],
) -> dict[str, Any]:
    """MIG and DCI of a code, and what they are the means of. Arguments: as of `dci` and `held`."""
    gaps = disentanglement.gaps(test_codes, test_factors)
    at_random = disentanglement.gaps(disentanglement.turned(test_codes), test_factors)
    named = np.isin(names, NAMES)
    dci = disentanglement.dci(codes, factors, test_codes, test_factors, named)
    columns = gaps, dci.completeness_by_factor, dci.informativeness_by_factor
    rows = zip(names, *(column.tolist() for column in columns), strict=True)
    return {
        "mig": float(gaps.mean()),
        "mig_turned": float(at_random.mean()),
        "disentanglement": dci.disentanglement,
        "completeness": dci.completeness,
        "informativeness": dci.informativeness,
        "by_factor": {
            name: {"mig": gap, "completeness": complete, "informativeness": told}
            for name, gap, complete, told in rows
        },
    }
