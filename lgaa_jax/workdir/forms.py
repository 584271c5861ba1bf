"""The arrays of a tree by their paths: their forms, and where they are put when restored."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from lgaa_jax.errors import UserError


def by_path(tree: Any) -> dict[str, Any]:
    """Each array of a tree under its path: {"params/w": ...}."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def forms(tree: Any) -> dict[str, str]:
    """The dtype and shape of each array of a tree under its path: {"params/w": "float32[3, 4]"}."""
    return {path: _form(leaf) for path, leaf in by_path(tree).items()}


def _form(leaf: Any) -> str:
    leaf = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
    return f"{leaf.dtype}{list(leaf.shape)}"


def placed(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    """The leaf with a sharding: without one Orbax wants the devices that the state was saved on."""
    sharding = leaf.sharding or jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def require_same(name: str, stored: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Raises UserError where forms differ; Orbax would cast another dtype silently.

    name: of the checkpoint, for the sentence.
    """
    differ = [k for k in sorted({*stored, *wanted}) if stored.get(k) != wanted.get(k)]
    if differ:
        first = differ[0]
        raise UserError(
            f"{name} is of another model: {first} is {stored.get(first, 'absent')} there and "
            f"{wanted.get(first, 'absent')} in this config ({len(differ)} of {len(wanted)} arrays "
            "differ): put the config back or choose another --workdir"
        )
