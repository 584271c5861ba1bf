"""config.json: plain values, and the versions of the packages."""

import json

import ml_collections

from lgaa_jax import files
from lgaa_jax.workdir.metadata import run_metadata


def config(**changes):
    c = ml_collections.ConfigDict({"seed": 0, "pair": (1, 2), "log": {"every": 50, "keep": 2}})
    c.update_from_flattened_dict(changes)
    return c


def test_run_metadata_is_plain_json_with_versions(tmp_path):
    resolved = run_metadata(config())
    assert resolved["config"] == {"seed": 0, "pair": [1, 2], "log": {"every": 50, "keep": 2}}
    assert {"python", "jax", "jaxlib", "flax", "numpy"} <= resolved["versions"].keys()
    files.write_json(tmp_path / "config.json", resolved)
    assert json.loads((tmp_path / "config.json").read_text()) == resolved
