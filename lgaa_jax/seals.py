"""Seals: checksums kept with what they are of, so that damage is told and never used.

SHA-256, which the standard library has and processors compute by themselves: a checkpoint of a few
megabytes takes some milliseconds. They tell of accidents, not of an attacker, who would seal anew.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

SEAL = "seal"  # key of the seal of a JSON object
_SIZE = hashlib.sha256().digest_size  # bytes at the end of a sealed file


def checksum(content: bytes | memoryview) -> str:
    """The checksum of bytes, as a text."""
    return hashlib.sha256(content).hexdigest()


def array_checksum(array: Any) -> str:
    """The checksum of the values of an array of any dtype and shape, in the order of rows."""
    return checksum(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def sealed(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object with its seal, over all that it holds."""
    return {**obj, SEAL: checksum(_text(obj))}


def opened(obj: Any, unsealed: frozenset[str] = frozenset()) -> dict[str, Any] | None:
    """The object that `sealed` took; None where it is damaged.

    unsealed: the keys of such an object of an earlier version, which had no seal; one with these
    alone is taken as it is.
    """
    if not isinstance(obj, Mapping):
        return None
    held = {key: value for key, value in obj.items() if key != SEAL}
    if SEAL not in obj:
        return held if unsealed and obj.keys() <= unsealed else None
    return held if obj[SEAL] == checksum(_text(held)) else None


def closed(content: bytes) -> bytes:
    """The content of a file with its seal at the end."""
    return content + hashlib.sha256(content).digest()


def unclosed(content: bytes) -> bytes | None:
    """What `closed` took; None where it is damaged."""
    held, seal = content[:-_SIZE], content[-_SIZE:]
    return held if hashlib.sha256(held).digest() == seal else None


def read_closed(path: Path) -> bytes | None:
    """What `closed` took, of a file; None where that is absent or damaged."""
    try:
        return unclosed(path.read_bytes())
    except OSError:
        return None


def _text(obj: Mapping[str, Any]) -> bytes:
    """The same bytes for an object and for what is read back of it."""
    return json.dumps(obj, sort_keys=True).encode()
