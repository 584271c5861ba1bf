"""The comparison: which runs it starts, in which mode, what it refuses, and what it says."""

import json
import sys

import pytest
from conftest import small_config

from lgaa_jax import files
from lgaa_jax.errors import UserError
from lgaa_jax.run import comparison
from lgaa_jax.workdir.metadata import run_metadata
from lgaa_jax.workdir.results import METRICS_VERSION

# Stands for launch.py: writes what a run of the config in CONFIG writes, and notes each start.
# In `does`, the others' folder, {run: "exit" | "missing" | "damaged" | "unfinished" | "stubborn"}.
SCRIPT = """
import json, os, pathlib, sys
given = dict(a.removeprefix("--").split("=", 1) for a in sys.argv[1:])
strategy, seed, mode = given["config.strategy"], int(given["config.seed"]), given["mode"]
folder = pathlib.Path(given["workdir"])
with open(folder.parent / "started", "a") as log:
    log.write(f"{mode} {strategy} {seed} {os.environ.get('CUDA_VISIBLE_DEVICES')}\\n")
does = json.loads((folder.parent / "does").read_text()).get(folder.name)
if does == "exit":
    sys.exit(3)
folder.mkdir(exist_ok=True)
resolved = json.loads(pathlib.Path(CONFIG).read_text())
config = resolved["config"]
config |= {"strategy": strategy, "seed": seed}
config["eval"]["reference_dir"] = given["config.eval.reference_dir"]
(folder / "config.json").write_text(json.dumps(resolved))
accuracy = {"lgaa": 0.9, "finetune": 0.2, "gan_replay": 0.5, "joint": 0.97}[strategy] + seed / 100
no_matter = "reference_dir", "every", "confidence"
measured_with = {k: v for k, v in config["eval"].items() if k not in no_matter}
measured_with["metrics_version"] = METRICS_VERSION
if does == "stubborn":
    measured_with["samples"] = 7
results = {
    "strategy": strategy, "seed": seed, "tasks": ["digits", "letters"], "finished": True,
    "eval": measured_with, "accuracy": [[0.99, None], [accuracy, 0.98]], "seconds": 60,
}
if does == "unfinished":
    results["finished"] = False
text = json.dumps(results)
if does != "missing":
    (folder / "results.json").write_text(text[:40] if does == "damaged" else text)
"""


class Bench:
    """A folder for runs, the command of the script, and the config that it stands for."""

    def __init__(self, folder):
        self.root, self.config = folder / "runs", folder / "config.json"
        self.root.mkdir()
        script = folder / "script.py"
        script.write_text(
            SCRIPT.replace("CONFIG", repr(str(self.config))).replace(
                "METRICS_VERSION", str(METRICS_VERSION)
            )
        )
        self.command = [sys.executable, str(script)]

    def compare(self, strategies, seeds, devices=(), does=(), **changes):
        """The table of a comparison, and the starts that it took."""
        config = small_config(**changes)
        files.write_json(self.config, run_metadata(config, {}, {}, {}))
        files.write_json(self.root / "does", dict(does))
        (self.root / "started").unlink(missing_ok=True)
        arguments = (config, str(self.root), strategies, seeds, devices, self.command)
        return comparison.run(*arguments), self.started()

    def started(self):
        log = self.root / "started"
        return sorted(log.read_text().splitlines()) if log.exists() else []

    def results(self, run):
        return json.loads((self.root / run / "results.json").read_text())

    def change(self, run, **values):
        """Gives results.json other values; None takes a key away."""
        found = self.results(run) | values
        kept = {key: value for key, value in found.items() if value is not None}
        files.write_json(self.root / run / "results.json", kept)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_missing_runs_are_made_and_finished_ones_are_not_made_again(bench):
    table, started = bench.compare(["lgaa", "finetune"], [0, 2])
    runs = ["train finetune 0", "train finetune 2", "train lgaa 0", "train lgaa 2"]
    assert started == [f"{run} None" for run in runs]
    assert "| accuracy digits | 0.910 ± 0.014 | 0.210 ± 0.014 |" in table.splitlines()
    assert (bench.root / "table.md").read_text() == table + "\n"
    assert "0.910 ± 0.014" in (bench.root / "report.html").read_text()
    for name in ("results.json", "config.json"):
        (bench.root / "lgaa-2" / name).unlink()
    assert bench.compare(["lgaa", "finetune"], [0, 2]) == (table, ["train lgaa 2 None"])


@pytest.mark.parametrize(
    "content", ["", '{"tasks": ["dig', "[]", '{"tasks": 3}', '{"tasks": ["digits", "letters"]}']
)
def test_a_run_with_damaged_results_goes_on(bench, content):
    table, _ = bench.compare(["lgaa"], [0])
    (bench.root / "lgaa-0/results.json").write_text(content)
    assert bench.compare(["lgaa"], [0]) == (table, ["train lgaa 0 None"])


def test_an_unfinished_run_and_one_that_is_given_more_tasks_go_on(bench):
    table, _ = bench.compare(["lgaa"], [0, 1], max_tasks=3)
    bench.change("lgaa-0", finished=False)
    bench.change("lgaa-1", tasks=["digits"])
    expected = ["train lgaa 0 None", "train lgaa 1 None"]
    assert bench.compare(["lgaa"], [0, 1], max_tasks=3) == (table, expected)
    with pytest.raises(UserError, match=r"1 of 1 .*results\.json is not of all 3 tasks\)"):
        bench.compare(["lgaa"], [0], max_tasks=3, tasks="digits,letters,digits[0-4]")
    assert bench.started() == ["train lgaa 0 None"]


