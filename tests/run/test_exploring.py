"""What --mode=explore writes of a run at test size."""

import base64

import numpy as np
import pytest
from conftest import read_json, small_config, untrained_run

from lgaa_jax.errors import UserError
from lgaa_jax.run import driver, exploring
from lgaa_jax.workdir import pictures

CHANGES = {"tasks": "digits[0-2],letters[0-2]", "eval.generation": "never", "steps_per_task": 2}


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """The workdir of a run that was explored, and what that returned."""
    workdir, config = tmp_path_factory.mktemp("explored"), small_config(**CHANGES)
    untrained_run(config, workdir)
    with pytest.MonkeyPatch.context() as m:
        m.setattr(exploring, "SHOWN", 20)  # t-SNE takes a second for some hundreds
        return workdir, exploring.explore(config, workdir)


def test_there_is_a_figure_of_each_kind_and_task(explored):
    workdir, _ = explored
    kinds = ("interpolation", "translation", "traversal", "neighbours")
    names = {f"{task}_{kind}" for task in ("digits_0-2", "letters_0-2") for kind in kinds}
    names |= {"letters_0-2_from_the_task_before", "codes"}
    assert {path.stem for path in (workdir / "images/explore").glob("*.png")} == names
    for path in (workdir / "images/explore").glob("*.png"):
        assert np.ptp(pictures.read_png(path)) > 0


def test_the_numbers_are_in_the_results_and_stay_there(explored):
    workdir, found = explored
    results = read_json(workdir / "results.json")
    assert results["explore"] == found == read_json(workdir / "explored.json")
    tasks = ["digits[0-2]", "letters[0-2]"]
    for name in ("traversal", "neighbours_of_the_task", "neighbours_of_the_class", "linear_probe"):
        assert list(found[name]) == tasks
    assert all(
        found["neighbours_of_the_class"][task] <= found["neighbours_of_the_task"][task] <= 1
        for task in tasks
    )
    (entry,) = found["novelty"]
    assert (entry["after_task"], entry["unseen"]) == (tasks[0], tasks[1])
    assert all(0 <= entry[score] <= 1 for score in ("reconstruction_error", "code_density"))
    driver.evaluate(small_config(**CHANGES), workdir)
    assert read_json(workdir / "results.json")["explore"] == found


def test_the_report_has_the_figures_and_the_numbers(explored):
    workdir, found = explored
    page = (workdir / "report.html").read_text()
    for path in (workdir / "images/explore").glob("*.png"):
        assert base64.b64encode(path.read_bytes()).decode() in page
    for value in found["linear_probe"].values():
        assert f'<data value="{value}">' in page


def test_a_strategy_without_an_encoder_cannot_be_explored(tmp_path):
    config = small_config(strategy="gan_replay", **CHANGES)
    with pytest.raises(UserError, match="strategy='gan_replay' trains no encoder"):
        exploring.explore(config, tmp_path)
