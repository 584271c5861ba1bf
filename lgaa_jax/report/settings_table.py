"""The config of a run as a report shows it, with what differs from the defaults marked."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from lgaa_jax.workdir.metadata import dotted


@dataclasses.dataclass(frozen=True)
class Setting:
    """One key. default: where the value is another one; "" where it is the default or not known."""

    key: str
    value: str
    changed: bool
    default: str


def settings(metadata: Mapping[str, Any], without: Sequence[str] = ()) -> list[Setting]:
    """Every key in the order of the config, or all but some. metadata: config.json."""
    changed = metadata.get("changed", {})
    return [
        Setting(key, _text(value), key in changed, _text(changed[key]) if key in changed else "")
        for key, value in dotted(metadata["config"]).items()
        if key not in without
    ]


def _text(value: Any) -> str:
    if value == "":
        return '""'
    return value if isinstance(value, str) else json.dumps(value)
