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

from benchmarks.runs import ROOT, command, ending, told
from lgaa_jax.errors import UserError
from lgaa_jax.workdir.checkpoint import Checkpoints

MEGABYTES = 32
SECONDS = 300.0  # after which a run hangs
WRONG = ("traceback of a full disk", "hang of a full disk", "lost checkpoint", "not gone on")


@contextlib.contextmanager
def small_disk(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of `MEGABYTES` at `folder`, which is made."""
    folder.mkdir()
    options = f"size={MEGABYTES}m"
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


def sound(workdir: pathlib.Path) -> set[int]:
    """The steps of the checkpoints that are whole."""
    found = set()
    with Checkpoints(workdir) as checkpoints:
        for step in checkpoints.steps():
            with contextlib.suppress(UserError):
                checkpoints.check(step)
                found.add(step)
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
    expected = *ending(whole), told(whole)[1]
    while counts["full disks"] < number:
        with small_disk(whole.with_name("disk")) as disk:
            arguments = command(config, disk / "run", *flags)
            while _filled(arguments, disk, rng.uniform(0, seconds), counts):
                if counts["full disks"] == number:
                    break
            done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
            right = not done.returncode and (*ending(disk / "run"), told(disk / "run")[1])
            if right != expected:
                print(f"not as the run left alone: {done.returncode}\n{done.stderr}", flush=True)
            counts["runs"] += 1
            counts["not gone on"] += right != expected
        (whole.with_name("disk")).rmdir()
    return counts


def _filled(
    arguments: list[str], disk: pathlib.Path, moment: float, counts: collections.Counter
) -> bool:
    """Starts a run and fills its disk at a moment; False where the run had ended before."""
    process = subprocess.Popen(
        arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=moment)
        return False
    fill(disk / "filler")
    there = [int(path.name) for path in disk.glob("run/checkpoints/*") if path.name.isdigit()]
    begin = time.monotonic()
    try:
        _, stderr = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        _, stderr = process.communicate()
        counts["hang of a full disk"] += 1
    taken = time.monotonic() - begin
    counts["full disks"] += 1
    counts["ended with a sentence" if process.returncode else "finished all the same"] += 1
    if "Traceback (most recent call last)" in stderr:
        counts["traceback of a full disk"] += 1
        print(stderr[-3000:], flush=True)
    (disk / "filler").unlink()
    # The last one; those that a later one took the place of are gone, as they would be.
    if there and max(sound(disk / "run"), default=-1) < max(there):
        counts["lost checkpoint"] += 1
    print(f"full: {process.returncode} after {taken:.1f} s: {stderr.strip()[-300:]}", flush=True)
    return True
