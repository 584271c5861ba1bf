"""Files are written whole or not at all."""

import json

import pytest

from lgaa_jax import files


def test_write_json_replaces_whole_files(tmp_path):
    path = tmp_path / "deep" / "results.json"
    files.write_json(path, {"a": 1})
    files.write_json(path, {"a": [0.5, None], "b": "x"})
    assert json.loads(path.read_text()) == {"a": [0.5, None], "b": "x"}
    for bad in (float("nan"), object()):
        with pytest.raises((ValueError, TypeError)):
            files.write_json(path, {"a": bad})
    assert json.loads(path.read_text())["b"] == "x"
    assert [p.name for p in path.parent.iterdir()] == ["results.json"]


def test_write_json_says_which_file_holds_nan(tmp_path):
    with pytest.raises(ValueError, match=r"results\.json cannot be written.* nan"):
        files.write_json(tmp_path / "results.json", [float("nan")])
