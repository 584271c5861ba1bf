"""Whole runs of several real processes, which meet on this machine by gloo."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from conftest import read_json
from PIL import Image

from examples.several_processes import free_port
from lgaa_jax.run import cluster, links
from lgaa_jax.workdir.storage import Storage

ROOT = Path(__file__).parents[2]
START = [sys.executable, str(ROOT / "examples/several_processes.py")]
LAUNCH = [sys.executable, str(ROOT / "launch.py")]
SMALL = ["--config=configs/quickstart.py:smoke", "--config.log.every=1"]
TWENTY = [*SMALL, "--config.steps_per_task=10"]  # of two tasks
GONE_ON = "the same command goes on from"


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    """What a process needs to start quickly."""
    return os.environ | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("xla"))}


@contextlib.contextmanager
def started(command, env, **options):
    """A program at work, with what it says; it is ended with the test."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    options = {"cwd": ROOT, **options}
    with subprocess.Popen(command, env=env, **pipes, **options) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def done(command, env):
    with started(command, env) as process:
        stdout, stderr = process.communicate(timeout=400)
    assert (process.returncode, stderr) == (0, ""), stderr
    return stdout


def children(process):
    """The processes that one has started, in their order."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in path.read_text().split()]


def lines(workdir):
    path = workdir / "metrics.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def wait_for(condition, seconds=300):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def assert_alike(workdir, other):
    """Two runs have the same numbers to rounding."""
    assert len(lines(workdir)) == len(lines(other))
    for a, b in zip(lines(workdir), lines(other), strict=True):
        assert (a["step"], a.keys()) == (b["step"], b.keys())
        losses = [name for name in a if "/loss/" in name]
        # One near 0 is a difference of larger numbers, as far as float32 tells them apart.
        of_both = [a[n] for n in losses], [b[n] for n in losses]
        np.testing.assert_allclose(*of_both, rtol=1e-5, atol=1e-7)
    states = [Storage(path / "checkpoints").arrays(20) for path in (workdir, other)]
    compared = jax.tree.leaves(jax.tree.map(lambda a, b: np.abs(a - b).max(), *states))
    assert len(compared) > 100
    assert max(compared) < 1e-5
    one, two = (read_json(path / "results.json") for path in (workdir, other))
    assert one.keys() == two.keys()
    assert one["reconstruction"].keys() == two["reconstruction"].keys()
    np.testing.assert_allclose(
        np.array(one["accuracy"], float), np.array(two["accuracy"], float), atol=0.005
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory, env):
    """The run of one process."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    done([*LAUNCH, *TWENTY, f"--workdir={workdir}"], env)
    return workdir


@pytest.fixture(scope="module")
def two(tmp_path_factory, env):
    """The run of two."""
    workdir = tmp_path_factory.mktemp("two") / "run"
    said = done([*START, "2", *TWENTY, f"--workdir={workdir}"], env)
    assert said.count("workdir  ") == 1
    assert "of 2 processes" in said
    assert "Gloo" not in said
    return workdir


@pytest.mark.slow
def test_two_processes_train_and_measure_what_one_does(alone, two):
    assert_alike(alone, two)
    files = [sorted(p.relative_to(w) for p in w.glob("images/**/*.png")) for w in (alone, two)]
    assert files[0] == files[1]
    assert not (two / "lock").exists()


@pytest.mark.slow
def test_so_do_four(alone, tmp_path, env):
    done([*START, "4", *TWENTY, f"--workdir={tmp_path}/run"], env)
    assert_alike(alone, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("then", [1, 2])
def test_a_run_goes_on_with_another_number_of_processes(alone, two, tmp_path, env, then):
    """From the end of the first task."""
    workdir = shutil.copytree(two if then == 1 else alone, tmp_path / "run")
    for step in Storage(workdir / "checkpoints").steps():
        if step > 10:
            shutil.rmtree(workdir / "checkpoints" / str(step))
    command = [*LAUNCH] if then == 1 else [*START, "2"]
    said = done([*command, *TWENTY, f"--workdir={workdir}"], env)
    assert "going on at step 10 of 20" in said
    assert_alike(alone if then == 1 else two, workdir)


@pytest.mark.slow
def test_two_processes_evaluate_what_one_has_trained(alone, tmp_path, env):
    workdir = shutil.copytree(alone, tmp_path / "run")
    done([*START, "2", *TWENTY, "--mode=eval", f"--workdir={workdir}"], env)
    assert_alike(alone, workdir)


LONG = [*SMALL, "--config.steps_per_task=5000", "--config.log.checkpoint_every=5"]


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_one_that_is_killed_takes_the_other_with_it_and_a_second_start_goes_on(tmp_path, env, lost):
    command = [*START, "2", *LONG, f"--workdir={tmp_path}"]
    with started(command, env) as running:
        wait_for(lambda: len(lines(tmp_path)) > 12)
        begin = time.monotonic()
        os.kill(children(running)[lost], signal.SIGKILL)
        stderr = running.communicate(timeout=60)[1]
    assert running.returncode not in (0, None)
    assert time.monotonic() - begin < 60
    gone = rf"launch.py: process {lost} on \S+ ended without a word, so all end; {GONE_ON}"
    assert len(re.findall(gone, stderr)) == 1
    assert "Traceback" not in stderr
    steps = Storage(tmp_path / "checkpoints").steps()
    taken = len(lines(tmp_path))
    with started(command, env) as running:
        wait_for(lambda: len(lines(tmp_path)) > taken)
        second = children(running)[1]
        os.kill(second, signal.SIGTERM)
        stdout, stderr = running.communicate(timeout=60)
    assert f"going on at step {steps[-1]} of 10000" in stdout
    assert running.returncode == 75
    saved = Storage(tmp_path / "checkpoints").steps()[-1]
    assert stderr == f"launch.py: terminated; {GONE_ON} step {saved}.\n"
    assert saved == lines(tmp_path)[-1]["step"]


def both(commands, env, cwds=(ROOT, ROOT)):
    """Status and standard error of two processes that are started by themselves."""
    place = [f"--coordinator=localhost:{free_port()}", "--processes=2"]
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(started([*c, *place, f"--process={k}"], env, cwd=cwd))
            for k, (c, cwd) in enumerate(zip(commands, cwds, strict=True))
        ]
        told = [process.communicate(timeout=60)[1] for process in running]
        return [(process.returncode, text) for process, text in zip(running, told, strict=True)]


