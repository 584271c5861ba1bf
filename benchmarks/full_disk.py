"""Runs on a small file system that fills up at random moments.

It is a tmpfs, which only root can mount; everybody is root in a name space of their own:
`unshare --user --map-root-user --mount python benchmarks/robustness.py`.
"""

import collections
import contextlib
import pathlib
import random
import subprocess
import time
from collections.abc import Iterator

from benchmarks import forks
from benchmarks.runs import bytes_in, ending, flags_of
from lgaa_jax.errors import UserError
from lgaa_jax.workdir.checkpoint import Checkpoints

SPARE = 32_000_000  # bytes that a run's disk has beyond what two of it take
SECONDS = 300.0  # after which a run hangs
WRONG = ("traceback of a full disk", "hang of a full disk", "lost checkpoint", "not gone on")


@contextlib.contextmanager
def small_disk(folder: pathlib.Path, room: int) -> Iterator[pathlib.Path]:
    """A file system of `room` bytes at `folder`, which is made."""
    folder.mkdir()
    options = f"size={room}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(path: pathlib.Path) -> None:
    """Writes a file until there is room for no byte more."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def sound(workdir: pathlib.Path) -> list[int]:
    """The steps of the checkpoints that are whole."""
    found = []
    with Checkpoints(workdir) as checkpoints:
        for step in checkpoints.steps():
            with contextlib.suppress(UserError):
                checkpoints.check(step)
                found.append(step)
    return found


def count_full_disks(
    config: str,
    whole: pathlib.Path,
    seconds: float,
    number: int,
    rng: random.Random,
    flags: list[str],
) -> collections.Counter:
    """Fills the disk of runs so many times while they are at work."""
    counts: collections.Counter = collections.Counter(
        {"full disks": 0, "runs": 0, **dict.fromkeys(WRONG, 0)}
    )
    expected, output = forks.ask(ending, whole), whole.with_name("output")
    room = 2 * bytes_in(whole) + SPARE  # while it saves, a run holds more than it leaves
    while counts["full disks"] < number:
        with small_disk(whole.with_name("disk"), room) as disk:
            given = flags_of(config, disk / "run", *flags)
            while counts["full disks"] < number:
                if not _filled(given, output, disk, rng.uniform(0, seconds), counts):
                    break
            status = forks.wait(forks.start(given, output), SECONDS)
            right = status == 0 and forks.ask(ending, disk / "run") == expected
            if not right:
                print(f"not as the run left alone: {status}\n{output.read_text()}", flush=True)
            counts["runs"] += 1
            counts["not gone on"] += not right
        (whole.with_name("disk")).rmdir()
    return counts


def _filled(
    flags: list[str],
    output: pathlib.Path,
    disk: pathlib.Path,
    moment: float,
    counts: collections.Counter,
) -> bool:
    """Starts a run and fills its disk at a moment; False where the run had ended before."""
    child = forks.start(flags, output)
    if forks.wait(child, moment) is not None:
        return False
    fill(disk / "filler")
    there = [int(path.name) for path in disk.glob("run/checkpoints/*") if path.name.isdigit()]
    begin = time.monotonic()
    status = forks.wait(child, SECONDS)
    taken = time.monotonic() - begin
    if status is None:
        forks.kill(child)
        counts["hang of a full disk"] += 1
    counts.update(["full disks", "ended with a sentence" if status else "finished all the same"])
    said = output.read_text()
    if "Traceback (most recent call last)" in said:
        counts["traceback of a full disk"] += 1
        print(said[-3000:], flush=True)
    (disk / "filler").unlink()
    # The last one; those that a later one took the place of are gone, as they would be.
    if there and max(forks.ask(sound, disk / "run"), default=-1) < max(there):
        counts["lost checkpoint"] += 1
    line = said.strip().splitlines()[-1:]
    print(f"full: {status} after {taken:.1f} s: {line}", flush=True)
    return True
