"""The forms of the arrays of a tree, and where they are put when they are restored."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def forms(tree: Any) -> dict[str, str]:
    """The dtype and shape of each array of a tree under its path: {"params/w": "float32[3, 4]"}."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): _form(leaf) for path, leaf in leaves
    }


def _form(leaf: Any) -> str:
    leaf = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
    return f"{leaf.dtype}{list(leaf.shape)}"


def placed(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    """The leaf with a sharding: without one Orbax wants the devices that the state was saved on."""
    sharding = leaf.sharding or jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def difference(stored: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """The first form that differs between two sets of them, and how many do."""
    differ = [k for k in sorted({*stored, *wanted}) if stored.get(k) != wanted.get(k)]
    first = differ[0]
    return (
        f"{first} is {stored.get(first, 'absent')} there and {wanted.get(first, 'absent')} in this "
        f"config ({len(differ)} of {len(wanted)} arrays differ)"
    )
