"""The command line: one sentence and a non-zero exit for each mistake, and no half-made workdir."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import read_json

ROOT = pathlib.Path(__file__).parents[2]
QUICKSTART = "--config=configs/quickstart.py:smoke"


def python(*args, **options):
    """The interpreter of the tests on a program of the clone, with what it prints."""
    command = [sys.executable, *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)


def launch(*args, cache="never-made"):
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    return python("launch.py", *args, timeout=300, env=environment)


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
        ([], "name a config, such as --config=configs/quickstart.py."),
        (["--config=configs/quickstart.py:large"], "no preset 'large'"),
        (["--config=configs/quickstar.py"], "configs/quickstar.py"),
        ([QUICKSTART, "--mode=eval"], "holds no checkpoints"),
        ([QUICKSTART, "--config.seed=4294967296"], "seed=4294967296 cannot be used; it must be at"),
    ],
)
def test_a_mistake_ends_in_one_sentence(tmp_path, args, message):
    workdir = tmp_path / "run"
    done = launch(*args, f"--workdir={workdir}")
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not workdir.exists()


def test_a_workdir_that_cannot_serve_ends_in_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    done = launch(QUICKSTART, f"--workdir={tmp_path / 'file'}")
    assert done.returncode == 1
    assert "is not a folder; name another --workdir" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [
        (signal.SIGTERM, 75, "terminated"),
        pytest.param(signal.SIGINT, 130, "interrupted", marks=pytest.mark.slow),
    ],
)
def test_a_signal_saves_the_run_and_ends_it_in_one_sentence(tmp_path, number, status, word):
    """While it trains: its first checkpoint is there. The next is of the step that it had come to.

    So many steps lie between two checkpoints that it is not one of these.
    """
    # A shell's background jobs ignore SIGINT, and what they start inherits that.
    heeding = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    command = [sys.executable, "-c", heeding, "launch.py", QUICKSTART, f"--workdir={tmp_path}"]
    changes = ("steps_per_task=100000", "tasks=digits", "log.every=1000", "log.checkpoint_every=50")
    with subprocess.Popen(
        [*command, *(f"--config.{change}" for change in changes)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
    ) as process:
        # Any of them: the first ones are dropped soon.
        while process.poll() is None and not [*tmp_path.glob("checkpoints/*[0-9]")]:
            time.sleep(0.1)
        begin = time.monotonic()
        process.send_signal(number)
        try:
            stderr = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert (process.returncode, time.monotonic() - begin < 30) == (status, True)
    last = rf"launch\.py: {word}; the same command goes on from step (\d+)\."
    said = re.fullmatch(last, stderr.splitlines()[-1])
    assert said
    assert (tmp_path / "checkpoints" / said[1]).is_dir()
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("c.step_per_task = 3", 'line 4: AttributeError: Did you mean "steps_per_task" instead'),
        ("c.loss.betta = 3.0", 'line 4: AttributeError: Did you mean "beta" instead of "betta"'),
        ("c.tasks = None", "tasks=None cannot be used; it must be a text"),
        ("return 1", "must return a ConfigDict"),
        ("import nothere", "line 4: ModuleNotFoundError: No module named 'nothere'"),
        ("1 / 0", "line 4: ZeroDivisionError"),
        ("raise RuntimeError", "line 4: RuntimeError: RuntimeError"),
        ("c.tasks = ['digits']", "line 4: TypeError: "),
        ("return None", "returned nothing; let it return the config"),
        ("c.seed = (", "SyntaxError"),
        (None, "has no function get_config(preset)"),
    ],
)
def test_a_mistake_in_a_config_file_ends_in_one_sentence(tmp_path, body, message):
    lines = ["from configs import default", "def get_config(preset=''):"]
    lines += ["    c = default.get_config()", f"    {body}", "    return c"]
    path = tmp_path / "mine.py"
    path.write_text("\n".join(lines if body else lines[:1]))
    done = launch(f"--config={path}", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_colon_in_the_path_of_a_config_is_said(tmp_path):
    (tmp_path / "a:b.py").write_text("")
    done = launch(f"--config={tmp_path / 'a:b.py'}")
    assert "has a colon in its path, which begins a preset" in done.stderr


def test_help_begins_with_the_flags_of_this_program():
    done = launch("--help")
    flags = [line.split(":")[0].strip() for line in done.stdout.splitlines() if "--" in line[:6]]
    assert {"--config", "--workdir", "--mode", "--step", "--seeds"} <= set(flags)
    assert "absl" not in done.stdout


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("step", "--json"),
        pytest.param("task", "--json", marks=pytest.mark.ci),
        pytest.param("folder", "--json", marks=pytest.mark.ci),
        pytest.param("png_folder", "--by", marks=pytest.mark.ci),
        pytest.param("load", "--turns", marks=pytest.mark.ci),
        pytest.param("robustness", "--kills", marks=pytest.mark.ci),
        pytest.param("gpu", "--data", marks=pytest.mark.ci),
        pytest.param("packed", "--write", marks=pytest.mark.ci),
        pytest.param("collectives", "--rows", marks=pytest.mark.ci),
        pytest.param("spread", "--spreads", marks=pytest.mark.ci),
    ],
)
def test_a_benchmark_starts_from_a_clone_as_its_first_lines_say(name, flag):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = python(f"benchmarks/{name}.py", "--help", env=environment)
    assert (done.returncode, flag in done.stdout) == (0, True), done.stderr


@pytest.mark.slow
def test_the_benchmark_of_a_task_ends_with_its_figures(tmp_path):
    figures = f"--json={tmp_path / 'figures'}"
    done = python("benchmarks/task.py", "--steps=2", figures, timeout=1200)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "figures").read_text())
    assert {"first_step_s", "loop_overhead", "evaluation_s", "task10_bytes"} <= found.keys()


def packed(path, *names):
    """A file of benchmarks/packed.py with random images."""
    rng = np.random.default_rng(0)
    columns = {
        f"{name}/{split}/{column}": values.astype(np.uint8)
        for name in names
        for split in ("train", "test")
        for column, values in (
            ("images", rng.integers(0, 256, (200, 28, 28))),
            ("labels", np.arange(200) % 10),
        )
    }
    np.savez(path, **columns)
    return path


@pytest.mark.slow
def test_the_benchmark_of_a_gpu_measures_trains_and_goes_on(tmp_path):
    data = packed(tmp_path / "data.npz", "mnist", "fashion_mnist")
    command = ["benchmarks/gpu.py", "--trial", f"--data={data}"]
    command += [f"--out={tmp_path / 'gpu'}", "--minutes"]
    for minutes in ("0", "4"):  # nothing in no time, and then the first two parts at least
        done = python(*command, minutes, timeout=1200)
        assert done.returncode == 0, done.stderr
        section = (tmp_path / "gpu/gpu.md").read_text()
        assert ("MNIST, then Fashion-MNIST" in section) == (minutes != "0")
    assert "| residual, wide, 32x32x1 | bfloat16 |" in section


@pytest.mark.ci
def test_packed_sets_take_the_place_of_tfds_and_need_none(tmp_path):
    """Of a known set and of one that only the file knows, with its number of classes."""
    data, run = packed(tmp_path / "data.npz", "mnist", "house_numbers"), tmp_path / "run"
    without = ("tensorflow_datasets", "array_record", "tensorboardX")
    code = f"import sys, runpy; sys.modules |= dict.fromkeys({without}); "
    code += "runpy.run_path('benchmarks/packed.py', run_name='__main__')"
    command = ["-c", code, f"--read={data}", "launch.py", f"--workdir={run}"]
    command += ["--config=configs/mnist_fashion.py:smoke", "--config.tasks=mnist,house_numbers"]
    command += ["--config.eval.generation=never"]
    done = python(*command)
    assert done.returncode == 0, done.stderr
    results = read_json(run / "results.json")
    assert results["finished"]
    assert len(results["classes"]["house_numbers"]) == 10
    assert read_json(run / "config.json")["command"].startswith("python launch.py --workdir=")


@pytest.mark.ci
def test_prepared_sets_are_packed_into_one_file(tmp_path, tiny_dir):
    file = tmp_path / "sets.npz"

    def write(names):
        command = ["benchmarks/packed.py", f"--write={file}", f"--sets={names}"]
        return python(*command, f"--data_dir={tiny_dir}")

    done = write("tiny,mnist")
    assert (done.returncode, file.exists()) == (1, False)
    (sentence,) = re.findall("^packed.py: .*", done.stderr, re.MULTILINE)
    assert "'mnist' is not prepared" in sentence
    done = write("tiny")
    assert done.returncode == 0, done.stderr
    with np.load(file) as columns:
        found = {name: columns[name] for name in columns}
    assert {name: values.shape for name, values in found.items()} == {
        "tiny/train/images": (10, 20, 30, 3),
        "tiny/train/labels": (10,),
        "tiny/test/images": (4, 20, 30, 3),
        "tiny/test/labels": (4,),
    }
    for split, n in (("train", 10), ("test", 4)):  # an image is of one value, 10 i + i % 3
        values = found[f"tiny/{split}/images"].reshape(n, -1)
        assert (values == values[:, :1]).all()
        np.testing.assert_array_equal(values[:, 0] % 10, found[f"tiny/{split}/labels"])
        np.testing.assert_array_equal(np.sort(values[:, 0] // 10), np.arange(n))


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


@pytest.mark.slow
def test_kills_and_damage_at_random_change_nothing():
    """The short version of the benchmark; its exit status says that no count is wrong."""
    counts = ["--kills=4", "--corruptions=20", "--full_disks=0", "--bad_inputs=40"]
    done = python("benchmarks/robustness.py", QUICKSTART, *counts, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'kills': 4" in done.stdout
    assert "'corruptions': 20" in done.stdout
    assert "'inputs': 40" in done.stdout
