"""Arrays brought to devices of which some may be another process's, and from them."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding


def placed(tree: Any, where: Any) -> Any:
    """Arrays of which each process has the whole, on the devices.

    where: their shardings, in a tree or a part of it. jax.device_put would compare what the
    processes have, each time.
    """
    return jax.tree.map(lambda s, part: jax.tree.map(lambda a: _placed(a, s), part), where, tree)


def _placed(array: Any, sharding: Sharding) -> jax.Array:
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_placed(jax.random.key_data(array), sharding))
    host = np.asarray(array)
    places = sharding.addressable_devices_indices_map(host.shape)
    parts = [jax.device_put(host[index], device) for device, index in places.items()]
    return jax.make_array_from_single_device_arrays(host.shape, sharding, parts)


def gathered(tree: Any, whole: Sharding) -> Any:
    """Arrays of the devices, all of them on each device. whole: the sharding that says so.

    It returns when they are there: with several processes nothing else may ask the others meanwhile
    (hosts.Agreement).
    """
    if all(leaf.is_fully_replicated for leaf in jax.tree.leaves(tree)):
        return tree
    return jax.block_until_ready(_gathered(tree, whole))


@functools.partial(jax.jit, static_argnums=1)
def _gathered(tree: Any, whole: Sharding) -> Any:
    return jax.lax.with_sharding_constraint(tree, whole)
