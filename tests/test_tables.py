"""The documents' tables are what the kept runs say, and what may be kept."""

import importlib.util
import json
import pathlib

import pytest

from lgaa_jax.errors import UserError

ROOT = pathlib.Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("tables", ROOT / "docs/tables.py")
tables = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tables)

RESULTS = {
    "tasks": ["a"],
    "finished": True,
    "accuracy": [[0.9]],
    "average_accuracy": 0.9,
    "reconstruction": {"a": {"psnr": 20.0}},
    "seconds": 60,
}


def make_run(folder, seed=0, accuracy=0.9, commit="abcdef0123", finished=True):
    """As much of a workdir as `keep` reads."""
    folder.mkdir()
    command = f"python launch.py --config=c.py --config.seed={seed} --workdir=/home/me/x"
    written = {
        "config": {"strategy": "lgaa", "seed": seed, "data": {"data_dir": "/home/me"}, "eval": {}},
        "command": f"{command} --config.data.data_dir=/home/me",
        "commit": commit,
        "device": {"kind": "cpu", "count": 1},
        "versions": {"jax": "0.10.2"},
    }
    (folder / "config.json").write_text(json.dumps(written))
    results = RESULTS | {"accuracy": [[accuracy]], "finished": finished}
    (folder / "results.json").write_text(json.dumps(results))
    return folder


@pytest.fixture
def documents(tmp_path, monkeypatch):
    """A document of its own and a place for runs."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- runs/quick: accuracy -->\nold\n<!-- end -->\nafter\n")
    monkeypatch.setattr(tables, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(tables, "DOCUMENTS", (page,))
    return page


@pytest.mark.parametrize("path", tables.DOCUMENTS, ids=lambda path: path.name)
def test_the_tables_in_the_documents_are_those_of_the_kept_runs(path):
    text = path.read_text(encoding="utf-8")
    assert tables.written(text) == text, "python docs/tables.py writes them anew"


def test_every_kept_run_is_shown_in_a_document():
    shown = {name for path in tables.DOCUMENTS for _, name, *_ in tables.TABLE.findall(read(path))}
    assert {folder.name for folder in tables.RUNS.glob("*")} <= shown


def read(path):
    return path.read_text(encoding="utf-8")


def test_a_table_has_the_means_over_the_seeds_and_where_they_are_from(tmp_path, documents):
    runs = [make_run(tmp_path / str(seed), seed, 0.9 + seed / 50) for seed in (1, 0)]
    tables.main(["keep", "quick", *map(str, runs), "--machine=two cores"])
    assert documents.read_text() == (
        "before\n<!-- runs/quick: accuracy -->\n"
        "|  | lgaa |\n| --- | --- |\n| runs | 2 |\n| accuracy a | 0.910 ± 0.014 |\n\n"
        "lgaa, seeds 0, 1: `python launch.py --config=c.py --config.seed=SEED`; two cores; "
        "jax 0.10.2, commit\nabcdef0.\n<!-- end -->\nafter\n"
    )
    for path in tables.RUNS.glob("quick/*.json"):
        assert "/home/me" not in path.read_text()


def test_what_is_of_one_machine_is_left_out_of_a_command():
    """As a user may write it, and as --mode=compare starts its runs."""
    for command in (
        "python launch.py --config=c.py --workdir /a/b --config.seed=1",
        "python launch.py --config=c.py --config.seed=1 --config.data.data_dir='/a b' -workdir=c",
        "python /a/launch.py --config=c.py --config.eval.reference_dir=/b --config.seed=1",
    ):
        assert tables.without_places(command) == "python launch.py --config=c.py --config.seed=1"


def test_what_is_no_finished_run_of_one_version_is_refused(tmp_path, documents):
    before = documents.read_text()
    for name, changes, message in (
        ("half", {"finished": False}, "is not finished"),
        ("changed", {"commit": "abcdef0123+"}, "was not made by a commit alone"),
    ):
        with pytest.raises(UserError, match=message):
            tables.kept(make_run(tmp_path / name, **changes), "two cores", "")
    runs = [make_run(tmp_path / c, i, commit=c) for i, c in enumerate(("old", "new"))]
    with pytest.raises(UserError, match="the runs of lgaa are not of one command and version"):
        tables.main(["keep", "quick", *map(str, runs), "--machine=two cores"])
    assert documents.read_text() == before
