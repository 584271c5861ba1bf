"""Whole runs at test size: stopping and resuming, what is written, evaluation, and refusals."""

import dataclasses
import json
import re
import shutil

import jax
import numpy as np
import pytest
from conftest import assert_equal, read_json, shown, small_config, untrained_run

from lgaa_jax.data import embedded, sources
from lgaa_jax.errors import UserError
from lgaa_jax.report import run_report
from lgaa_jax.run import drawing, driver, measurement, rerun, session, training
from lgaa_jax.run.progress import Progress
from lgaa_jax.workdir import pictures
from lgaa_jax.workdir.metadata import run_metadata, write_metadata
from lgaa_jax.workdir.picture_files import GRID_ROWS

STEPS = 10  # two tasks of five; a checkpoint every four steps and at each task's end


class StoppedError(Exception):
    """Stands for the end of the process."""


def run_until(monkeypatch, stop, config, workdir):
    """Runs until step `stop` has been taken, and no further."""
    taken = []

    def update(_, steps):
        taken.append(steps)
        if len(taken) == stop:
            raise StoppedError

    with monkeypatch.context() as m:
        m.setattr(Progress, "update", update)
        try:
            driver.run(config, workdir)
        except StoppedError:
            return
    raise AssertionError("the run ended before it was stopped")


def test_calls_end_with_every_period_and_take_no_more_than_allowed():
    assert list(training.calls(0, 11, 4, (3, 5))) == [
        (0, 3),
        (3, 5),
        (5, 6),
        (6, 9),
        (9, 10),
        (10, 11),
    ]
    assert list(training.calls(2, 9, 3, (100,))) == [(2, 5), (5, 8), (8, 9)]
    # Where a run goes on from one of these ends, the rest is cut as before.
    assert list(training.calls(6, 11, 4, (3, 5))) == [(6, 9), (9, 10), (10, 11)]


RATES = {"train/steps_per_second", "train/images_per_second"}


def lines(workdir):
    """The objects of metrics.jsonl, less what depends on the clock."""
    for text in (workdir / "metrics.jsonl").read_text().splitlines():
        yield {name: value for name, value in json.loads(text).items() if name not in RATES}


def sequence(workdir):
    """The picture of all tasks after all tasks."""
    return (workdir / "images/sequence.png").read_bytes()


def without_seconds(path):
    """results.json or evaluations.json less the one entry that is a time, and its seal."""
    results = read_json(path)
    assert results.pop("seconds") >= 0
    results.pop("seal", None)
    return results


@pytest.fixture(scope="module", autouse=True)
def experiments():
    """Runs of the same config share their experiment: to trace and load it takes seconds."""
    build, built = session.build, {}

    def memo(config):
        text = config.to_json()
        if text not in built:
            built[text] = build(config)
        return built[text]

    with pytest.MonkeyPatch.context() as m:
        m.setattr(session, "build", memo)
        yield built


