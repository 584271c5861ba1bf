"""The comparison: which runs it starts, what it refuses, and its table and figure."""

import csv
import json
import sys

import numpy as np
import PIL.Image
import pytest
from conftest import small_config

from lgaa_jax import files
from lgaa_jax.errors import UserError
from lgaa_jax.run import comparison
from lgaa_jax.workdir.metadata import resolved_config

# Stands for launch.py: writes what a run writes, and a line for each time it was started.
SCRIPT = """
import json, os, pathlib, sys
given = dict(a.removeprefix("--").split("=", 1) for a in sys.argv[1:])
strategy, seed = given["config.strategy"], int(given["config.seed"])
folder = pathlib.Path(given["workdir"])
with open(folder.parent / "started", "a") as log:
    log.write(f"{strategy} {seed} {os.environ.get('CUDA_VISIBLE_DEVICES')}\\n")
if strategy == "joint" and seed == 9:
    sys.exit(3)
accuracy = {"lgaa": 0.9, "finetune": 0.2, "gan_replay": 0.5, "joint": 0.97}[strategy] + seed / 100
folder.mkdir()
results = {
    "tasks": ["a", "b"], "accuracy": [[0.99, None], [accuracy, 0.98]], "finished": True,
    "average_accuracy": (accuracy + 0.98) / 2, "forgetting": 0.99 - accuracy,
    "backward_transfer": accuracy - 0.99, "seconds": 60,
    "generation": {"a": {"fitting_capacity": 0.8, "reference_accuracy": 0.99, "samples": 10}},
    "risk": [{"after_task": "b", "task": "a", "discrepancy": 0.1, "bound": 0.3}],
}
if strategy == "finetune":
    del results["risk"]
(folder / "results.json").write_text(json.dumps(results))
"""


@pytest.fixture
def command(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return [sys.executable, str(path)]


def started(root):
    return sorted((root / "started").read_text().splitlines())


def test_missing_runs_are_made_and_finished_ones_are_not_made_again(tmp_path, command):
    root = tmp_path / "runs"
    root.mkdir()
    comparison.run(small_config(), str(root), ["lgaa", "finetune"], [0, 2], (), command)
    expected = ["finetune 0 None", "finetune 2 None", "lgaa 0 None", "lgaa 2 None"]
    assert started(root) == expected
    (root / "lgaa-2/results.json").unlink()
    (root / "lgaa-2").rmdir()
    table = comparison.run(small_config(), str(root), ["lgaa", "finetune"], [0, 2], (), command)
    assert started(root) == sorted([*expected, "lgaa 2 None"])
    header, rule, *lines = (
        [c.strip() for c in line.split("|")][1:-1] for line in table.splitlines()
    )
    assert (header, set(rule)) == (["", "lgaa", "finetune"], {"---"})
    cells = {name: shown for name, *shown in lines}
    assert cells["runs"] == ["2", "2"]
    assert cells["accuracy a"] == ["0.910 ± 0.014", "0.210 ± 0.014"]
    assert cells["reference accuracy a"] == ["0.990 ± 0.000"] * 2
    assert cells["bound a"] == ["0.300 ± 0.000", ""]
    assert (root / "table.md").read_text() == table + "\n"
    with (root / "table.csv").open() as file:
        rows = {row["strategy"]: row for row in csv.DictReader(file)}
    assert float(rows["lgaa"]["accuracy a mean"]) == pytest.approx(0.91)
    assert float(rows["lgaa"]["accuracy a std"]) == pytest.approx(np.std([0.9, 0.92], ddof=1))
    assert rows["finetune"]["bound a mean"] == ""
    picture = np.asarray(PIL.Image.open(root / "accuracy.png"))
    assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 20


def test_a_finished_run_that_is_given_more_tasks_is_not_finished(tmp_path, command):
    changes = {"max_tasks": 3, "tasks": "digits,letters"}
    comparison.run(small_config(**changes), str(tmp_path), ["lgaa"], [0], (), command)
    config = resolved_config(small_config(**changes))
    files.write_json(tmp_path / "lgaa-0/config.json", config)
    comparison.run(small_config(**changes), str(tmp_path), ["lgaa"], [0], (), command)
    assert started(tmp_path) == ["lgaa 0 None"]
    changes["tasks"] += ",digits[0-4]"
    # The script that stands for a run finds its folder there.
    with pytest.raises(UserError, match="1 of 1 runs failed: lgaa with seed 0"):
        comparison.run(small_config(**changes), str(tmp_path), ["lgaa"], [0], (), command)
    assert started(tmp_path) == ["lgaa 0 None"] * 2


def test_a_task_without_classes_has_no_accuracy_column_and_no_panel(tmp_path):
    results = {
        "tasks": ["a", "plain"],
        "accuracy": [[0.9, None], [0.8, None]],
        "finished": True,
        "seconds": 30,
    }
    files.write_json(tmp_path / "lgaa-0/results.json", results)
    table = comparison.run(small_config(), str(tmp_path), ["lgaa"], [0], (), ["false"])
    assert "| accuracy a | 0.800 |" in table
    assert "plain" not in table
    assert set(comparison._panels({"lgaa": [results]})) == {"a"}


def test_runs_are_spread_over_the_devices(tmp_path, command):
    root = tmp_path / "runs"
    root.mkdir()
    strategies = ["lgaa", "finetune", "gan_replay"]
    comparison.run(small_config(), str(root), strategies, [0, 1, 2], ("4", "7"), command)
    assert len(started(root)) == 9
    assert {line.split()[-1] for line in started(root)} == {"4", "7"}


def test_a_run_with_another_config_a_bad_name_and_a_failed_run_are_told(tmp_path, command):
    root = tmp_path / "runs"
    root.mkdir()
    with pytest.raises(UserError, match="strategy='lgan' cannot be used"):
        comparison.run(small_config(), str(root), ["lgaa", "lgan"], [0], (), command)
    other = resolved_config(small_config(batch_size=32))
    files.write_json(root / "lgaa-0/config.json", other)
    with pytest.raises(UserError, match=r"another batch_size \(there 32, now 16\)"):
        comparison.run(small_config(), str(root), ["lgaa"], [0], (), command)
    assert not (root / "started").exists()  # found out before anything ran
    failure = r"1 of 2 runs failed: joint with seed 9 \(exit status 3\)"
    with pytest.raises(UserError, match=failure):
        comparison.run(small_config(), str(root), ["joint"], [9, 2], (), command)
    assert started(root) == ["joint 2 None", "joint 9 None"]  # the others are not held up
    assert not (root / "table.md").exists()


def test_results_without_labels_have_no_accuracy_columns(tmp_path):
    results = {
        "tasks": ["a"],
        "finished": True,
        "seconds": 30,
        "reconstruction": {"a": {"psnr": 20.0}},
        "clustering_accuracy": [[0.75]],
        "linear_probe": [0.875],
    }
    files.write_json(tmp_path / "lgaa-0/results.json", results)
    config = small_config(tasks="digits")
    table = comparison.run(config, str(tmp_path), ["lgaa"], [0], (), ["false"])
    assert json.loads((tmp_path / "lgaa-0/results.json").read_text()) == results
    rows = [
        "|  | lgaa |",
        "| --- | --- |",
        "| runs | 1 |",
        "| clustering accuracy a | 0.750 |",
        "| linear probe a | 0.875 |",
        "| PSNR a | 20.0 |",
        "| minutes | 0.500 |",
    ]
    assert table.splitlines() == rows
    assert not (tmp_path / "accuracy.png").exists()
