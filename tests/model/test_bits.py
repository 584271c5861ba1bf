"""The model API gives the very bits of what the evaluation of its run computed."""

import numpy as np
import pytest
from conftest import read_json, small_config, untrained_run
from PIL import Image

import lgaa_jax
from lgaa_jax.data import loading
from lgaa_jax.data.images import to_unit, to_unsigned
from lgaa_jax.evaluation.batches import in_batches
from lgaa_jax.evaluation.split_metrics import likeness
from lgaa_jax.run import drawing, measurement

BATCH = 50
SHARED = {"eval.generation": "never", "log.eval_batch": BATCH}
RUNS = {
    "with labels, 16 pixels, extended": {"tasks": "digits[0-1],letters[0-1]", "max_tasks": 2},
    "without labels, 32 pixels": {"labels": "none", "data.size": 32, "data.channels": 3},
    "mixed tasks, 64 pixels, in bfloat16": {
        "tasks": "digits[0-1],folder:{plain}",
        "data.size": 64,
        "compute_dtype": "bfloat16",
    },
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A folder of images without classes; two of them are for testing: they make a small batch."""
    folder = tmp_path_factory.mktemp("plain")
    for i, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (30, 20, 20), np.uint8)):
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


@pytest.fixture(autouse=True)
def only_what_is_compared(monkeypatch):
    """No pictures and no risk: they would take most of the time."""
    for name in ("draw_missing", "draw_sequence"):
        monkeypatch.setattr(drawing, name, lambda *args: None)
    monkeypatch.setattr(drawing, "picture_paths", lambda *args: {})
    monkeypatch.setattr(measurement, "_risk", lambda *args: {})


@pytest.mark.ci
@pytest.mark.parametrize("name", RUNS)
def test_what_the_model_says_is_what_was_measured(name, plain, tmp_path):
    changes = {"tasks": "digits[0-1],letters[0]", **SHARED, **RUNS[name]}
    changes["tasks"] = changes["tasks"].format(plain=plain)
    config = small_config(**changes, **{"data.cache_dir": str(tmp_path / "cache")})
    if "extended" in name:
        first = {"tasks": changes["tasks"].split(",")[0]}
        untrained_run(small_config(**{**changes, **first}), tmp_path / "run")
    untrained_run(config, tmp_path / "run")
    model, results = lgaa_jax.load(tmp_path / "run"), read_json(tmp_path / "run/results.json")
    for index, task in enumerate(loading.load(config)):
        images, labels = task.test.images, task.test.labels
        if task.classes:
            assert np.mean(model.classify(images) == labels) == results["accuracy"][-1][index]
        right = np.mean([found == task.name for found in model.task_of(images)])
        assert right == results["domain_accuracy"][index]
        rec = model.reconstruct(images, floats=True)
        found = in_batches(likeness, BATCH, to_unsigned(to_unit(images)), rec)
        for metric in {"mse", "psnr", "ssim", "psnr_luma", "psnr_chroma"} & found.keys():
            mean = np.mean(found[metric], dtype=np.float64)
            assert mean == results["reconstruction"][task.name][metric], metric
        np.testing.assert_array_equal(np.round(rec * 255), model.reconstruct(images))
