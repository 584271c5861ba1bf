"""Settings of JAX: those that the bits of a run depend on, and where programs are kept."""

import contextlib
from collections.abc import Iterator

import jax

from lgaa_jax.files import user_cache


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


def keep_compiled() -> None:
    """Lets JAX keep what it compiles in the user's cache folder, so that a second start is quick.

    JAX_COMPILATION_CACHE_DIR names another folder; with JAX_ENABLE_COMPILATION_CACHE=false
    nothing is kept.
    """
    if not jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(user_cache("compiled")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
