"""Whether the processes of a run have the same config, versions and data.

One that had others would compute other numbers, or wait for what the others never ask for.
"""

import platform
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import ml_collections

from lgaa_jax.errors import UserError
from lgaa_jax.training import hosts
from lgaa_jax.workdir.metadata import dotted, plain_config, source_commit, versions

# Where things lie may differ from machine to machine.
PLACES = ("data.data_dir", "data.cache_dir", "eval.reference_dir")
MOST = 3  # differences that are told


def require_same_settings(config: ml_collections.ConfigDict) -> None:
    """Raises UserError, in all processes, unless all have this config and the same versions."""
    if hosts.count() == 1:
        return
    of_config = {k: v for k, v in dotted(plain_config(config)).items() if k not in PLACES}
    found = {"machine": platform.machine(), "sources": source_commit(), **versions()}
    _require_same("config", of_config)
    _require_same("versions", found)


def require_same_data(fingerprints: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises UserError, in all processes, unless all have loaded the same data.

    fingerprints: of each task, data/fingerprint.py.
    """
    if hosts.count() > 1:
        _require_same("data", dotted(fingerprints))


def _require_same(what: str, own: Mapping[str, Any]) -> None:
    """own: what this process has; of `what`, for the sentence."""
    (_, expected), *others = hosts.gathered([socket.gethostname(), dict(own)])
    for number, (host, found) in enumerate(others, start=1):
        if differ := list(_differences(expected, found)):
            more = f" and {len(differ) - MOST} more" if len(differ) > MOST else ""
            raise UserError(
                f"process {number} on {host} has other {what} than process 0: "
                f"{', '.join(differ[:MOST])}{more}; start all processes with the same config, "
                "data and installation."
            )


def _differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*expected, *found}):
        here, there = (repr(side.get(key, "absent")) for side in (found, expected))
        if here != there:  # as texts: a nan is itself
            yield f"{key} {here} (process 0: {there})"
