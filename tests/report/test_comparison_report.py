"""report.html of a comparison, against the results of its runs."""

import numpy as np
import pytest
from fake_run import Page, specs, write_run

from lgaa_jax.report import comparison_report, library

TASKS = {"digits": list("01234"), "letters": list("ABC")}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The root of a comparison of two strategies with two seeds, the results, and the page."""
    root = tmp_path_factory.mktemp("compared")
    results, folders = {}, {}
    for k, strategy in enumerate(("lgaa", "finetune")):
        folders[strategy] = [root / f"{strategy}-{seed}" for seed in (0, 1)]
        results[strategy] = [
            write_run(folder, TASKS, seed=seed + 10 * k, strategy=strategy)
            for seed, folder in enumerate(folders[strategy])
        ]
    with pytest.MonkeyPatch.context() as m:
        m.setattr(library, "script", lambda: "")
        path = comparison_report.write(root, folders)
    return path, results, Page(path)


def test_a_cell_is_the_mean_over_the_seeds(compared):
    _, results, page = compared
    table = page.table("After the last task")
    for strategy, runs in results.items():
        last = [run["accuracy"][-1][0] for run in runs]
        assert table["accuracy digits"][strategy] == pytest.approx(np.mean(last))
        seconds = [run["seconds"] for run in runs]
        assert table["minutes"][strategy] == pytest.approx(np.mean(seconds) / 60)
    low, high = sorted(run["average_accuracy"] for run in results["lgaa"])
    assert f"{low:.4g} to {high:.4g}" in page.text
    assert f"± {np.std([low, high], ddof=1):.3f}" in page.text


def test_curves_have_a_band_of_one_deviation_and_name_each_seed(compared):
    path, results, _ = compared
    values = specs(path)["accuracy on digits after each task, by strategy"]["data"]["values"]
    found = {(v["series"], v["after"]): v for v in values}
    assert len(found) == 4
    seeds = np.array([run["accuracy"][1][0] for run in results["finetune"]]) * 100
    point = found["finetune", "letters"]
    assert point["value"] == pytest.approx(seeds.mean())
    assert point["high"] - point["value"] == pytest.approx(np.std(seeds, ddof=1))
    assert point["seeds"] == f"{seeds[0]:.1f}, {seeds[1]:.1f}"
    assert "loss critic along the training steps" in specs(path)


def test_samples_of_the_strategies_stand_under_real_ones(compared):
    _, _, page = compared
    digits = [alt for alt in page.alts if " of digits" in alt]
    assert [alt.split(" images")[0] for alt in digits] == [
        "real",
        "lgaa generated",
        "lgaa generated",
        "finetune generated",
        "finetune generated",
    ]


def test_what_makes_the_runs_differ_is_not_in_the_config(compared):
    _, _, page = compared
    assert {"strategy", "seed"}.isdisjoint(page.table("Every key"))


def test_runs_of_results_alone_make_a_report(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "script", lambda: "")
    write_run(tmp_path / "lgaa-0", TASKS, images=False)
    (tmp_path / "lgaa-0/metrics.jsonl").unlink()
    page = Page(comparison_report.write(tmp_path, {"lgaa": [tmp_path / "lgaa-0"]}))
    assert page.alts == []
    assert "±" not in "".join(map(str, page.table("After the last task").values()))
