"""Times a model from the start of a process to its first images, and weighs encoding many images.

    python benchmarks/load.py runs/quickstart [--turns=3] [--images=1000000] [--json=load.json]

The model is loaded from the workdir and from an export of it, and generates 64 images; each time in
a process of its own, with what was compiled before kept in a folder, and with an empty one. Then as
many images as are asked for, of the form of the model, are encoded from a memory-mapped file: how
much memory the process comes to hold beyond what it held before, and how much is on the device at a
time. It reads the memory of a process in /proc, so that it runs on Linux alone.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
FIRST = """
import sys, lgaa_jax
model = lgaa_jax.load(sys.argv[1])
print(len(model.generate(64, model.tasks[0])), flush=True)
"""
PERIOD = 0.01  # seconds between two looks at the memory
MB = 2**20


def first_images(folder: pathlib.Path, cache: str) -> tuple[float, float]:
    """Seconds from the start of a process to 64 images of a model, and those of its CPU time.

    The latter are what it would take with a core to itself.
    """
    begin, before = time.perf_counter(), cpu_of_children()
    command = [sys.executable, "-c", FIRST, str(folder)]
    with subprocess.Popen(command, env=environment(cache), stdout=subprocess.PIPE) as child:
        line = child.stdout.readline()
        taken = time.perf_counter() - begin
    if line.split() != [b"64"]:
        raise RuntimeError(f"no images came of {folder}")
    return taken, cpu_of_children() - before


def cpu_of_children() -> float:
    """CPU seconds of the processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def environment(cache: str) -> dict[str, str]:
    """That of a process which keeps what it compiles in the folder `cache`."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return os.environ | {"JAX_COMPILATION_CACHE_DIR": cache, "PYTHONPATH": path}


def starts(workdir: pathlib.Path, turns: int) -> dict[str, list[tuple[float, float]]]:
    """`first_images` of each turn, by what is loaded and whether it was compiled before."""
    taken: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as root:
        export = pathlib.Path(root) / "export"
        code = f"import lgaa_jax; lgaa_jax.export({str(workdir)!r}, {str(export)!r})"
        subprocess.run(
            [sys.executable, "-c", code], check=True, env=environment(f"{root}/exporting")
        )
        for turn in range(turns):
            for name, folder in (("workdir", workdir), ("export", export)):
                cache = f"{root}/{name}_{turn}"  # empty at first
                for compiled in ("not compiled", "compiled"):
                    value = first_images(folder, cache)
                    taken.setdefault(f"{name}, {compiled}", []).append(value)
    return taken


def held() -> dict[str, int]:
    """Bytes that this process holds: all, and those that are of no file."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {key: 1024 * int(fields[key].split()[0]) for key in ("VmRSS", "RssAnon")}


def most_during(work: Callable[[], object]) -> dict[str, int]:
    """The most that is held while `work` goes on, beyond what is held before, in bytes."""
    import jax

    def look() -> dict[str, int]:
        return held() | {"device": sum(a.nbytes for a in jax.live_arrays())}

    before, seen, ended = look(), [], threading.Event()

    def watch() -> None:
        while not ended.wait(PERIOD):
            seen.append(look())

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    ended.set()
    watcher.join()
    return {key: max(s[key] for s in seen) - before[key] for key in before}


def encoding(workdir: str, count: int) -> dict[str, float]:
    """Bytes and seconds of encoding `count` images from a file, in this process."""
    import lgaa_jax

    model = lgaa_jax.load(workdir)
    shape = model.nets.image_shape
    with tempfile.TemporaryDirectory() as root:
        form = {"dtype": np.uint8, "shape": (count, *shape)}
        images = np.memmap(pathlib.Path(root) / "images", mode="w+", **form)
        rng = np.random.default_rng(0)
        for start in range(0, count, 10_000):
            part = images[start : start + 10_000]
            part[...] = rng.integers(0, 256, part.shape, np.uint8)
        images.flush()
        images = np.memmap(pathlib.Path(root) / "images", mode="r", **form)
        model.encode(images[:1000])  # compiles
        codes = []
        begin = time.perf_counter()
        most = most_during(lambda: codes.append(model.encode(images)))
        seconds = time.perf_counter() - begin
    batch = model.batch_size * (np.prod(shape) + 4 * model.nets.code_size)
    return {
        "images": count,
        "seconds": seconds,
        "result_bytes": codes[0].nbytes,
        "batch_bytes": int(batch),
        "file_bytes": count * int(np.prod(shape)),
        **{f"most_{key}_bytes": value for key, value in most.items()},
    }


def report(figures: dict) -> None:
    """Prints the figures."""
    print(f"{'':<24}{'seconds':>8}{'least':>8}{'most':>8}{'of CPU':>8}")
    for name, turns in figures["starts"].items():
        taken, cpu = zip(*turns, strict=True)
        row = statistics.median(taken), min(taken), max(taken), statistics.median(cpu)
        print(f"{name:<24}" + "".join(f"{value:>8.2f}" for value in row))
    encoded = figures["encoding"]
    print(f"encoding {encoded['images']:,} images: {encoded['seconds']:.0f} s")
    for key, value in encoded.items():
        if key.endswith("_bytes"):
            print(f"{key.removesuffix('_bytes'):<24}{value / MB:>8.2f} MB")


def main() -> None:
    """Parses the flags, measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", type=pathlib.Path)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--encode", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.encode:
        print(json.dumps(encoding(str(args.workdir), args.images)))
        return
    figures: dict = {"starts": starts(args.workdir, args.turns)}
    command = [sys.executable, __file__, str(args.workdir), "--encode", f"--images={args.images}"]
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(command, check=True, capture_output=True, env=environment(cache))
    figures["encoding"] = json.loads(done.stdout)
    report(figures)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
