"""Where things are kept between runs that can be made anew at any time."""

import os
from pathlib import Path


def user_cache(name: str) -> Path:
    """The folder `name` in this project's part of the user's cache folder; it may not exist yet."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(root, "lgaa_jax", name)
