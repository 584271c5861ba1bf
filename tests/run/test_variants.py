"""Whole runs at test size of other kinds: strategies, without labels, without classes."""

import dataclasses

import numpy as np
import pytest
from conftest import assert_equal, read_json, small_config

from lgaa_jax.data import embedded, loading, sources
from lgaa_jax.run import drawing, driver


@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param("finetune", marks=pytest.mark.slow),
        pytest.param("joint", marks=pytest.mark.slow),
        pytest.param("experience_replay", marks=pytest.mark.slow),
        pytest.param("gan_replay", marks=pytest.mark.ci),
        pytest.param("vae_replay", marks=pytest.mark.slow),
    ],
)
def test_the_baselines_run_in_the_same_harness(tmp_path, strategy):
    changes = {"strategy": strategy, "steps_per_task": 2, "eval.generation": "never"}
    driver.run(small_config(**changes), tmp_path)
    results = read_json(tmp_path / "results.json")
    assert results["strategy"] == strategy
    assert (results["accuracy"][0][1] is None) == (strategy != "joint")
    assert ("risk" in results) == strategy.endswith(("gan_replay", "vae_replay"))
    reconstructed = list(tmp_path.glob("images/*/*_reconstructed.png"))
    autoencodes = strategy != "gan_replay"
    assert ("reconstruction" in results) == bool(reconstructed) == autoencodes


ACCURACY = {
    "accuracy",
    "average_accuracy",
    "forgetting",
    "forgetting_by_task",
    "backward_transfer",
}


@pytest.mark.slow
def test_without_labels_there_is_no_accuracy(tmp_path):
    driver.run(small_config(labels="none", steps_per_task=2), tmp_path)
    results = read_json(tmp_path / "results.json")
    assert (ACCURACY | {"clustering_accuracy", "risk"}).isdisjoint(results)
    assert len(results["domain_accuracy"]) == len(results["linear_probe"]) == 2


@pytest.mark.ci
def test_without_labels_classes_are_found_and_the_true_ones_are_for_evaluation_only(
    tmp_path, monkeypatch
):
    changes = {"num_classes": 3, "steps_per_task": 2, "eval.generation": "never"}
    config = small_config(labels="none", **changes)
    s = driver.run(config, tmp_path / "run")
    results = read_json(tmp_path / "run/results.json")
    (first, unlearned), last = results["clustering_accuracy"]
    assert unlearned is None
    assert all(1 / 10 <= value <= 1 for value in (first, *last, *results["linear_probe"]))
    assert len(results["linear_probe"]) == 2
    assert ACCURACY.isdisjoint(results)
    # The moments of codes move for the classes that were inferred.
    moved = np.abs(s.codes["mean"]).sum(-1) > 0
    assert moved.any(axis=1).all()

    def without_truth(config):
        for task in load(config):
            train_set, test_set = (
                dataclasses.replace(split, truth=np.full_like(split.truth, -1))
                for split in (task.train, task.test)
            )
            yield dataclasses.replace(task, train=train_set, test=test_set)

    load = loading.load
    monkeypatch.setattr(loading, "load", lambda config: tuple(without_truth(config)))
    monkeypatch.setattr(drawing, "task_grids", lambda *args: {})
    monkeypatch.setattr(drawing, "draw_sequence", lambda *args: None)
    assert_equal(s, driver.run(config, tmp_path / "without"))
    without = read_json(tmp_path / "without/results.json")
    assert {"clustering_accuracy", "linear_probe"}.isdisjoint(without)


@pytest.mark.slow
def test_a_run_of_paper64(tmp_path):
    """As the 64x64 configs have it, at a small width: five critic updates a step and no labels."""
    sizes = {"model": "paper64", "data.size": 64, "data.channels": 3, "net.width": 4}
    changes = {"labels": "none", "loss.n_critic": 5, "steps_per_task": 2}
    s = driver.run(small_config(**sizes, **changes), tmp_path)
    assert int(s.step) == 4
    assert int(s.opt["critic"][0].count) == 20
    reconstruction = read_json(tmp_path / "results.json")["reconstruction"]
    assert set(reconstruction) == {"digits", "letters"}
    # Of three channels, and without a colour that could be lost.
    assert set(reconstruction["digits"]) == {"mse", "psnr", "ssim", "psnr_luma", "psnr_chroma"}


@pytest.mark.ci
def test_a_task_without_classes_beside_one_that_has_some(tmp_path, monkeypatch):
    """First, so that it is replayed while the other is learned."""
    monkeypatch.setitem(sources.SOURCES, "plain", sources.Source(0, embedded.digits))
    config = small_config(tasks="plain,letters,plain", steps_per_task=2)
    s = driver.run(config, tmp_path)
    results = read_json(tmp_path / "results.json")
    (_, first, _), (_, last, _) = results["accuracy"][1:]
    assert results["accuracy"] == [[None] * 3, [None, first, None], [None, last, None]]
    assert results["average_accuracy"] == last
    assert results["forgetting"] == pytest.approx(first - last)
    assert set(results["generation"]) == {"letters"}
    assert {entry["task"] for entry in results["risk"]} == {"letters"}
    # Its codes are kept in its first column.
    moved = (np.asarray(s.codes["mean"]) != 0).any(axis=-1)
    assert (moved[[0, 2]] == (np.arange(10) == 0)).all()
    assert moved[1].sum() > 1
