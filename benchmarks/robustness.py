"""Kills runs and damages their files at random, and counts what that does.

    python benchmarks/robustness.py [--kills=200] [--corruptions=200] [--full_disks=20]
                                    [--bad_inputs=1000] [--seed=0] [--json=FILE]
                                    [--config=configs/quickstart.py] [--config.KEY=VALUE ...]

kills        SIGKILL at random moments of a run, until it has finished in spite of them. Every
             second run learns its first task alone before, and is then given the second. In the end
             its state must have the bits, and its results and metrics the numbers, of a run left
             alone; state and results those of a run that knew both tasks from the start
corruptions  a random file of that run is cut short, changed by one bit or removed: checkpoints,
             config.json, evaluations.json, results.json, reference classifiers. Whatever is read
             then must be what was written, or nothing; of the checkpoints, the newest sound one
full_disks   a run on a small file system, which is filled to the last byte at a random moment and
             stays so until the run ends, with or without a sentence. Then there is room again, and
             the same command goes on, up to the next time (full_disk.py)
bad_inputs   configs, command lines, config files and folders of images with mistakes at random
             (mistakes.py), each of which is to end in one sentence (bad_input.py)

Ends with the exit status 1 if any count that must be 0 is not.
"""

import argparse
import collections
import json
import pathlib
import random
import shutil
import sys
import tempfile

# `launch` lies beside this folder.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from benchmarks import bad_input, forks, full_disk
from benchmarks.runs import arrays, ending, extended, finish, flags_of, left_alone
from lgaa_jax.evaluation import classifier
from lgaa_jax.workdir.checkpoint import ENDS, FOLDER, Checkpoints
from lgaa_jax.workdir.contents import DamagedError
from lgaa_jax.workdir.metadata import CONFIG, read_metadata
from lgaa_jax.workdir.record import EVALUATIONS, read_record

# Of a run that was killed; of damage.
WRONG = ("other state", "other results", "other metrics", "wrong", "not_the_newest_sound")


def kill_until_done(
    flags: list[str], output: pathlib.Path, seconds: float, rng: random.Random, left: int
) -> int:
    """Starts a run until it ends by itself, after `left` kills at most; returns the kills."""
    for kills in range(left):
        child = forks.start(flags, output)
        status = forks.wait(child, rng.uniform(0, 1.1 * seconds))
        if status is not None:
            if status:
                sys.exit(f"launch.py {flags} ended with {status}:\n{output.read_text()}")
            return kills
        forks.kill(child)
    finish(flags, output)
    return left


def count_kills(
    config: str,
    whole: pathlib.Path,
    seconds: float,
    kills: int,
    rng: random.Random,
    flags: list[str],
) -> collections.Counter:
    """Kills runs until there were so many kills."""
    counts: collections.Counter = collections.Counter(
        kills=0, runs=0, extended=0, **dict.fromkeys(WRONG[:3], 0)
    )
    expected, longer = (forks.ask(ending, path) for path in (whole, extended(whole)))
    # An extended run has more in its metrics: its first task was its last one before.
    expected_of = expected, {**expected, "other metrics": longer["other metrics"]}
    counts.update(name for name in WRONG[:2] if expected[name] != longer[name])
    output = whole.with_name("output")
    while counts["kills"] < kills:
        workdir, again = whole.with_name("killed"), counts["runs"] % 2
        shutil.rmtree(workdir, ignore_errors=True)
        given = flags_of(config, workdir, *flags)
        if again:  # the first task alone, and later the second
            first, left = [*given, "--config.tasks=digits"], kills - counts["kills"]
            counts["kills"] += kill_until_done(first, output, seconds / 2, rng, left)
        counts["kills"] += kill_until_done(given, output, seconds, rng, kills - counts["kills"])
        counts["runs"] += 1
        counts["extended"] += again
        found = forks.ask(ending, workdir)
        counts.update(name for name in WRONG[:3] if found[name] != expected_of[again][name])
        print(dict(counts), flush=True)
    return counts


