"""Starts a run as several processes on this machine, as a cluster would on several.

    python examples/several_processes.py 2 --config=configs/quickstart.py --workdir=runs/two

The first argument is their number, the others are those of launch.py. What the first process says
is shown, and what any of them says of an error. A signal is passed on to all of them. On a machine
with GPUs one process is enough; this is for trying out what several do.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import FrameType

LAUNCH = Path(__file__).parents[1] / "launch.py"


def free_port() -> int:
    """A port of this machine that nothing listens at."""
    with socket.create_server(("localhost", 0)) as server:
        return server.getsockname()[1]


def main() -> int:
    """The exit status: that of the first process that has one."""
    if len(sys.argv) < 2 or not sys.argv[1].isdigit():
        sys.exit("several_processes.py: name their number first, then the flags of launch.py.")
    number, flags = int(sys.argv[1]), sys.argv[2:]
    common = [sys.executable, str(LAUNCH), *flags, f"--coordinator=localhost:{free_port()}"]
    running = [
        subprocess.Popen([*common, f"--processes={number}", f"--process={k}"])
        for k in range(number)
    ]

    def pass_on(received: int, frame: FrameType | None) -> None:
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(received)

    signal.signal(signal.SIGTERM, pass_on)
    # A terminal sends Ctrl-C to each of them by itself.
    in_terminal = os.isatty(sys.stdin.fileno()) if sys.stdin else False
    signal.signal(signal.SIGINT, signal.SIG_IGN if in_terminal else pass_on)
    statuses = [process.wait() for process in running]
    failed = next((status for status in statuses if status), 0)
    return failed if failed >= 0 else 128 - failed  # as a shell has it of a signal


if __name__ == "__main__":
    sys.exit(main())