@pytest.mark.parametrize("does", ["missing", "damaged"])
def test_a_run_that_ends_well_without_whole_results_is_told_by_its_file(bench, does):
    with pytest.raises(UserError) as error:
        bench.compare(["lgaa"], [0, 1], does={"lgaa-1": does})
    path = bench.root / "lgaa-1/results.json"
    assert f"1 of 2 runs failed: lgaa with seed 1 ({path} is {does}); " in str(error.value)
    assert "\n" not in str(error.value)


def test_a_run_that_ends_well_and_unfinished_is_told_by_its_file(bench):
    with pytest.raises(UserError, match=r"1 runs failed: .*lgaa-0/results\.json is not of all 2"):
        bench.compare(["lgaa"], [0], does={"lgaa-0": "unfinished"})
    assert bench.started() == ["train lgaa 0 None"]


def test_what_was_measured_with_other_values_is_evaluated_again(bench, capsys):
    bench.compare(["lgaa", "finetune"], [0], **{"eval.samples": 50})
    _, started = bench.compare(["lgaa", "finetune"], [0, 1], **{"eval.samples": 60})
    again, new = ["eval finetune 0", "eval lgaa 0"], ["train finetune 1", "train lgaa 1"]
    assert started == [f"{run} None" for run in again + new]
    assert "another eval.samples (there 50, now 60)" in capsys.readouterr().out
    for run in ("lgaa-0", "lgaa-1", "finetune-0", "finetune-1"):
        assert bench.results(run)["eval"]["samples"] == 60
    assert bench.compare(["lgaa", "finetune"], [0, 1], **{"eval.samples": 60})[1] == []


def test_what_was_measured_with_unknown_values_is_evaluated_again(bench):
    bench.compare(["lgaa"], [0])
    bench.change("lgaa-0", eval=None)
    assert bench.compare(["lgaa"], [0])[1] == ["eval lgaa 0 None"]


def test_another_folder_of_reference_classifiers_measures_nothing_else(bench):
    bench.compare(["lgaa"], [0])
    elsewhere = {"eval.reference_dir": str(bench.root / "elsewhere")}
    assert bench.compare(["lgaa"], [0], **elsewhere)[1] == []
    bench.compare(["lgaa"], [1], **elsewhere)
    used = [
        json.loads((bench.root / run / "config.json").read_text())["config"]["eval"]
        for run in ("lgaa-0", "lgaa-1")
    ]
    folders = [str(bench.root / name) for name in ("reference", "elsewhere")]
    assert [settings["reference_dir"] for settings in used] == folders


def test_results_that_stay_measured_otherwise_are_not_averaged(bench):
    with pytest.raises(UserError, match=r"1 of 2 .*lgaa with seed 1 .*eval\.samples \(there 7"):
        bench.compare(["lgaa"], [0, 1], does={"lgaa-1": "stubborn"})
    assert bench.started()[0] == "eval lgaa 1 None"
    assert not (bench.root / "table.md").exists()


@pytest.mark.parametrize(
    ("strategies", "seeds", "message"),
    [
        (["lgaa"], [0, 1, 0], "--seeds=0,1,0 has 0 more than once"),
        (["lgaa", "lgaa"], [0], "--strategies=lgaa,lgaa has lgaa more than once"),
    ],
)
def test_what_is_named_twice_is_refused(bench, strategies, seeds, message):
    with pytest.raises(UserError, match=message):
        bench.compare(strategies, seeds)
    assert bench.started() == []


def test_a_bad_name_and_a_run_with_another_config_are_told_before_anything_runs(bench):
    with pytest.raises(UserError, match="strategy='lgan' cannot be used"):
        bench.compare(["lgaa", "lgan"], [0])
    with pytest.raises(UserError, match="unknown task 'digit'"):
        bench.compare(["lgaa"], [0], tasks="digit")
    other = run_metadata(small_config(batch_size=32), {}, {}, {})
    files.write_json(bench.root / "lgaa-1/config.json", other)
    with pytest.raises(UserError, match=r"another batch_size \(there 32, now 16\)"):
        bench.compare(["lgaa"], [0, 1])
    assert bench.started() == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"tasks": ["digits", "letters", "mnist"]},
            r'another tasks \(there \["digits", "letters",',
        ),
        ({"tasks": ["letters"]}, r'another tasks \(there \["letters"\], now \["digits"\]\)'),
        ({"seed": 4, "strategy": "joint"}, 'another strategy .*now "lgaa".*, seed .there 4, now 0'),
    ],
)
def test_results_of_another_run_are_told(bench, values, message):
    bench.compare(["lgaa"], [0])
    bench.change("lgaa-0", **values)
    with pytest.raises(UserError, match=message) as error:
        bench.compare(["lgaa"], [0])
    assert bench.started() == []
    assert "\n" not in str(error.value)


def test_a_run_that_fails_holds_up_no_other(bench):
    failure = r"1 of 3 runs failed: joint with seed 9 \(exit status 3\); .* all others are finished"
    with pytest.raises(UserError, match=failure):
        bench.compare(["joint"], [9, 2, 3], does={"joint-9": "exit"})
    assert bench.started() == [f"train joint {seed} None" for seed in (2, 3, 9)]
    assert not (bench.root / "table.md").exists()
    assert bench.compare(["joint"], [9, 2, 3])[1] == ["train joint 9 None"]


def test_an_interruption_says_where_the_runs_stand(bench, monkeypatch):
    bench.compare(["lgaa"], [0])

    def run_all(commands, devices, announce):
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison, "run_all", run_all)
    with pytest.raises(
        KeyboardInterrupt, match=r"interrupted: 1 of 2 runs in .* are finished, and"
    ):
        bench.compare(["lgaa"], [0, 1])
