"""Generated images that the class model reads as the class that was asked for.

Rejection sampling by a classifier (Razavi et al. 2019, "Generating diverse high-fidelity images
with VQ-VAE-2"), which here is the class model of the run itself.
"""

import functools
from collections.abc import Callable

import jax
import numpy as np

from lgaa_jax.evaluation.batches import in_batches
from lgaa_jax.evaluation.inference import class_logits
from lgaa_jax.networks.nets import Nets, Params
from lgaa_jax.training.devices import ONE_DEVICE, Layout
from lgaa_jax.training.state import TrainState

TRIES = 4  # draws of an image at most, the first among them


def confident(
    images: np.ndarray,
    again: Callable[[int], np.ndarray],
    nets: Nets,
    state: TrainState,
    u: np.ndarray,
    least: float,
    size: int,
    layout: Layout = ONE_DEVICE,
) -> np.ndarray:
    """The images, and others where the class asked for has a probability below `least`.

    Of `TRIES` draws each place has the first that comes to `least`, or else the most probable.
    images: [n, H, W, C] uint8; again: from 1, 2 ... to another draw of all, of the same classes
    u: [n], -1 where there is none; state: with the class model; size: of the batches.
    """
    if least <= 0 or nets.class_model is None or (u < 0).all():
        return images
    asked = functools.partial(_probability, nets, state.evaluated, u, size, layout)
    images, sure = images.copy(), asked(images)
    for turn in range(1, TRIES):
        if (sure >= least).all():
            break
        others = again(turn)
        surer = asked(others)
        better = (sure < least) & (surer > sure)
        images[better], sure[better] = others[better], surer[better]
    return images


def _probability(
    nets: Nets, params: Params, u: np.ndarray, size: int, layout: Layout, images: np.ndarray
) -> np.ndarray:
    """q(u given x) of the class u of each image, [n]; 1 where there is none."""
    program = functools.partial(class_logits, nets, params)
    logits = in_batches(program, size, images, layout=layout)
    probabilities = np.array(jax.nn.softmax(logits, axis=-1))
    return np.where(u < 0, 1.0, probabilities[np.arange(len(u)), np.maximum(u, 0)])
