"""The modes of the codes: online k-means (MacQueen 1967) within the cells of codes.py.

Sizes: K cells, M modes, B examples, Z content code.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from lgaa_jax.training import cells, covariances
from lgaa_jax.training.covariances import Moments

INNER = "inner_"  # of the names of the modes' covariances
SPARE = 0.125  # of its even share, below which a mode is put elsewhere
# Part of a mode's covariance that is taken from the modes of its cell, by their shares: its own is
# of few codes.
LENT = 0.2


def covariances_of(moments: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the modes, named as covariances.py names them."""
    return {n.removeprefix(INNER): a for n, a in moments.items() if n.startswith(INNER)}


def nearest(centres: jax.Array, z: jax.Array, own: jax.Array) -> jax.Array:
    """The mode of each example, [B]: that of the nearest centre of its cell.

    centres: [K, M, Z]; z: [B, Z]; own: [B], the cell. By the codes' own distances: where they do
    not vary, whitened ones would be of noise.
    """
    return jnp.argmin(jnp.sum(jnp.square(z[:, None] - centres[own]), axis=-1), axis=-1)


def moved(moments: Moments, z: jax.Array, members: jax.Array, decay: float) -> Moments:
    """What is held of the modes of K cells after a batch; z, members: as in codes.py."""
    centres = moments["centres"]
    own = jnp.argmax(members, axis=0)
    mode = nearest(centres, z, own)
    form = covariances_of(moments)
    place = jnp.where(jnp.any(members > 0, axis=0), own * centres.shape[1] + mode, -1)
    form = _covariances(form, z - centres[own, mode], place, decay)
    inner = {INNER + n: a for n, a in form.items()}
    held = {"centres": centres, "shares": moments["shares"], **inner}
    return _clusters(held, z, mode, members, decay)


def _covariances(form: Moments, residual: jax.Array, place: jax.Array, decay: float) -> Moments:
    """The covariances [K, M, ...] after a batch.

    residual: [B, Z], what codes are apart from their centres; place: [B], cell times M and mode; -1
    where an example counts for none.
    """
    sizes = next(iter(form.values())).shape[:2]
    total = sizes[0] * sizes[1]

    def move(form: Moments, members: jax.Array) -> Moments:
        count = jnp.sum(members, axis=-1, keepdims=True)
        weight = members / jnp.maximum(count, 1.0)
        # Half as fast as the centre: a covariance needs more codes than a mean.
        rate = 1.0 - decay ** (sizes[1] / 2 * count)
        # The means are 0 but for what the centres have still to move.
        apart = jnp.tile(residual, (len(members), 1, 1))
        return covariances.moved(form, weight, apart, jnp.zeros_like(apart[:, 0]), rate)

    flat = {n: a.reshape(total, *a.shape[2:]) for n, a in form.items()}
    flat = cells.of_some(flat, jnp.where(place < 0, total, place), move)
    return {n: a.reshape(form[n].shape) for n, a in flat.items()}


def _clusters(
    moments: Moments, z: jax.Array, mode: jax.Array, members: jax.Array, decay: float
) -> Moments:
    """Centres and shares after a batch, by online k-means; and what else is held of each mode.

    moments: "centres" [K, M, Z], "shares" [K, M] and others [K, M, ...]; mode: [B], of each
    example. A mode that has hardly any codes is put at one of the batch: it has half the share of
    the mode which that was of, and the same of all others.
    """
    centres, shares = moments["centres"], moments["shares"]
    modes = shares.shape[-1]
    of_mode = jax.nn.one_hot(mode, modes)
    counts = jnp.einsum("kb,bm->km", members, of_mode)
    sums = jnp.einsum("kb,bm,bi->kmi", members, of_mode, z)
    count = jnp.sum(counts, axis=-1, keepdims=True)
    # A mode has one in M of the codes: forgotten M times as fast, it moves with its cell.
    rate = 1.0 - decay ** (modes * counts[..., None])
    centres += rate * (sums / jnp.maximum(counts, 1.0)[..., None] - centres)
    shares += (1.0 - decay**count) * (counts / jnp.maximum(count, 1.0) - shares)
    weakest, example = jnp.argmin(shares, axis=-1), jnp.argmax(members, axis=-1)
    donor = mode[example]
    put = (jnp.min(shares, axis=-1) < SPARE / modes) & (weakest != donor)
    placed, halved = (put[:, None] & jax.nn.one_hot(i, modes, dtype=bool) for i in (weakest, donor))
    halved |= placed
    half = jnp.sum(jnp.where(halved, shares, 0.0), axis=-1, keepdims=True) / 2
    of_donor = {name: a[jnp.arange(len(a)), donor][:, None] for name, a in moments.items()}
    of_donor |= {"centres": z[example][:, None], "shares": half}
    moments = moments | {"centres": centres, "shares": jnp.where(halved, half, shares)}
    return {
        name: jnp.where(placed.reshape(*placed.shape, *[1] * (a.ndim - 2)), of_donor[name], a)
        for name, a in moments.items()
    }