@pytest.fixture(scope="module")
def whole(tmp_path_factory, experiments):
    """An uninterrupted run: its folder and final state. Its step is compiled once for all tasks."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    s = driver.run(small_config(), workdir)
    assert experiments[small_config().to_json()].train_steps._cache_size() == 1
    return workdir, s


def test_a_run_writes_what_the_design_lists(whole):
    workdir, s = whole
    assert (int(s.step), int(s.task)) == (STEPS, 1)
    assert {p.name for p in workdir.iterdir()} == {
        "config.json",
        "checkpoints",
        "evaluations.json",
        "metrics.jsonl",
        "tensorboard",
        "images",
        "reference",
        "report.html",
        "results.json",
    }
    results = without_seconds(workdir / "results.json")
    assert results["tasks"] == ["digits", "letters"]
    assert (results["strategy"], results["seed"], results["steps"]) == ("lgaa", 0, STEPS)
    (first, unlearned), last = results["accuracy"]
    assert unlearned is None
    assert results["average_accuracy"] == pytest.approx(np.mean(last))
    assert {"clustering_accuracy", "linear_probe"}.isdisjoint(results)
    assert results["forgetting"] == pytest.approx(first - last[0])
    assert results["forgetting_by_task"] == {"digits": results["forgetting"]}
    assert len(results["domain_accuracy"]) == 2
    assert set(results["reconstruction"]["letters"]) == {"mse", "psnr", "ssim"}
    assert set(results["generation"]["digits"]) == {
        "frechet_distance",
        "precision",
        "recall",
        "fitting_capacity",
        "label_agreement",
        "class_balance",
        "reference_accuracy",
        "samples",
    }
    cells = [(entry["after_task"], entry["task"]) for entry in results["risk"]]
    assert cells == [("digits", "digits"), ("letters", "digits"), ("letters", "letters")]
    for entry in results["risk"]:
        assert entry["target_risk"] <= entry["bound"] + 1e-12
        parts = entry["source_risk"] + entry["discrepancy"] + entry["labelling_error"]
        assert entry["bound"] == pytest.approx(parts)
    assert results["finished"]
    assert results["classes"]["letters"] == list("ABCDEFGHIJ")
    logged = list(lines(workdir))
    assert sorted({line["step"] for line in logged}) == [2, 4, 5, 6, 8, 10]
    assert any("train/loss/critic" in line for line in logged)
    assert any("eval/digits/accuracy" in line for line in logged)
    rate = "train/learning_rate/critic"
    rates = {line["step"]: line[rate] for line in logged if rate in line}
    assert rates[4] == rates[6] == pytest.approx(2e-4)
    assert rates[5] == pytest.approx(1e-4)  # the second of two steps over which it falls
    drawn = {str(p.relative_to(workdir / "images")) for p in workdir.glob("images/*/*.png")}
    assert "1_after_letters/digits_generated.png" in drawn
    assert len(drawn) == 9
    assert {p.name for p in workdir.glob("images/*.png")} == {"sequence.png"}
    written = read_json(workdir / "config.json")
    assert written["config"]["batch_size"] == 16
    assert written["device"] == {"kind": "cpu", "count": 2}
    assert written["command"]
    assert written["classes"]["letters"] == list("ABCDEFGHIJ")


def test_the_report_has_the_numbers_of_the_results_and_is_made_of_the_files_alone(whole, tmp_path):
    workdir, _ = whole
    results, page = read_json(workdir / "results.json"), (workdir / "report.html").read_text()
    numbers = [value for row in results["accuracy"] for value in row if value is not None]
    numbers += [entry["bound"] for entry in results["risk"]]
    numbers += [results["average_accuracy"], results["generation"]["letters"]["precision"]]
    assert all(f'<data value="{value}">' in page for value in numbers)
    assert page.count("data:image/png;base64,") == 3 + 2 * 3  # samples; each kind of each task
    assert "loss reconstruction along the training steps" in page
    for name in ("config.json", "results.json", "metrics.jsonl", "evaluations.json"):
        shutil.copy(workdir / name, tmp_path)
    shutil.copytree(workdir / "images", tmp_path / "images")
    assert run_report.write(tmp_path).read_text() == page


def test_a_report_that_cannot_be_written_is_told_and_the_run_goes_on(
    whole, tmp_path, monkeypatch, capsys
):
    def fail(workdir):
        raise OSError("no space left on device")

    monkeypatch.setattr(run_report, "write", fail)
    workdir = shutil.copytree(whole[0], tmp_path / "run")
    (workdir / "report.html").unlink()
    driver.run(small_config(), workdir)
    path = workdir / "report.html"
    assert f"{path} was not written: OSError: no space left on device\n" in capsys.readouterr().out
    assert not path.exists()


def test_the_picture_of_the_sequence_has_samples_of_each_task_after_each_task(whole):
    """Two of each of five classes, as in the pictures after the tasks; the upper left is digits."""
    picture = pictures.read_png(whole[0] / "images/sequence.png")
    high, wide = 2 * 34 + 2 + 8, 5 * 34 + 2 + 8

    def block(row, column):
        y, x = picture.shape[0] - (2 - row) * high, picture.shape[1] - (2 - column) * wide + 4
        return picture[y : y + high - 8, x : x + wide - 8]

    def drawn(folder, task):
        made = pictures.read_png(whole[0] / f"images/{folder}/{task}_generated.png")
        cells = pictures.cut(made, GRID_ROWS, (16, 16, 1))
        return pictures.grid(cells[:2, [0, 2, 4, 7, 9]])

    for place, names in {
        (0, 0): ("0_after_digits", "digits"),
        (0, 1): ("1_after_letters", "digits"),
        (1, 1): ("1_after_letters", "letters"),
    }.items():
        np.testing.assert_array_equal(block(*place), drawn(*names))
    assert (block(1, 0) == 255).all()


@pytest.mark.parametrize(("count", "columns"), [(1, 4), (2, 4), (3, 3), (4, 4), (5, 5), (26, 5)])
def test_of_a_picture_a_few_samples_are_taken(count, columns):
    cells = np.arange(8 * count).reshape(8, count)
    chosen = drawing.some_cells(cells)
    assert chosen.shape == (2, columns)
    assert len(np.unique(chosen)) == 2 * columns
    assert set(chosen[0] % count) == set(chosen[1] % count)
    assert {0, count - 1} <= set(chosen[0] % count)


@pytest.mark.parametrize(
    ("stop", "damaged"),
    [pytest.param(n, None, marks=pytest.mark.slow) for n in (1, 4, 7, 10)] + [(5, None), (7, 5)],
)
def test_a_stopped_and_resumed_run_ends_in_the_same_bits(
    whole, tmp_path, monkeypatch, caplog, stop, damaged
):
    """Before the first checkpoint, on one, at the very end; at a task's end, inside task 1.

    Where the last checkpoint is damaged, the run goes on from the one before.
    """
    run_until(monkeypatch, stop, small_config(), tmp_path / "run")
    if damaged:
        (tmp_path / f"run/checkpoints/{damaged}/state/_METADATA").write_text("{")
    s = driver.run(small_config(), tmp_path / "run")
    said = [r.getMessage() for r in caplog.records if "is damaged" in r.getMessage()]
    assert len(said) == bool(damaged)
    assert (tmp_path / f"run/damaged/{damaged}").is_dir() == bool(damaged)
    assert_equal(whole[1], s)
    assert without_seconds(tmp_path / "run/results.json") == without_seconds(
        whole[0] / "results.json"
    )
    assert sequence(tmp_path / "run") == sequence(whole[0])
    # Not one line lost or twice, and none different.
    assert list(lines(tmp_path / "run")) == list(lines(whole[0]))
    steps = shown(tmp_path / "run")
    assert {**steps, **dict.fromkeys(RATES)} == {**shown(whole[0]), **dict.fromkeys(RATES)}


@pytest.mark.slow
def test_on_two_devices_streamed_images_make_the_same_bits(tmp_path):
    changes = {"devices": 2, "eval.generation": "never"}
    held = driver.run(small_config(**changes), tmp_path / "held")
    streamed = driver.run(small_config(**changes, **{"data.streaming": "on"}), tmp_path / "run")
    assert_equal(held, streamed)


@pytest.mark.ci
def test_a_run_whose_images_are_streamed_ends_in_the_same_bits(whole, tmp_path, monkeypatch):
    """Also where it is stopped, and goes on with its images in memory or the other way round."""
    streamed = small_config(**{"data.streaming": "on"})
    run_until(monkeypatch, 3, streamed, tmp_path / "run")
    run_until(monkeypatch, 4, small_config(), tmp_path / "run")
    s = driver.run(streamed, tmp_path / "run")
    assert_equal(whole[1], s)
    assert list(lines(tmp_path / "run")) == list(lines(whole[0]))
    results = [without_seconds(path / "results.json") for path in (tmp_path / "run", whole[0])]
    assert results[0] == results[1]


@pytest.mark.ci
def test_two_devices_evaluate_what_one_has_trained(whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "run")
    found = driver.evaluate(small_config(devices=2), tmp_path / "run")
    expected = read_json(whole[0] / "results.json")
    assert found["finished"]
    for name in ("accuracy", "domain_accuracy"):
        np.testing.assert_array_equal(found[name], expected[name])
    for task, metrics in expected["reconstruction"].items():
        assert found["reconstruction"][task] == pytest.approx(metrics, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        ({}, {"devices": 2}),
        ({"devices": 2}, {}),
        ({"devices": 2, "shard_state": True}, {}),
        ({}, {"devices": 2, "shard_state": True}),
    ],
    ids=str,
)
def test_a_run_goes_on_with_another_number_of_devices(whole, tmp_path, monkeypatch, changes):
    """From its checkpoint in task 0, through the task change, to the same state up to rounding."""
    before, after = (small_config(**c) for c in changes)
    run_until(monkeypatch, 5, before, tmp_path / "run")
    s = driver.run(after, tmp_path / "run")
    assert int(s.step) == STEPS
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), s.params, whole[1].params
    )


def test_a_finished_run_is_not_trained_again(whole):
    before = (whole[0] / "metrics.jsonl").read_bytes()
    s = driver.run(small_config(), whole[0])
    assert_equal(whole[1], s)
    assert (whole[0] / "metrics.jsonl").read_bytes() == before


def test_eval_gives_the_numbers_that_training_wrote(whole):
    path = whole[0] / "results.json"
    written = path.read_bytes()
    path.unlink()
    driver.evaluate(small_config(), whole[0])
    assert path.read_bytes() == written


def test_eval_of_an_earlier_step_writes_beside_the_results(whole):
    written = (whole[0] / "results.json").read_bytes()
    first = driver.evaluate(small_config(), whole[0], step=5)
    assert (first["steps"], first["accuracy"][1]) == (5, [None, None])
    assert not first["finished"]
    assert "forgetting" not in first
    assert read_json(whole[0] / "results-5.json") == first
    assert (whole[0] / "results.json").read_bytes() == written


@pytest.mark.ci
def test_what_is_missing_or_was_measured_otherwise_is_made_again(whole, tmp_path, monkeypatch):
    """Deleted: results, evaluations and pictures; then other settings of `eval`."""
    workdir = shutil.copytree(whole[0], tmp_path / "run")
    picture = workdir / "images/0_after_digits/digits_generated.png"
    drawn = picture.read_bytes()
    whole_sequence = workdir / "images/sequence.png"
    for path in (workdir / "results.json", workdir / "evaluations.json", picture, whole_sequence):
        path.unlink()
    trained = []
    monkeypatch.setattr(training, "calls", lambda *args: trained.append(args) or ())
    assert_equal(whole[1], driver.run(small_config(), workdir))
    assert not trained
    for name in ("results.json", "evaluations.json"):
        made_again, before = (without_seconds(path / name) for path in (workdir, whole[0]))
        assert made_again == before
    assert picture.read_bytes() == drawn
    assert sequence(workdir) == sequence(whole[0])
    assert list(lines(workdir)) == list(lines(whole[0]))
    driver.run(small_config(**{"eval.samples": 40}), workdir)
    results = read_json(workdir / "results.json")
    assert (results["eval"]["samples"], results["generation"]["digits"]["samples"]) == (40, 40)
    settings = [
        entry["samples"] for entry in read_json(workdir / "evaluations.json")["measured_with"]
    ]
    assert settings == [40, 40]


def test_an_evaluation_that_fails_costs_no_training(whole, tmp_path, monkeypatch):
    def fail(*args):
        raise RuntimeError("the evaluation failed")

    with monkeypatch.context() as m:
        m.setattr(measurement, "measure", fail)
        with pytest.raises(RuntimeError, match="the evaluation failed"):
            driver.run(small_config(), tmp_path)
    assert (tmp_path / "checkpoints/5").is_dir()
    steps = []
    update = Progress.update
    monkeypatch.setattr(Progress, "update", lambda self, n: steps.append(n) or update(self, n))
    assert_equal(whole[1], driver.run(small_config(), tmp_path))
    assert sum(steps) == STEPS - 5
    assert without_seconds(tmp_path / "results.json") == without_seconds(whole[0] / "results.json")


def test_another_config_is_refused_in_the_same_workdir(whole):
    with pytest.raises(UserError, match=r"another seed \(there 0, now 1\)"):
        driver.run(small_config(seed=1), whole[0])
    with pytest.raises(UserError, match=r"another net\.width"):
        driver.evaluate(small_config(**{"net.width": 16}), whole[0])


@pytest.mark.slow
def test_of_many_tasks_those_before_are_measured_now_and_then(tmp_path):
    changes = {"tasks": "digits[0-4],letters,digits[5-9],letters[0-2]", "max_tasks": 4}
    changes |= {"eval.generation": "never", "eval.every": 3}
    untrained_run(small_config(**changes), tmp_path)
    results = read_json(tmp_path / "results.json")
    assert [[v is not None for v in row] for row in results["accuracy"]] == [
        [True, False, False, False],
        [False, True, False, False],
        [True, True, True, False],
        [True] * 4,
    ]
    assert len(results["domain_accuracy"]) == 4
    assert set(results["forgetting_by_task"]) == set(results["tasks"][:3])
    after = {entry["after_task"] for entry in results["risk"] if entry["task"] == "letters"}
    assert after == set(results["tasks"][1:])
    drawn = sorted(p.parent.name[0] for p in tmp_path.glob("images/*/*_generated.png"))
    assert drawn == ["0", "1", "2", "2", "2", "3", "3", "3", "3"]
    # What was left out is measured when it is asked for.
    driver.evaluate(small_config(**changes | {"eval.every": 1}), tmp_path)
    accuracy = read_json(tmp_path / "results.json")["accuracy"]
    assert accuracy[1][0] is not None
    assert accuracy[2:] == results["accuracy"][2:]


def test_eval_needs_a_run_and_a_step_that_it_kept(whole, tmp_path):
    with pytest.raises(UserError, match="holds no checkpoints; train first"):
        driver.evaluate(small_config(), tmp_path)
    with pytest.raises(UserError, match="there is no checkpoint of step 3"):
        driver.evaluate(small_config(), whole[0], step=3)


@pytest.mark.ci
def test_a_run_that_is_given_a_task_ends_in_the_same_bits_as_one_that_knew_it(whole, tmp_path):
    """The first run has finished when it is extended.

    With eval.generation=last its only task was the last one then, and keeps what was measured of
    its generated images: all that it has more than the other run.
    """
    driver.run(small_config(tasks="digits", max_tasks=2), tmp_path)
    assert read_json(tmp_path / "results.json")["finished"]
    one = pictures.read_png(tmp_path / "images/sequence.png")
    assert_equal(whole[1], driver.run(small_config(max_tasks=2), tmp_path))
    more = set()
    for line, other in zip(lines(tmp_path), lines(whole[0]), strict=True):
        more |= line.keys() - other.keys()
        assert {name: line[name] for name in other} == other
    assert "eval/digits/generation/recall" in more
    assert {name.rpartition("/")[0] for name in more} == {"eval/digits/generation"}
    assert without_seconds(tmp_path / "results.json") == without_seconds(whole[0] / "results.json")
    assert read_json(tmp_path / "config.json")["config"]["tasks"] == "digits,letters"
    # The picture of the sequence grew by a row and a column.
    two = pictures.read_png(tmp_path / "images/sequence.png")
    assert (np.array(two.shape[:2]) > 1.5 * np.array(one.shape[:2])).all()
    assert sequence(tmp_path) == sequence(whole[0])


@pytest.mark.slow
@pytest.mark.parametrize("stop", [7, None])
def test_a_run_of_two_tasks_is_extended_by_a_third(tmp_path, monkeypatch, stop):
    """Inside the second task, and when it has finished; the third is the first again."""
    changes = {"max_tasks": 3, "eval.generation": "never"}
    two, three = (
        small_config(tasks=t, **changes) for t in ("digits,letters", "digits,letters,digits")
    )
    s = driver.run(three, tmp_path / "whole")
    if stop:
        run_until(monkeypatch, stop, two, tmp_path / "run")
    else:
        driver.run(two, tmp_path / "run")
    assert_equal(s, driver.run(three, tmp_path / "run"))
    results = [without_seconds(tmp_path / name / "results.json") for name in ("run", "whole")]
    assert results[0] == results[1]
    assert results[0]["tasks"] == ["digits", "letters", "digits#2"]
    assert np.shape(results[0]["accuracy"]) == (3, 3)
    assert list(lines(tmp_path / "run")) == list(lines(tmp_path / "whole"))
    drawn = {p.name for p in (tmp_path / "run/images/2_after_digits-2").iterdir()}
    assert {"digits_real.png", "digits-2_real.png"} < drawn


def test_a_task_with_more_classes_is_refused_before_anything_is_changed(
    whole, tmp_path, monkeypatch
):
    monkeypatch.setitem(sources.SOURCES, "more", sources.Source(11, embedded.digits))
    config = small_config(tasks="digits", max_tasks=2)
    write_metadata(tmp_path, run_metadata(config, {}, {}, {}))
    config.tasks = "digits,more"
    with pytest.raises(UserError, match=r"task 'more' has 11 classes and .* have room for 10"):
        driver.run(config, tmp_path)
    assert read_json(tmp_path / "config.json")["config"]["tasks"] == "digits"


def test_a_loss_that_is_not_finite_stops_the_run_and_can_be_looked_at(
    whole, monkeypatch, tmp_path, capsys
):
    """A run that is well up to its first checkpoint, and then goes on from spoilt parameters."""
    run_until(monkeypatch, 4, small_config(), tmp_path)
    chosen = session.Session.chosen

    def spoilt(*args):
        s, record = chosen(*args)
        params = {**s.params, "critic": jax.tree.map(lambda p: p * np.nan, s.params["critic"])}
        return s.replace(params=params), record

    monkeypatch.setattr(session.Session, "chosen", spoilt)
    message = (
        r"train/\S+/critic became nan in step 5 \(task digits, phase critic\), so training "
        r"stopped; the checkpoint of step 4 is kept\. .* --mode=rerun .* start anew .* in another "
    )
    with pytest.raises(UserError, match=message):
        driver.run(small_config(), tmp_path)
    assert (tmp_path / "checkpoints/4").exists()
    assert not (tmp_path / "results.json").exists()
    found = read_json(tmp_path / "failure.json")
    assert (found["step"], found["phase"], found["value"]) == (5, "critic", "nan")
    capsys.readouterr()
    rerun.rerun(small_config(), tmp_path)
    said = capsys.readouterr().out
    assert "step 5 (digits) again, from step 4" in said
    assert re.search(r"^train/grad_norm/critic nan in step 5$", said, flags=re.MULTILINE)
    before = re.search(r"^not finite before: (.*)$", said, flags=re.MULTILINE)[1]
    assert {path.split("/")[1] for path in before.split(", ")} == {"critic"}
    monkeypatch.undo()
    rerun.rerun(small_config(), tmp_path, step=5)
    said = capsys.readouterr().out
    assert "not finite before: none" in said
    assert "not finite after: none" in said
    logged = next(line for line in lines(whole[0]) if line["step"] == 5)
    value = re.search(r"^train/loss/critic (\S+) in step 5$", said, flags=re.MULTILINE)[1]
    assert float(value) == pytest.approx(logged["train/loss/critic"], rel=1e-5)


@pytest.fixture(scope="module")
def fragile(experiments):
    """The config of a run that fails in step 7 unless it is slow, and how often that came."""
    config = small_config(retries=2, retry_rate=0.5, **{"eval.generation": "never"})
    experiment, failures = session.build(config), []
    steps = experiment.train_steps

    def train_steps(state, *given):
        state, metrics = steps(state, *given)
        step, rate = jax.device_get((state.step, given[-1]))
        if step == 7 and rate > 0.3:
            failures.append(float(rate))
            metrics = {**metrics, "train/loss/critic": np.float32(np.nan)}
        return state, metrics

    fragile = dataclasses.replace(experiment, train_steps=train_steps)
    experiments[config.to_json()] = fragile
    yield config, failures
    assert steps._cache_size() == 1  # one program, whatever the rates


@pytest.mark.parametrize("stops", [(9,), pytest.param((7, 11), marks=pytest.mark.slow)])
def test_a_run_goes_back_and_on_more_slowly_and_so_it_does_wherever_it_is_stopped(
    whole, fragile, tmp_path, monkeypatch, capsys, stops
):
    """In the second task, from its beginning; stopped after going back once, before and later."""
    config, failures = fragile
    failures.clear()
    s = driver.run(config, tmp_path / "left alone")
    assert failures == [1.0, 0.5]
    said = capsys.readouterr().out
    for rate in ("0.5", "0.25"):
        assert re.search(
            r"^train/loss/critic became nan in step 7 \(task letters.*\) after .*: going back to "
            rf"step 5, and on to the end of the task with the learning rates times {rate}$",
            said,
            flags=re.MULTILINE,
        )
    results = without_seconds(tmp_path / "left alone/results.json")
    known = {"task": "letters", "step": 7, "back_to": 5}
    assert results["retries"] == [{**known, "rate": 0.5}, {**known, "rate": 0.25}]
    assert not (tmp_path / "left alone/failure.json").exists()
    logged, name = list(lines(tmp_path / "left alone")), "train/learning_rate/critic"
    rates = {line["step"]: line[name] for line in logged if name in line}
    assert rates == {
        line["step"]: line[name] * (0.25 if line["step"] > 5 else 1)
        for line in lines(whole[0])
        if name in line
    }
    for stop in stops:  # the failure comes to light in the call of step 8
        run_until(monkeypatch, stop, config, tmp_path / str(stop))
        assert_equal(s, driver.run(config, tmp_path / str(stop)))
        assert without_seconds(tmp_path / str(stop) / "results.json") == results
        assert list(lines(tmp_path / str(stop))) == logged


def test_where_no_retry_is_left_the_run_stops_and_more_may_be_given(fragile, experiments, tmp_path):
    config = fragile[0]
    once = small_config(retries=1, retry_rate=0.5, **{"eval.generation": "never"})
    experiments[once.to_json()] = dataclasses.replace(experiments[config.to_json()], config=once)
    with pytest.raises(UserError, match=r"step 7 .* stopped; .* With --config\.retries=4 it goes"):
        driver.run(once, tmp_path)
    driver.run(config, tmp_path)
    changed = read_json(tmp_path / "config.json")["changes"]
    assert changed == [{"step": 5, "keys": {"retries": [1, 2]}}]
    assert [r["rate"] for r in read_json(tmp_path / "results.json")["retries"]] == [0.5, 0.25]


def test_a_step_that_cannot_be_taken_again_says_why(whole, tmp_path):
    with pytest.raises(UserError, match=r"no step of the run in .* failed; name one"):
        rerun.rerun(small_config(), whole[0])
    with pytest.raises(UserError, match="--step=11 is no step of this run; it has those from 1 to"):
        rerun.rerun(small_config(), whole[0], step=11)
    with pytest.raises(
        UserError, match="step 7 begins from the checkpoint of step 5, which is not"
    ):
        rerun.rerun(small_config(), tmp_path, step=7)


def test_nothing_is_written_when_the_data_cannot_be_had(tmp_path):
    changes = {"tasks": "mnist", "data.data_dir": str(tmp_path / "nowhere")}
    with pytest.raises(UserError, match="not prepared"):
        driver.run(small_config(**changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()
