"""Evaluation: every test example once, and means over all of them, taken once on the host."""

import dm_pix
import jax
import jax.numpy as jnp
import numpy as np

from lgaa_jax.data.images import to_unit, to_unsigned
from lgaa_jax.data.split import Split
from lgaa_jax.evaluation import colour
from lgaa_jax.evaluation.batches import in_batches
from lgaa_jax.evaluation.inference import reconstruct
from lgaa_jax.networks.nets import Nets, Params
from lgaa_jax.training.devices import ONE_DEVICE, Layout

# dB: an error of 1e-5 of the range, a 400th of a grey level. An exact reconstruction counts as
# this; its PSNR is infinite, and so would be the mean.
MOST_PSNR = 100.0

SETS = ("real", "rec")  # whose moments of chroma are summed


@jax.jit
def likeness(real: jax.Array, rec: jax.Array) -> dict[str, jax.Array]:
    """How like each image its reconstruction is: mse, psnr (dB) and ssim, [B] each.

    In colour also psnr_luma, psnr_chroma and the moments of chroma, as real/... and rec/... .
    real, rec: [B, H, W, C] float32 in [0, 1].
    """
    values = {
        "mse": jnp.mean(jnp.square(real - rec), axis=(1, 2, 3)),
        "psnr": _psnr(real, rec),
        "ssim": dm_pix.ssim(real, rec),
    }
    return values | (_colour(real, rec) if real.shape[-1] == 3 else {})


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
    nets: Nets,
    params: Params,
    class_mask: jax.Array,
    domains: np.ndarray,
    split: Split,
    size: int,
    layout: Layout = ONE_DEVICE,
) -> dict[str, float]:
    """Means over the split: domain_accuracy, mse, psnr (dB), ssim and, with labels, accuracy.

    In colour also psnr_luma, psnr_chroma and, where the images are not all grey, chroma: the
    deviation of the reconstructions' chroma over that of the images (colour.py).
    params, class_mask: as in inference.py; domains: [N] bool, the tasks that are right for an image
    of the split; size: of the batches; layout: of the devices that params lie on. Images are in
    [0, 1]; PSNR and SSIM are means of the per-image values (Wang et al. 2004).
    """

    def program(images: np.ndarray) -> tuple[dict[str, jax.Array], jax.Array, jax.Array]:
        x, u, d = reconstruct(nets, params, class_mask, images)
        return likeness(to_unsigned(to_unit(images)), to_unsigned(x)), u, d

    values, u, d = in_batches(program, size, split.images, layout=layout)
    # Whatever the batches, the same sum: float64, in the order of the images.
    mean = {name: float(np.mean(value, dtype=np.float64)) for name, value in values.items()}
    mean["domain_accuracy"] = float(np.mean(domains[d]))
    if split.images.shape[-1] == 3:
        moments = ({m: mean.pop(f"{name}/{m}") for m in colour.MOMENTS} for name in SETS)
        real, rec = map(colour.deviation, moments)
        mean |= colour.ratio(rec, real)
    labelled = (split.labels >= 0).all()
    return ({"accuracy": float(np.mean(u == split.labels))} if labelled else {}) | mean
