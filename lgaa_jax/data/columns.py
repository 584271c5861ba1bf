"""What is known of each image of a set that stays on disk, kept so that it is found out once.

One number for each image, such as its label, in a file of its own with a seal at its end.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from lgaa_jax.files import write_bytes
from lgaa_jax.seals import closed, read_closed


def column(kept_in: Path, kind: str, facts: Any, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The column of a set that `make` finds out, or what is kept of it in the folder `kept_in`.

    kind: the suffix of the file; facts: JSON values on which the column depends, for its name.
    Where it cannot be kept, that is logged, and the next start finds it out again.
    """
    path = kept_in / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]}.{kind}"
    found = read(path)
    if found is None:
        found = make()
        try:
            write(path, found)
        except OSError as error:
            logging.warning(
                "the %s of a set cannot be kept in %s (%s); name another data.cache_dir, or they "
                "are read at every start.",
                kind,
                kept_in,
                error.strerror,
            )
    return found


def write(path: Path, values: np.ndarray) -> None:
    """Writes an array [n], at once or not at all."""
    write_bytes(path, closed(values.dtype.str.encode() + b"\n" + values.tobytes()))


def read(path: Path) -> np.ndarray | None:
    """What `write` wrote, which no one can change; None where it is not there or is damaged."""
    content = read_closed(path)
    if content is None:
        return None
    kind, _, values = content.partition(b"\n")
    return np.frombuffer(values, np.dtype(kind.decode()))
