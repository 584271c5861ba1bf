"""Evaluation: every test example once, summed under a mask and divided once on the host."""

from collections.abc import Callable

import dm_pix
import jax
import jax.numpy as jnp

from lgaa_jax.data.images import to_unit
from lgaa_jax.data.loading import Split
from lgaa_jax.evaluation.inference import padded, reconstruct
from lgaa_jax.networks.nets import Nets
from lgaa_jax.training.state import TrainState


def make_batch_sums(nets: Nets, class_mask: jax.Array) -> Callable:
    """The jitted `(state, x, label, domains, mask) -> {name: sum over the rows of mask}`."""

    @jax.jit
    def batch_sums(state: TrainState, x, label, domains, mask):
        x = to_unit(x)
        x_rec, u, d = reconstruct(nets, state, x, class_mask)
        real, rec = 0.5 * (x + 1.0), 0.5 * (x_rec + 1.0)
        values = {
            "class": u == label,
            "domain": domains[d],
            "mse": jnp.mean(jnp.square(real - rec), axis=(1, 2, 3)),
            "psnr": dm_pix.psnr(real, rec),
            "ssim": dm_pix.ssim(real, rec),
        }
        return {name: jnp.sum(jnp.where(mask, v, 0.0)) for name, v in values.items()}

    return batch_sums


def evaluate(batch_sums: Callable, state: TrainState, domains, split: Split, size: int) -> dict:
    """Means over the split: domain_accuracy, mse, psnr (dB), ssim and, with labels, accuracy.

    domains: [N] bool, the tasks that an image of the split may be said to be of. Images are in
    [0, 1]; PSNR and SSIM are means of the per-image values (Wang et al. 2004).
    """
    total: dict[str, float] = {}
    for x, label, mask in padded(split, size):
        for name, value in jax.device_get(batch_sums(state, x, label, domains, mask)).items():
            total[name] = total.get(name, 0.0) + float(value)
    mean = {name: value / len(split.images) for name, value in total.items()}
    accuracy = {"accuracy": mean.pop("class")}
    mean["domain_accuracy"] = mean.pop("domain")
    return accuracy | mean if (split.labels >= 0).all() else mean
