"""results.json: its keys, and their values computed by hand."""

import json
import math

import pytest
from conftest import small_config

from lgaa_jax import files
from lgaa_jax.workdir import results
from lgaa_jax.workdir.record import Record

SETTINGS = {"samples": 50}
AFTER_A = {"a": {"accuracy": 0.9, "domain_accuracy": 1.0, "mse": 0.5, "psnr": 20.0}}
AFTER_B = {
    "a": {
        "accuracy": 0.6,
        "domain_accuracy": 0.75,
        "mse": 0.0,
        "psnr": math.inf,
        "ssim": 1.0,
        "generation/fid": math.nan,
        "generation/samples": 50,
        "risk/bound": 0.5,
        "risk/discrepancy": math.nan,
    },
    "b": {"accuracy": 0.8, "domain_accuracy": 0.5, "mse": 0.25, "psnr": 10.0},
}


def record(*measured):
    """A record of tasks of five steps each."""
    made = Record(seconds=1.26)
    for task, values in enumerate(measured):
        made = made.with_task(task, 5 * (task + 1), values, SETTINGS)
    return made


def summary(made, names=("a", "b"), end=10, classes=()):
    return results.summary(names, "lgaa", 3, made, end=end, class_names=dict(classes))


def test_the_results_of_a_finished_run():
    found = summary(record(AFTER_A, AFTER_B), classes={"a": ("cat", "dog"), "b": ()})
    assert found == {
        "strategy": "lgaa",
        "tasks": ["a", "b"],
        "classes": {"a": ["cat", "dog"]},
        "seed": 3,
        "steps": 10,
        "seconds": 1.3,
        "finished": True,
        "eval": SETTINGS,
        "accuracy": [[0.9, None], [0.6, 0.8]],
        "average_accuracy": pytest.approx(0.7),
        "forgetting": pytest.approx(0.3),
        "backward_transfer": pytest.approx(-0.3),
        "forgetting_by_task": {"a": pytest.approx(0.3)},
        "domain_accuracy": [0.75, 0.5],
        "reconstruction": {"a": {"mse": 0.0, "ssim": 1.0}, "b": {"mse": 0.25, "psnr": 10.0}},
        "generation": {"a": {"samples": 50}},
        "risk": [{"after_task": "b", "task": "a", "bound": 0.5}],
    }


def test_metrics_of_colour_stand_with_those_of_their_images():
    colour = {"psnr": 20.0, "psnr_luma": 21.0, "psnr_chroma": 30.0, "chroma": 0.75}
    found = summary(record({"a": {**colour, "generation/chroma": 0.5}}))
    assert found["reconstruction"] == {"a": colour}
    assert found["generation"] == {"a": {"chroma": 0.5}}


def test_metrics_that_are_inf_or_nan_can_be_written(tmp_path):
    found = summary(record(AFTER_A, AFTER_B))
    files.write_json(tmp_path / "results.json", found)
    assert results.read(tmp_path) == found


def test_what_was_not_computed_is_absent():
    assert summary(Record()) == {
        "strategy": "lgaa",
        "tasks": ["a", "b"],
        "seed": 3,
        "steps": 0,
        "seconds": 0.0,
        "finished": False,
    }
    after_one = summary(record(AFTER_A))
    assert after_one["accuracy"] == [[0.9, None], [None, None]]
    assert after_one["average_accuracy"] == 0.9
    assert {"forgetting", "forgetting_by_task", "backward_transfer"}.isdisjoint(after_one)
    assert not after_one["finished"]


def test_a_task_without_classes_is_null_in_the_matrix_and_in_no_mean():
    plain = {"b": {"domain_accuracy": 1.0}}
    found = summary(record(AFTER_A, {"a": {"accuracy": 0.5, "domain_accuracy": 1.0}} | plain))
    assert found["accuracy"] == [[0.9, None], [0.5, None]]
    assert found["average_accuracy"] == 0.5
    assert found["forgetting"] == pytest.approx(0.4)


def test_without_labels_there_are_the_metrics_of_what_was_found():
    values = {"domain_accuracy": 1.0, "clustering_accuracy": 0.5, "linear_probe": 0.25}
    probeless = {"domain_accuracy": 1.0, "clustering_accuracy": 0.75}
    found = summary(record({"a": values}, {"a": values, "b": probeless}))
    assert found["clustering_accuracy"] == [[0.5, None], [0.5, 0.75]]
    assert found["linear_probe"] == [0.25, None]
    assert {"accuracy", "average_accuracy", "classes"}.isdisjoint(found)


def test_a_run_that_was_stopped_inside_its_last_task_is_not_finished_by_being_measured():
    inside = record(AFTER_A).with_task(1, 7, AFTER_B, SETTINGS)
    assert not summary(inside)["finished"]
    assert summary(inside.with_task(1, 10, AFTER_B, SETTINGS))["finished"]


def test_results_of_an_earlier_versions_record_do_not_say_how_they_were_measured():
    stored = {"rows": [AFTER_A, AFTER_B], "step": 10, "seconds": 1.0}
    stored["rows"][1]["a"] = AFTER_A["a"]
    found = summary(Record.from_json(stored))
    assert found["finished"]
    assert "eval" not in found


def test_settings_are_the_eval_section_less_the_folder_that_changes_nothing():
    changes = {"eval.samples": 60, "eval.reference_dir": "somewhere"}
    settings = results.measured_with(small_config(**changes))
    assert settings["samples"] == 60
    assert {"generation", "classifier_steps", "inception_weights"} <= settings.keys()
    assert "reference_dir" not in settings
    assert json.loads(json.dumps(settings)) == settings
    assert settings == results.measured_with(small_config(**{"eval.samples": 60}))
    # Keys that results of earlier versions lack count where they change something.
    assert not {"every", "confidence"} & settings.keys()
    later = {"eval.every": 2, "eval.confidence": 0.5}
    assert results.measured_with(small_config(**changes, **later)) == {
        **settings,
        "every": 2,
        "confidence": 0.5,
    }


@pytest.mark.parametrize(
    "content",
    [None, "", '{"tasks": ["a"', "[]", "3", '{"tasks": ["a"]}', '{"tasks": 1, "seed": 0}', b"\xff"],
)
def test_missing_and_damaged_results_read_as_none(tmp_path, content):
    if content is not None:
        raw = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "results.json").write_bytes(raw)
    assert results.read(tmp_path) is None
