"""Files: paths as users write them, written at once or not at all, and the user's cache."""

import json
import os
from pathlib import Path
from typing import Any

from lgaa_jax.errors import UserError

PathLike = str | os.PathLike[str]


def expand(path: PathLike) -> Path:
    """The path that a user wrote, with `~` and `~name` replaced; every such path comes here.

    Raises UserError where `~name` is nobody.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"there is no home folder for {path}; write the whole path.") from error


def read_json(path: PathLike) -> Any:
    """What a JSON file holds; None where it is missing, cannot be read or is damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def write_json(path: PathLike, obj: Any) -> None:
    """Writes `obj` as indented JSON, at once or not at all. Raises ValueError for nan and inf."""
    try:
        text = json.dumps(obj, indent=2, allow_nan=False) + "\n"
    except ValueError as error:
        raise ValueError(
            f"{path} cannot be written, a value in it is nan or inf: {error}"
        ) from error
    write_bytes(path, text.encode())


def write_bytes(path: PathLike, content: bytes) -> None:
    """Gives the file new content; a reader, or a kill midway, sees the old or the new, whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:  # of a full disk it does not say of which file
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def user_cache(name: str) -> Path:
    """The folder `name` in this project's part of the user's cache folder; it may not exist yet."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return expand(root) / "lgaa_jax" / name
