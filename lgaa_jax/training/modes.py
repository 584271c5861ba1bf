"""The modes of the codes: online k-means (MacQueen 1967) within the cells of codes.py.

Sizes: K cells, M modes, B examples, Z content code.
"""

import jax
import jax.numpy as jnp

SPARE = 0.125  # of its even share, below which a mode is put elsewhere


def nearest(centres: jax.Array, z: jax.Array, own: jax.Array) -> jax.Array:
    """The mode of each example, [B]: that of the nearest centre of its cell.

    centres: [K, M, Z]; z: [B, Z]; own: [B], the cell. By the codes' own distances: where they do
    not vary, whitened ones would be of noise.
    """
    return jnp.argmin(jnp.sum(jnp.square(z[:, None] - centres[own]), axis=-1), axis=-1)


def moved(
    moments: dict[str, jax.Array], z: jax.Array, mode: jax.Array, members: jax.Array, decay: float
) -> dict[str, jax.Array]:
    """Centres and shares after a batch, by online k-means.

    mode: [B], of each example. A mode that has hardly any codes is put at one of the batch, and has
    half the share of the mode which that was of.
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
    return {
        "centres": jnp.where(placed[..., None], z[example][:, None], centres),
        "shares": jnp.where(halved, half, shares),
    }
