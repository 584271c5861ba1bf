"""Evaluation: every test example once, summed under a mask and divided once on the host."""

from collections.abc import Callable

import dm_pix
import jax
import jax.numpy as jnp

from lgaa_jax.data.images import to_unit
from lgaa_jax.data.loading import Split
from lgaa_jax.evaluation import colour
from lgaa_jax.evaluation.inference import padded, reconstruct
from lgaa_jax.networks.nets import Nets
from lgaa_jax.training.batch import Array
from lgaa_jax.training.state import TrainState

# dB: an error of 1e-5 of the range, a 400th of a grey level. An exact reconstruction counts as
# this; its PSNR is infinite, and so would be the mean.
MOST_PSNR = 100.0

SETS = ("real", "rec")  # whose moments of chroma are summed

BatchSums = Callable[[TrainState, Array, Array, Array, Array], dict[str, jax.Array]]


def make_batch_sums(nets: Nets, class_mask: jax.Array) -> BatchSums:
    """The jitted `(state, images, labels, domains, mask) -> {name: sum over the mask's examples}`.

    images: [B, H, W, C] uint8; labels: [B]; domains: as in `evaluate`; mask: [B] bool.
    """

    @jax.jit
    def batch_sums(
        state: TrainState, images: Array, labels: Array, domains: Array, mask: Array
    ) -> dict[str, jax.Array]:
        x = to_unit(jnp.asarray(images))
        x_rec, u, d = reconstruct(nets, state, x, class_mask)
        real, rec = 0.5 * (x + 1.0), 0.5 * (x_rec + 1.0)
        values = {
            "class": u == labels,
            "domain": domains[d],
            "mse": jnp.mean(jnp.square(real - rec), axis=(1, 2, 3)),
            "psnr": _psnr(real, rec),
            "ssim": dm_pix.ssim(real, rec),
        }
        values |= _colour(real, rec) if images.shape[-1] == 3 else {}
        return {name: jnp.sum(jnp.where(mask, v, 0.0)) for name, v in values.items()}

    return batch_sums


def _psnr(a: jax.Array, b: jax.Array) -> jax.Array:
    """In dB, at most `MOST_PSNR`. a, b: [B, H, W, C] in [0, 1] -> [B]."""
    return jnp.minimum(dm_pix.psnr(a, b), MOST_PSNR)


def _colour(real: jax.Array, rec: jax.Array) -> dict[str, jax.Array]:
    """PSNR of luma and of chroma, and the moments of chroma. real, rec: as in `_psnr`."""
    luma_real, luma_rec = (colour.luma(x)[..., None] for x in (real, rec))
    chroma_real, chroma_rec = (jnp.stack(colour.chroma(x), axis=-1) for x in (real, rec))
    values = {
        "psnr_luma": _psnr(luma_real, luma_rec),
        "psnr_chroma": _psnr(chroma_real, chroma_rec),
    }
    for name, x in zip(SETS, (real, rec), strict=True):
        values |= {f"{name}/{moment}": v for moment, v in colour.moments(x).items()}
    return values


def evaluate(
    batch_sums: BatchSums, state: TrainState, domains: Array, split: Split, size: int
) -> dict[str, float]:
    """Means over the split: domain_accuracy, mse, psnr (dB), ssim and, with labels, accuracy.

    In colour also psnr_luma, psnr_chroma and, where the images are not all grey, chroma: the
    deviation of the reconstructions' chroma over that of the images (colour.py).
    domains: [N] bool, the tasks that are right for an image of the split; size: of the batches.
    Images are in [0, 1]; PSNR and SSIM are means of the per-image values (Wang et al. 2004).
    """
    total: dict[str, float] = {}
    for images, labels, mask in padded(split, size):
        sums = batch_sums(state, images, labels, domains, mask)
        for name, value in jax.device_get(sums).items():
            total[name] = total.get(name, 0.0) + float(value)
    mean = {name: value / len(split.images) for name, value in total.items()}
    accuracy = {"accuracy": mean.pop("class")}
    mean["domain_accuracy"] = mean.pop("domain")
    if split.images.shape[-1] == 3:
        moments = ({m: mean.pop(f"{name}/{m}") for m in colour.MOMENTS} for name in SETS)
        real, rec = map(colour.deviation, moments)
        mean |= colour.ratio(rec, real)
    return accuracy | mean if (split.labels >= 0).all() else mean
