"""config.json: the whole config of a run, and what it ran with."""

import contextlib
import importlib.metadata
import importlib.util
import json
import platform

import ml_collections

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "lgaa-jax")


def resolved_config(config: ml_collections.ConfigDict) -> dict:
    """{"config": every key as plain JSON values, "versions": {package: version}}."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        # lgaa-jax itself is not installed when it runs from its sources.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {"config": _plain(config), "versions": versions}


def _plain(config: ml_collections.ConfigDict) -> dict:
    return json.loads(json.dumps(config.to_dict()))
