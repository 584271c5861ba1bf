"""config.json: plain values, and the versions of the packages."""

import json
import subprocess

import ml_collections
import pytest

from lgaa_jax.workdir import metadata
from lgaa_jax.workdir.metadata import read_metadata, run_metadata, write_metadata


def config(**changes):
    c = ml_collections.ConfigDict({"seed": 0, "pair": (1, 2), "log": {"every": 50, "keep": 2}})
    c.update_from_flattened_dict(changes)
    return c


def test_run_metadata_is_plain_json_with_versions(tmp_path):
    resolved = run_metadata(config(), {}, {}, {})
    assert resolved["config"] == {"seed": 0, "pair": [1, 2], "log": {"every": 50, "keep": 2}}
    assert {"python", "jax", "jaxlib", "flax", "numpy"} <= resolved["versions"].keys()
    write_metadata(tmp_path, resolved)
    assert read_metadata(tmp_path) == resolved
    text = (tmp_path / "config.json").read_text()
    assert json.loads(text).items() > resolved.items()
    (tmp_path / "config.json").write_text(text.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(ValueError, match="damaged"):
        read_metadata(tmp_path)


def test_what_differs_from_the_defaults_has_its_default():
    found = run_metadata(config(seed=2, **{"log.keep": 3}), {}, {}, {}, defaults=config())
    assert found["changed"] == {"seed": 0, "log.keep": 2}
    assert run_metadata(config(seed=0), {}, {}, {}, defaults=config())["changed"] == {}
    added = ml_collections.ConfigDict({"seed": 0})
    assert run_metadata(config(), {}, {}, {}, defaults=added)["changed"] == {
        "pair": None,
        "log.every": None,
        "log.keep": None,
    }
    assert "changed" not in run_metadata(config(), {}, {}, {})


def test_run_metadata_has_the_device_and_the_command_line(monkeypatch):
    monkeypatch.setattr("sys.argv", ["launch.py", "--config=a b.py"])
    found = run_metadata(config(), {}, {}, {})
    assert found["device"] == {"kind": "cpu", "count": 2}
    assert found["command"].endswith(" launch.py '--config=a b.py'")


def git(*arguments, folder):
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    command = ["git", *who, *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_commit_of_the_sources_is_marked_where_files_differ_from_it(tmp_path, monkeypatch):
    source = tmp_path / "metadata.py"
    monkeypatch.setattr(metadata, "__file__", str(source))
    source.write_text("1")
    assert metadata.source_commit() is None
    git("init", "-q", folder=tmp_path)
    assert metadata.source_commit() is None  # somebody else's repository
    git("add", ".", folder=tmp_path)
    git("commit", "-q", "-m", "a", folder=tmp_path)
    commit = git("rev-parse", "HEAD", folder=tmp_path)
    assert metadata.source_commit() == commit
    source.write_text("2")
    assert metadata.source_commit() == f"{commit}+"
    monkeypatch.setenv("PATH", "")
    assert metadata.source_commit() is None