def damage(path: pathlib.Path, rng: random.Random) -> str:
    """Damages a file; returns how."""
    content, how = bytearray(path.read_bytes()), rng.choice(("cut", "flip", "remove"))
    if how == "remove":
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[: rng.randrange(len(content))])
    else:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
    return how


def readings(workdir: pathlib.Path) -> dict[str, object]:
    """What is read of each small file; None where it says that it is damaged or missing."""
    found: dict[str, object] = {EVALUATIONS: read_record(workdir)}
    try:
        found[CONFIG] = read_metadata(workdir)
    except ValueError:
        found[CONFIG] = None
    for path in (workdir / classifier.FOLDER).glob("*.msgpack"):
        found[path.name] = path.read_bytes() if classifier.sound(path) else None
    return found


def count_corruptions(whole: pathlib.Path, number: int, rng: random.Random) -> collections.Counter:
    """Damages a copy of a run so many times, each time a fresh one."""
    counts: collections.Counter = collections.Counter(
        corruptions=0, detected=0, harmless=0, wrong=0, not_the_newest_sound=0
    )
    small = [whole / CONFIG, whole / EVALUATIONS, *(whole / classifier.FOLDER).iterdir()]
    folders = FOLDER, ENDS
    files = (path for name in folders for path in (whole / name).rglob("*"))
    stored = [path for path in files if path.is_file() and path.stat().st_size]
    expected = readings(whole)
    with Checkpoints(whole) as checkpoints:
        sound = {step: arrays(checkpoints, step) for step in checkpoints.all_steps()}
    for _ in range(number):
        workdir = whole.with_name("damaged")
        shutil.rmtree(workdir, ignore_errors=True)
        shutil.copytree(whole, workdir)
        path = rng.choice(stored if rng.random() < 0.8 else small).relative_to(whole)
        counts[damage(workdir / path, rng)] += 1
        counts["corruptions"] += 1
        if path.parts[0] in folders:
            counts[_checkpoint(workdir, int(path.parts[1]), sound)] += 1
        else:
            read = readings(workdir).get(path.name)
            right = read == expected[path.name]
            counts["harmless" if right else "detected" if read is None else "wrong"] += 1
    return counts


def _checkpoint(workdir: pathlib.Path, damaged: int, sound: dict[int, dict[str, bytes]]) -> str:
    """What comes of a damaged step."""
    with Checkpoints(workdir) as checkpoints:
        try:
            checkpoints.check(damaged)
            found = "harmless" if arrays(checkpoints, damaged) == sound[damaged] else "wrong"
        except DamagedError:
            found = "detected"
        good = {*checkpoints.steps()} - ({damaged} if found == "detected" else set())
        newest = checkpoints.newest(lambda step: checkpoints.check(step) and step)
        if newest != max(good) or arrays(checkpoints, newest) != sound[newest]:
            return "not_the_newest_sound"
    return found


def main() -> None:
    """Parses the flags, counts, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/quickstart.py")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--corruptions", type=int, default=200)
    parser.add_argument("--full_disks", type=int, default=20)
    parser.add_argument("--bad_inputs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="file for the counts")
    args, flags = parser.parse_known_args()
    rng, counts = random.Random(args.seed), collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        here = pathlib.Path(folder).resolve()
        forks.preload()
        if args.bad_inputs:
            counts += _shown(bad_input.count_bad_inputs(args.bad_inputs, rng, here))
        if args.kills or args.corruptions or args.full_disks:
            whole = here / "whole"
            seconds = left_alone(args.config, whole, flags)
            print(f"a run left alone takes {seconds:.1f} s", flush=True)
            given = args.config, whole, seconds
            counts += _shown(count_kills(*given, args.kills, rng, flags))
            counts += _shown(full_disk.count_full_disks(*given, args.full_disks, rng, flags))
            # Last: it uses JAX, which is not to be forked from then on.
            counts += _shown(count_corruptions(whole, args.corruptions, rng))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(dict(counts), file, indent=2)
    sys.exit(any(counts[name] for name in (*WRONG, *bad_input.WRONG, *full_disk.WRONG)))


def _shown(counts: collections.Counter) -> collections.Counter:
    print(dict(counts), flush=True)
    return counts


if __name__ == "__main__":
    main()
