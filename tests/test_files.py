"""Files are written whole or not at all."""

import json

import pytest

from lgaa_jax import files
from lgaa_jax.errors import UserError


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


def test_a_tilde_is_the_home_folder_and_that_of_nobody_is_refused(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert str(files.expand("~/x")) == "/somewhere/x"
    assert str(files.expand("a/~b")) == "a/~b"
    with pytest.raises(UserError, match="there is no home folder for ~no-such-user/x"):
        files.expand("~no-such-user/x")
