"""Moments of many cells, of which a batch has examples of a few.

Sizes: K cells, B examples.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from lgaa_jax.training.covariances import Moments


def of_some(
    moments: Moments,
    cell: jax.Array,
    move: Callable[[Moments, jax.Array], Moments],
    after: jax.Array | float = 0.0,
) -> Moments:
    """Moments of cells, `move`d where a batch has examples of them, and else left as they are.

    cell: [B], of each example, as many as there are cells where it counts for none; move: takes the
    moments of K cells and their members, [K, B], 1 where an example is of a cell.
    """
    cells = len(next(iter(moments.values())))
    if cells <= len(cell):
        # Few cells: all of them, without a gather and a scatter.
        members = jax.nn.one_hot(cell, cells, axis=0)
        met, moved = jnp.any(members > 0, axis=-1), move(moments, members)
        return {
            name: jnp.where(met.reshape(-1, *[1] * (a.ndim - 1)), moved[name], a)
            for name, a in moments.items()
        }
    # The cells of the batch, at most one an example. The places left over are `cells`, which is
    # past the last: what is computed of them is dropped.
    own = jnp.unique(cell, size=len(cell), fill_value=cells)
    # Adds 0, unless training is lost. Without it XLA sees no order between what reads the moments
    # and what writes them, and copies all of them twice a step (jax 0.10.2, CPU).
    own += jnp.isnan(after)
    members = (own[:, None] == cell[None]).astype(jnp.float32)
    moved = move({name: a[own] for name, a in moments.items()}, members)
    return {name: a.at[own].set(moved[name], mode="drop") for name, a in moments.items()}
