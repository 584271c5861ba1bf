"""The table of a comparison, against values computed by hand."""

import csv

import numpy as np
import pytest

from lgaa_jax.report import comparison_table

RESULTS = {
    "tasks": ["a", "b"],
    "accuracy": [[0.99, None], [0.9, 0.98]],
    "average_accuracy": 0.94,
    "forgetting": 0.09,
    "backward_transfer": -0.09,
    "seconds": 60,
    "reconstruction": {"a": {"mse": 0.1, "psnr": 20.0}, "b": {"mse": 0.0}},
    "generation": {"a": {"reference_accuracy": 0.99, "samples": 10}},
    "risk": [
        {"after_task": "a", "task": "a", "discrepancy": 0.0, "bound": 0.1},
        {"after_task": "b", "task": "a", "discrepancy": 0.1, "bound": 0.3},
    ],
}
LOWER = RESULTS | {"accuracy": [[0.99, None], [0.92, 0.98]], "seconds": 120}
NO_RISK = {key: value for key, value in LOWER.items() if key != "risk"}


def cells(table):
    """{metric: what is shown of each strategy}, in the order of the lines."""
    lines = [[c.strip() for c in line.split("|")[1:-1]] for line in table.splitlines()]
    assert set(lines[1]) == {"---"}
    return {name: shown for name, *shown in lines[:1] + lines[2:]}


def csv_lines(root):
    with (root / "table.csv").open() as file:
        return {line["strategy"]: line for line in csv.DictReader(file)}


def test_a_cell_is_the_mean_and_the_deviation_over_seeds(tmp_path):
    results = {"lgaa": [RESULTS, LOWER], "joint": [LOWER, LOWER]}
    table = comparison_table.write(tmp_path, results)
    shown = cells(table)
    assert shown[""] == ["lgaa", "joint"]
    assert shown["runs"] == ["2", "2"]
    assert shown["accuracy a"] == ["0.910 ± 0.014", "0.920 ± 0.000"]
    assert shown["PSNR a"] == ["20.0 ± 0.0"] * 2
    assert shown["reference accuracy a"] == ["0.990 ± 0.000"] * 2
    assert shown["bound a"] == ["0.300 ± 0.000"] * 2
    assert shown["minutes"] == ["1.500 ± 0.707", "2.000 ± 0.000"]
    assert {"samples a", "PSNR b"}.isdisjoint(shown)
    assert (tmp_path / "table.md").read_text() == table + "\n"
    line = csv_lines(tmp_path)["lgaa"]
    assert float(line["accuracy a mean"]) == pytest.approx(0.91)
    assert float(line["accuracy a std"]) == pytest.approx(np.std([0.9, 0.92], ddof=1))


def test_a_single_seed_has_no_deviation(tmp_path):
    table = comparison_table.write(tmp_path, {"lgaa": [RESULTS]})
    assert "±" not in table
    assert cells(table)["accuracy a"] == ["0.900"]
    assert csv_lines(tmp_path)["lgaa"]["accuracy a std"] == ""
    assert np.isnan(comparison_table.spread(np.ones((1, 2)))).all()


def test_a_metric_that_one_seed_lacks_is_empty(tmp_path):
    table = comparison_table.write(tmp_path, {"lgaa": [RESULTS, NO_RISK], "joint": [RESULTS] * 2})
    assert cells(table)["bound a"] == ["", "0.300 ± 0.000"]
    assert csv_lines(tmp_path)["lgaa"]["bound a mean"] == ""
    table = comparison_table.write(tmp_path, {"lgaa": [RESULTS, NO_RISK]})
    assert "bound a" not in cells(table)


def test_a_task_without_classes_has_no_accuracy_line(tmp_path):
    results = {"tasks": ["a", "plain"], "accuracy": [[0.9, None], [0.8, None]], "seconds": 30}
    table = comparison_table.write(tmp_path, {"lgaa": [results]})
    assert list(cells(table)) == ["", "runs", "accuracy a", "minutes"]


def test_results_without_labels_have_no_accuracy_lines(tmp_path):
    results = {
        "tasks": ["a", "b"],
        "seconds": 30,
        "reconstruction": {"a": {"psnr": 20.0}},
        "clustering_accuracy": [[0.5, None], [0.75, 0.25]],
        "linear_probe": [0.875, None],
    }
    table = comparison_table.write(tmp_path, {"lgaa": [results]})
    assert cells(table) == {
        "": ["lgaa"],
        "runs": ["1"],
        "clustering accuracy a": ["0.750"],
        "clustering accuracy b": ["0.250"],
        "linear probe a": ["0.875"],
        "PSNR a": ["20.0"],
        "minutes": ["0.500"],
    }


def test_colour_has_its_lines(tmp_path):
    values = {"psnr": 25.0, "psnr_luma": 26.0, "psnr_chroma": 30.0, "chroma": 0.75}
    results = {"tasks": ["a"], "seconds": 30, "reconstruction": {"a": values}}
    results["generation"] = {"a": {"chroma": 0.5, "samples": 10}}
    table = comparison_table.write(tmp_path, {"lgaa": [results]})
    assert list(cells(table).items())[2:-1] == [
        ("PSNR a", ["25.0"]),
        ("PSNR luma a", ["26.0"]),
        ("PSNR chroma a", ["30.0"]),
        ("chroma a", ["0.750"]),
        ("sampled chroma a", ["0.500"]),
    ]


def test_a_bar_in_a_folders_name_ends_no_cell(tmp_path):
    results = {"tasks": ["folder:a|b"], "accuracy": [[0.5]], "seconds": 6}
    table = comparison_table.write(tmp_path, {"lgaa": [results]})
    assert "| accuracy folder:a\\|b | 0.500 |" in table.splitlines()


def test_a_run_that_was_explored_has_its_novelty_and_disentanglement():
    new = {"after_task": "a", "unseen": "b", "reconstruction_error": 0.75, "code_density": 0.5}
    scores = {"mig": 0.25, "mig_turned": 0.125, "completeness": 0.375, "by_factor": {"x": {}}}
    held = {"after_task": "b", "task": "a", "z": scores, "z_and_class": {**scores, "mig": 0.625}}
    explore = {"novelty": [new], "disentanglement": [held], "step": 10}
    shown = cells(comparison_table.markdown({"lgaa": [RESULTS | {"explore": explore}]}))
    expected = {
        "novelty of b, reconstruction error": "0.750",
        "novelty of b, code density": "0.500",
        "MIG of z of a after b": "0.250",
        "MIG in turned axes of z of a after b": "0.125",
        "completeness of z of a after b": "0.375",
        "MIG of z and class of a after b": "0.625",
    }
    assert {name: shown[name] for name in expected} == {k: [v] for k, v in expected.items()}
    assert not any("by_factor" in name or "by factor" in name for name in shown)
