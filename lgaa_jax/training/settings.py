"""The settings of JAX that the bits of a run depend on."""

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def fixed_settings() -> Iterator[None]:
    """Within it, these settings are JAX's defaults, whatever the environment or the caller has set.

    Also a decorator: `@fixed_settings()`. To give a dtype in each call of ours would not do: under
    JAX_ENABLE_X64, Optax takes its bias corrections in float64.
    """
    with (
        jax.enable_x64(False),
        jax.default_prng_impl("threefry2x32"),
        jax.threefry_partitionable(True),
        jax.numpy_dtype_promotion("standard"),
    ):
        yield
