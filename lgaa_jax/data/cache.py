"""Decoded folders on disk, so that the next start need not decode them again."""

import contextlib
import json
import os
from pathlib import Path

import numpy as np
from absl import logging

from lgaa_jax.data.decoding import Decoded, Facts
from lgaa_jax.files import write_json


def read(kept: Path, count: int) -> Decoded | None:
    """What `keep` kept of `count` files; None if it is not there or is damaged."""
    try:
        record = json.loads(kept.with_suffix(".json").read_text(encoding="utf-8"))
        images = np.load(kept.with_suffix(".npy"))
        facts = [Facts(*image) for image in record["facts"]]
        broken = {int(place): str(why) for place, why in record["broken"].items()}
    except (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError):
        return None
    whole = len(images) == len(facts) == count - len(broken) and images.dtype == np.uint8
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
        np.save(partial, decoded.images)
        write_json(kept.with_suffix(".json"), {"facts": decoded.facts, "broken": decoded.broken})
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
