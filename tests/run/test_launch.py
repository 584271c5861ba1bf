"""The command line: one sentence and a non-zero exit for each mistake, and no half-made workdir."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
QUICKSTART = "--config=configs/quickstart.py:smoke"


def launch(*args, cache="never-made"):
    return subprocess.run(
        [sys.executable, "launch.py", *args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(cache)},
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            [QUICKSTART, "--config.batchsize=3"],
            '--config.KEY is unknown: Did you mean "batch_size" instead',
        ),
        ([QUICKSTART, "--config.zzz=3"], "--config.KEY is unknown: 'zzz'; see configs/default.py"),
        ([QUICKSTART, "--config.batch_size=abc"], "invalid literal for int() with base 10: 'abc'"),
        ([QUICKSTART, "--config.batch_size=0"], "batch_size=0 cannot be used; it must be above 0"),
        ([QUICKSTART, "--config.tasks=digitz"], "digitz"),
        ([QUICKSTART, "--mode=evaluate"], "--mode=evaluate: value should be one of <train|eval|"),
        ([QUICKSTART, "--seeds=0,1"], "--seeds goes with --mode=compare"),
        ([QUICKSTART, "--mode=compare", "--seeds=0-2"], "--seeds=0-2 cannot be read"),
        ([QUICKSTART, "--mode=compare", "--strategies=lgaa,x"], "strategy='x' cannot be used"),
        ([QUICKSTART, "--step=3"], "--step goes with --mode=eval"),
        ([QUICKSTART, "digits"], "'digits' is not a flag"),
        (["--config=configs/quickstart.py:large"], "no preset 'large'"),
        (["--config=configs/quickstar.py"], "configs/quickstar.py"),
        ([QUICKSTART, "--mode=eval"], "holds no checkpoints"),
    ],
)
def test_a_mistake_ends_in_one_sentence(tmp_path, args, message):
    workdir = tmp_path / "run"
    done = launch(*args, f"--workdir={workdir}")
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not workdir.exists()


@pytest.mark.parametrize(
    ("name", "flag"),
    [("step", "--json"), ("task", "--json"), ("folder", "--json"), ("png_folder", "--by")],
)
def test_a_benchmark_starts_from_a_clone_as_its_first_lines_say(name, flag):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, f"benchmarks/{name}.py", "--help"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, flag in done.stdout) == (0, True), done.stderr


@pytest.mark.slow
def test_a_run_from_the_command_line(tmp_path):
    done = launch(
        QUICKSTART,
        f"--workdir={tmp_path / 'run'}",
        "--config.tasks=letters",
        "--config.steps_per_task=1",
        "--config.seed=3",
        cache=tmp_path / "cache",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/results.json").exists()
    assert any("train_steps" in p.name for p in (tmp_path / "cache/lgaa_jax/compiled").iterdir())
