"""Lifelong Generative Adversarial Autoencoder (LGAA) in JAX and Flax.

What is used from Python: `load`, `train` and `export`. Importing the package alone imports no JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lgaa_jax.errors import UserError
    from lgaa_jax.model.loading import load
    from lgaa_jax.model.model import Model
    from lgaa_jax.run.calling import export, train

__all__ = ["Model", "UserError", "export", "load", "train"]

_PLACES = {
    "Model": "lgaa_jax.model.model",
    "UserError": "lgaa_jax.errors",
    "export": "lgaa_jax.run.calling",
    "load": "lgaa_jax.model.loading",
    "train": "lgaa_jax.run.calling",
}


def __getattr__(name: str) -> Any:
    """What is in `__all__`, imported when it is first asked for."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
