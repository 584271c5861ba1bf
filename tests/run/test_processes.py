"""Commands beside this process: on which device, and that none is left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from lgaa_jax.run import interrupts, processes

# Notes its start and its device, then waits for the file `go`; SIGTERM ends it unless it is deaf.
WAITING = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[1:] == ["deaf"] else signal.SIG_DFL)
pathlib.Path(f"started-{os.getpid()}").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
while not pathlib.Path("go").exists():
    time.sleep(0.01)
"""

# A process that runs two of those, as many at once as there are devices, with short waits.
ABOVE = """
import sys
from lgaa_jax.run import interrupts, processes
processes._GRACE = 0.5
commands = {name: [sys.executable, "waiting.py", name] for name in sys.argv[1:]}
interrupts.heed()
try:
    processes.run_all(commands, ("0", "1"), print)
except KeyboardInterrupt as error:
    interrupts.leave(error)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    root = os.getcwd()
    monkeypatch.setenv("PYTHONPATH", root)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "waiting.py").write_text(WAITING)
    return tmp_path


def started(folder):
    return [int(path.name.removeprefix("started-")) for path in folder.glob("started-*")]


def wait_for(condition):
    last = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < last
        time.sleep(0.02)


def runs(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_exit_statuses_come_back_and_a_failure_holds_nothing_up():
    commands = {n: [sys.executable, "-c", f"raise SystemExit({n})"] for n in (0, 3, 5)}
    said = []
    assert processes.run_all(commands, (), said.append) == {0: 0, 3: 3, 5: 5}
    assert said == [0, 3, 5]
    assert processes.run_all({}, (), said.append) == {}


def test_each_device_has_one_command_at_a_time(folder):
    """Two wait on the devices until the third, which waits for a device, may start."""
    (folder / "go").touch()
    commands = {n: [sys.executable, "waiting.py"] for n in range(3)}
    processes.run_all(commands, ("4", "7"), lambda n: None)
    devices = sorted(path.read_text() for path in folder.glob("started-*"))
    assert devices in (["4", "4", "7"], ["4", "7", "7"])


def test_without_devices_the_environment_stays(folder, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    (folder / "go").touch()
    processes.run_all({0: [sys.executable, "waiting.py"]}, (), lambda n: None)
    assert [path.read_text() for path in folder.glob("started-*")] == ["5"]


@pytest.mark.parametrize(
    ("number", "names", "status"),
    [
        (signal.SIGINT, ["a", "b"], 130),
        (signal.SIGINT, ["deaf", "b"], 130),
        (signal.SIGTERM, ["a", "b"], 75),
    ],
)
def test_a_signal_leaves_no_process_behind(folder, number, names, status):
    """It is sent to the process above alone."""
    command = [sys.executable, "-c", ABOVE, *names, "never started"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as above:
        wait_for(lambda: len(started(folder)) == 2)
        above.send_signal(number)
        assert above.wait(30) == status
    numbers = started(folder)
    assert len(numbers) == 2
    wait_for(lambda: not any(map(runs, numbers)))


def test_what_is_started_is_told_by_whom(folder, monkeypatch):
    """So that a run ends in order where the comparison was killed."""
    code = "import os, pathlib; pathlib.Path('by').write_text(os.environ['LGAA_STARTED_BY'])"
    processes.run_all({0: [sys.executable, "-c", code]}, (), lambda n: None)
    assert (folder / "by").read_text() == str(os.getpid())
    with interrupts.deferred() as stop:
        assert stop() is None
        monkeypatch.setenv("LGAA_STARTED_BY", str(os.getppid()))
        assert stop() is None
        monkeypatch.setenv("LGAA_STARTED_BY", str(os.getpid()))
        assert stop() is interrupts.Terminated
