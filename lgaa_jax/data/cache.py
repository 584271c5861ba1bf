"""Decoded folders on disk, so that the next start need not decode them again."""

import contextlib
import os
from pathlib import Path

import numpy as np
from absl import logging

from lgaa_jax.data.decoding import Decoded, Facts
from lgaa_jax.files import read_json, write_json
from lgaa_jax.seals import array_checksum, opened, sealed


def read(kept: Path, count: int) -> Decoded | None:
    """What `keep` kept of `count` files; None if it is not there or is damaged."""
    record = opened(read_json(kept.with_suffix(".json")))
    if record is None:
        return None
    try:
        images = np.load(kept.with_suffix(".npy"), allow_pickle=False)
        whole = array_checksum(images) == record["checksum"]
    except (OSError, ValueError, EOFError, MemoryError):  # which a damaged header asks for
        return None
    facts = [Facts(*image) for image in record["facts"]]
    broken = {int(place): why for place, why in record["broken"].items()}
    whole = whole and len(images) == len(facts) == count - len(broken)
    return Decoded(images, facts, broken, lasting=True) if whole else None


def keep(kept: Path, decoded: Decoded) -> None:
    """Keeps what was decoded, unless another try may go better.

    Where it cannot be kept, that is logged, and a run is only slower.
    """
    if not decoded.lasting:
        return
    partial = kept.with_suffix(f".{os.getpid()}.npy")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(partial, decoded.images, allow_pickle=False)
        record = {"facts": decoded.facts, "broken": {str(i): w for i, w in decoded.broken.items()}}
        record["checksum"] = array_checksum(decoded.images)
        write_json(kept.with_suffix(".json"), sealed(record))
        partial.replace(kept.with_suffix(".npy"))
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        logging.warning(
            "decoded images cannot be kept in %s (%s); name another data.cache_dir, or they are "
            "decoded at every start.",
            kept.parent,
            error.strerror,
        )
