"""report.html of a run, against the files that it is made from."""

import json

import numpy as np
import pytest
from conftest import read_json
from fake_run import Page, specs, write_run

from configs import default
from lgaa_jax.errors import UserError
from lgaa_jax.report import __main__ as report_program
from lgaa_jax.report import library, page, run_report, samples
from lgaa_jax.report.page import REPORT
from lgaa_jax.workdir import pictures
from lgaa_jax.workdir.metadata import dotted
from lgaa_jax.workdir.picture_files import grid_path

TASKS = {"digits": list("01234"), "letters": list("ABC"), "plain": []}
HOSTILE = "folder:/x/<script>alert(1)<script>&\"'</b>"
WORSE = "</script><img src=x onerror=alert(2)>"


@pytest.fixture(autouse=True)
def light(monkeypatch):
    """Without the script of a megabyte, which is looked at where there is a browser."""
    monkeypatch.setattr(library, "script", lambda: "")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of three tasks, its results and its page."""
    workdir = tmp_path_factory.mktemp("run")
    results = write_run(workdir, TASKS)
    with pytest.MonkeyPatch.context() as m:
        m.setattr(library, "script", lambda: "")
        return workdir, results, Page(run_report.write(workdir))


def test_the_tables_have_the_numbers_of_the_results(run):
    _, results, page = run
    matrix = page.table("Test accuracy")
    for t, after in enumerate(TASKS):
        for i, name in enumerate(TASKS):
            value = results["accuracy"][t][i]
            assert matrix[f"after {after}"][name] == ("-" if value is None else value)
    forgotten = page.table("What was forgotten")
    assert {task: row["forgotten (points)"] for task, row in forgotten.items()} == results[
        "forgetting_by_task"
    ]
    quality = page.table("Images and codes")
    for name in TASKS:
        assert (
            quality["PSNR (dB) ↑, reconstructed"][name] == results["reconstruction"][name]["psnr"]
        )
        assert (
            quality["precision (%) ↑, generated"][name] == results["generation"][name]["precision"]
        )
    risk = page.table("The terms of the risk")
    assert len(risk) == len(results["risk"]) == 6
    for entry in results["risk"]:
        row = risk[f"{entry['task']} after {entry['after_task']}"]
        assert row["bound (%)"] == entry["bound"]
        assert row["labelling error (%)"] == entry["labelling_error"]


def test_what_differs_from_the_defaults_is_marked_with_the_default(run):
    workdir, _, page = run
    marked = page.table("Keys that differ")
    now = dotted(read_json(workdir / "config.json")["config"])
    before = dotted(default.get_config().to_dict())
    differ = {key for key in now if now[key] != before[key]}
    assert {"batch_size", "net.width"} <= differ
    assert {name.removesuffix(" ●") for name in marked} == differ
    for key in differ:
        assert marked[f"{key} ●"] == {"value": str(now[key]), "default": str(before[key])}
    every = page.table("Every key")
    assert {name.removesuffix(" ●") for name in every} == now.keys()
    assert sum(name.endswith("●") for name in every) == len(differ)


def test_a_run_of_an_early_version_shows_what_it_recorded(tmp_path):
    """Neither which keys differ from their defaults nor which labels a task has."""
    write_run(tmp_path, {"digits[3-4]": list("01234")})
    written = read_json(tmp_path / "config.json")
    del written["changed"], written["labels"]
    (tmp_path / "config.json").write_text(json.dumps(written))
    page = Page(run_report.write(tmp_path))
    assert "Which keys differ from their defaults was not recorded." in page.text
    assert not any(caption.startswith("Keys that") for caption in page.tables)
    assert page.alts[0] == "generated images of digits[3-4], after digits[3-4]"


def test_a_run_that_went_on_with_lower_learning_rates_says_so(tmp_path):
    results = write_run(tmp_path, {"digits": list("01234")})
    retry = {"task": "digits", "step": 7, "back_to": 5, "rate": 0.25}
    (tmp_path / "results.json").write_text(json.dumps(results | {"retries": [retry]}))
    page = Page(run_report.write(tmp_path))
    assert "digits: learning rates x 0.25 from step 5" in page.text


def test_the_charts_have_the_numbers_of_the_files(run):
    workdir, results, _ = run
    charts = specs(workdir / REPORT)
    values = charts["accuracy (%) on each task, after each task"]["data"]["values"]
    found = {(v["after"], v["series"]): v["value"] for v in values}
    names = list(TASKS)
    expected = {
        (names[t], names[i]): 100 * results["accuracy"][t][i]
        for t in range(3)
        for i in range(t + 1)
    }
    assert found == pytest.approx(expected)
    forgotten = charts["forgotten of each task (points), after each task"]["data"]["values"]
    last = {v["series"]: v["value"] / 100 for v in forgotten if v["after"] == "plain"}
    assert last == pytest.approx(results["forgetting_by_task"])
    psnr = charts["PSNR of reconstructions (dB), after each task"]["data"]["values"]
    assert {(v["after"], v["series"]): v["value"] for v in psnr}["plain", "digits"] == 22.0
    risk = charts["terms of the risk of digits along the sequence"]["data"]["values"]
    assert len(risk) == 3 * 5
    assert "terms of the risk of plain along the sequence" not in charts  # one point is no curve
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    points = charts["loss critic along the training steps"]["data"]["values"]
    assert [(p["step"], p["loss critic"]) for p in points] == [
        (line["step"], line["train/loss/critic"]) for line in lines
    ]
    assert [p["task"] for p in points] == [names[line["task"]] for line in lines]


def test_the_grids_are_those_of_the_files(run):
    """Samples after each task, and the three kinds after the last; decoded back to pixels."""
    workdir, _, page = run
    assert len(page.alts) == 6 + 9
    assert "generated images of digits, after letters; columns: 0, 1, 2, 3, 4" in page.alts
    path = grid_path(workdir, list(TASKS), 2, 1, "generated")
    cells = pictures.cut(pictures.read_png(path), 8, (16, 16, 1))
    embedded = samples.picture(path, (16, 16, 1), samples.Size(4, 10), "")
    expected = pictures.grid(samples.folded(cells)[:4], cell=1, gap=1)
    assert (embedded.width, embedded.height) == (expected.shape[1], expected.shape[0])
    (workdir / "again.png").write_bytes(pictures.png(expected))
    np.testing.assert_array_equal(pictures.read_png(workdir / "again.png"), expected)
    assert embedded.source == samples.embedded(pictures.png(expected), "").source
    assert embedded.source in (workdir / REPORT).read_text()


@pytest.mark.parametrize(
    ("columns", "shape"), [(10, (8, 10)), (2, (2, 8)), (3, (4, 6)), (1, (1, 8))]
)
def test_of_few_columns_rows_stand_beside_each_other(columns, shape):
    cells = np.arange(8 * columns).reshape(8, columns)
    folded = samples.folded(cells)
    assert folded.shape == shape
    assert sorted(folded.ravel()) == sorted(cells.ravel())
    assert (folded % columns == np.resize(np.arange(columns), shape[1])).all()  # of one class each


def test_the_page_of_large_pictures_is_bounded(tmp_path):
    tasks = {f"t{n}": [] for n in range(3)}
    write_run(tmp_path, tasks, shape=(64, 64, 3))
    pixels = 64 * 64 * 3 * 8 * 10 * (3 + 2 + 1 + 9)
    assert pixels > 14e6
    assert run_report.write(tmp_path).stat().st_size < 4 * samples.MOST_BYTES


def test_a_run_that_is_not_finished_shows_what_it_has(tmp_path):
    write_run(tmp_path, TASKS, done=1)
    page = Page(run_report.write(tmp_path))
    assert "The run is not finished" in page.text
    assert list(page.table("Test accuracy")) == ["after digits"]
    assert "1 of 3" in page.text
    assert "input" not in page.tags  # one stop needs no slider


def test_results_alone_make_a_report(tmp_path):
    """Of early versions and fake runs: no metrics, no pictures, no evaluations."""
    write_run(tmp_path, TASKS, images=False)
    for name in ("metrics.jsonl", "evaluations.json"):
        (tmp_path / name).unlink()
    results = {"strategy": "lgaa", "tasks": list(TASKS), "seed": 0, "seconds": 3.5, "steps": 7}
    (tmp_path / "results.json").write_text(json.dumps(results))
    page = Page(run_report.write(tmp_path))
    assert "3.5 s" in page.text
    assert page.alts == []


def test_names_that_are_markup_stay_text(tmp_path):
    write_run(tmp_path, {HOSTILE: [WORSE, "b"], "letters": ["A", WORSE]})
    path = run_report.write(tmp_path)
    text, page = path.read_text(), Page(path)
    plain = text.replace(WORSE, "")
    assert plain == text
    assert "<script>alert" not in text
    assert "script_alert_1_script_" in page.text  # of a folder, the last names of its path
    assert page.tags.count("script") == len(text.split("<script")) - 1
    assert WORSE in page.text
    assert any(WORSE in alt for alt in page.alts)


def test_a_name_that_is_no_text_is_replaced(tmp_path):
    write_run(tmp_path, {"folder:a\udcff": ["\udcfe", "b"], "letters": []})
    assert "?" in Page(run_report.write(tmp_path)).text


def test_the_same_files_make_the_same_page(run):
    workdir, _, _ = run
    before = (workdir / REPORT).read_bytes()
    assert run_report.write(workdir).read_bytes() == before


def test_a_page_that_cannot_be_made_leaves_the_old_one(tmp_path, monkeypatch):
    write_run(tmp_path, TASKS)
    before = run_report.write(tmp_path).read_bytes()

    def fail():
        raise MemoryError

    monkeypatch.setattr(library, "script", fail)
    with pytest.raises(MemoryError):
        run_report.write(tmp_path)
    assert (tmp_path / REPORT).read_bytes() == before


def test_the_program_makes_it_again(tmp_path, monkeypatch, capsys):
    write_run(tmp_path, TASKS, images=False)
    monkeypatch.setattr("sys.argv", ["report", str(tmp_path)])
    report_program.main()
    assert capsys.readouterr().out == f"{tmp_path / REPORT}\n"
    (tmp_path / "results.json").unlink()
    with pytest.raises(SystemExit, match=r"report: .* holds no whole results\.json"):
        report_program.main()


def test_a_folder_without_a_run_is_told(tmp_path):
    with pytest.raises(UserError, match=r"holds no whole results\.json"):
        run_report.write(tmp_path)
    write_run(tmp_path, TASKS, images=False)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"config\.json is not the config of a run, or damaged"):
        run_report.write(tmp_path)


def test_a_heading_names_few_tasks_all_and_of_many_the_first():
    assert page.heading(["lgaa"], ["a", "b"]) == "lgaa on a, b"
    names = list("abcdefghij")
    assert (
        page.heading(["lgaa", "joint"], names)
        == "lgaa, joint on a, b, c, d, e, f, g, h, 2 tasks more"
    )