@pytest.mark.slow
def test_another_config_or_other_data_end_all_with_one_sentence(tmp_path, env):
    command = [*LAUNCH, *TWENTY, f"--workdir={tmp_path}/run"]
    (status, said), other = both([command, [*command, "--config.batch_size=32"]], env)
    assert (status, other) == (1, (1, ""))
    assert re.fullmatch(
        r"launch.py: process 1 on \S+ has other config than process 0: batch_size 32 "
        r"\(process 0: 16\); start all .*\n",
        said,
    )
    cwds = tmp_path / "one", tmp_path / "two"
    for seed, cwd in enumerate(cwds):
        (cwd / "images").mkdir(parents=True)
        (cwd / "configs").symlink_to(ROOT / "configs")
        for i in range(4):
            image = np.random.default_rng(seed).integers(0, 256, (16, 16), np.uint8)
            Image.fromarray(image).save(cwd / "images" / f"{i}.png")
    command = [*command, "--config.tasks=folder:images"]
    (status, said), other = both([command, command], env, cwds)
    assert (status, other) == (1, (1, ""))
    assert "process 1 on" in said
    assert "has other data than process 0: folder:images.images" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_batch_that_the_devices_do_not_divide_is_told_once(tmp_path, env):
    command = [*LAUNCH, *TWENTY, f"--workdir={tmp_path}/run", "--config.batch_size=15"]
    (status, said), other = both([command, command], env)
    assert (status, other) == (1, (1, ""))
    assert said == (
        "launch.py: batch_size=15 cannot be divided evenly among 2 devices; change it.\n"
    )


@pytest.mark.slow
def test_what_one_process_alone_stumbles_over_is_told_by_the_first(tmp_path, env):
    """A workdir that cannot serve, which the first finds; data that the second does not have."""
    taken = tmp_path / "file"
    taken.write_text("")
    command = [*LAUNCH, *TWENTY, f"--workdir={taken}"]
    (status, said), other = both([command, command], env)
    assert (status, other) == (1, (1, ""))
    assert said.startswith(f"launch.py: --workdir={taken}")
    cwds = tmp_path / "one", tmp_path / "two"
    for cwd in cwds:
        cwd.mkdir()
        (cwd / "configs").symlink_to(ROOT / "configs")
    (cwds[0] / "images").mkdir()
    for i in range(4):
        Image.fromarray(np.full((16, 16), 10 * i, np.uint8)).save(cwds[0] / "images" / f"{i}.png")
    command = [*LAUNCH, *TWENTY, f"--workdir={tmp_path}/run", "--config.tasks=folder:images"]
    (status, said), other = both([command, command], env, cwds)
    assert (status, other) == (1, (1, ""))
    assert re.fullmatch(r"launch.py: process 1 on \S+: .*images.*\n", said)


@pytest.mark.slow
def test_the_tasks_of_slurm_find_each_other(alone, tmp_path, env):
    """As its `srun` describes them to each process."""
    workdir = shutil.copytree(alone, tmp_path / "run")
    command = [*LAUNCH, *TWENTY, "--mode=eval", f"--workdir={workdir}"]
    slurm = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_NODELIST": "localhost"}
    slurm |= {"SLURM_NTASKS": "2", "SLURM_STEP_NUM_NODES": "1"}
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(
                started(command, env | slurm | {"SLURM_PROCID": k, "SLURM_LOCALID": k})
            )
            for k in "01"
        ]
        told = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    assert "of 2 processes" in told[0][0]
    assert told[1] == ("", "")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((None, 2, 0), "--coordinator is missing: several processes are started with"),
        (("here:1", None, None), "--processes is missing"),
        (("here:1", 2, None), "--process is missing"),
        (("here", 2, 0), "--coordinator=here cannot be read; write it like HOST:PORT"),
        (("here:1", 2, 2), "--process=2 is none of --processes=2; they count from 0"),
    ],
)
def test_flags_that_say_too_little_are_refused(flags, message):
    with pytest.raises(cluster.UserError, match=re.escape(message)):
        cluster.join("train", *flags)


def test_a_port_that_is_taken_is_refused():
    with links.listening() as server:
        port = server.getsockname()[1]
        with pytest.raises(cluster.UserError, match=rf"cannot listen at port {port} of this"):
            cluster.join("train", f"localhost:{port}", 2, 0)


def test_a_mode_of_one_process_is_refused_to_several(monkeypatch):
    with pytest.raises(cluster.UserError, match=r"--mode=explore runs in one process; start it"):
        cluster.join("explore", None, 2, None)
    monkeypatch.setenv("SLURM_STEP_NODELIST", "node[1-2]")
    monkeypatch.setenv("SLURM_NTASKS", "2")
    with pytest.raises(cluster.UserError, match=r"under SLURM with --ntasks=1"):
        cluster.join("verify", None, None, None)
    assert cluster.join("train", None, 1, None) is None
    monkeypatch.setenv("SLURM_NTASKS", "1")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert cluster.join("train", None, None, None) is None
