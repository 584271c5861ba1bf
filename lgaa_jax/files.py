"""Files: written at once or not at all, and where things are kept that can be made anew."""

import json
import os
import pathlib
from pathlib import Path


def write_json(path: str | os.PathLike, obj):
    """Writes `obj` as indented JSON, at once or not at all. Raises ValueError for nan and inf."""
    try:
        text = json.dumps(obj, indent=2, allow_nan=False) + "\n"
    except ValueError as error:
        raise ValueError(
            f"{path} cannot be written, a value in it is nan or inf: {error}"
        ) from error
    write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike, content: bytes):
    """Gives the file new content; a reader, or a kill midway, sees the old or the new, whole."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def user_cache(name: str) -> Path:
    """The folder `name` in this project's part of the user's cache folder; it may not exist yet."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(root, "lgaa_jax", name)
