"""Inception features, by torch-fidelity (`pip install -e '.[fid]'`). The only module that knows it.

The weights file is the PyTorch state dict of the TensorFlow network that the FID is defined by,
`weights-inception-2015-12-05-6726825d.pth` among the releases of torch-fidelity on GitHub.
"""

import importlib.util
import os

import numpy as np

from lgaa_jax.errors import UserError
from lgaa_jax.evaluation.sample_metrics import frechet_distance

BATCH = 50


def check(weights: str) -> None:
    """Raises UserError when features could not be had with the file `weights`."""
    if not os.path.isfile(weights):
        raise UserError(f"eval.inception_weights={weights!r} is not a file; name the .pth file.")
    if importlib.util.find_spec("torch_fidelity") is None:
        raise UserError("eval.inception_weights needs torch-fidelity; run pip install -e '.[fid]'.")


def features(images: np.ndarray, weights: str) -> np.ndarray:
    """The pool features [n, 2048] of images [n, H, W, 1 or 3] uint8; raises UserError."""
    # Here, because PyTorch takes seconds and hundreds of MB.
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    layer = "2048"
    try:
        network = FeatureExtractorInceptionV3(
            "inception", [layer], feature_extractor_weights_path=weights
        )
    except Exception as error:  # of unpickling and of loading a state dict: a dozen kinds
        raise UserError(
            f"eval.inception_weights={weights!r} does not hold the weights of torch-fidelity's "
            f"Inception network ({type(error).__name__}); download the file again."
        ) from error
    rgb = np.broadcast_to(images, (*images.shape[:-1], 3)).transpose(0, 3, 1, 2)
    with torch.no_grad():
        parts = [
            network(torch.from_numpy(rgb[start : start + BATCH].copy()))[0].numpy()
            for start in range(0, len(rgb), BATCH)
        ]
    return np.concatenate(parts)


def distance(real: np.ndarray, fake: np.ndarray, weights: str) -> float:
    """The FID of two sets of images as `features` takes them."""
    return frechet_distance(*(features(images, weights) for images in (real, fake)))
