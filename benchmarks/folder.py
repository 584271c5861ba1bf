"""Times how long a folder of images takes to load, for the first and for the second time.

    python benchmarks/folder.py [--images=20000] [--size=64] [--json=folder.json]

Each load is a process of its own. It writes the images as JPEG files of 178x218 pixels (those of
CelebA) into a temporary folder, in ten classes. Peak memory is what the process holds at most,
less what it held before it began to load.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

# `configs` lies beside this folder and is not installed.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))


def write(root: pathlib.Path, n: int) -> None:
    """`n` smooth random colour images."""
    rng = np.random.default_rng(0)
    for i in range(n):
        folder = root / str(i % 10)
        folder.mkdir(exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (8, 7, 3), np.uint8))
        coarse.resize((178, 218), Image.BILINEAR).save(folder / f"{i:06}.jpg", quality=90)


def load(root: str, cache: str, size: int) -> dict[str, float]:
    """Seconds and bytes of loading the folder in this process."""
    from configs import default
    from lgaa_jax.data import loading

    c = default.get_config()
    c.tasks = f"folder:{root}"
    c.data.update(size=size, channels=3, cache_dir=cache)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    (task,) = loading.load(c)
    taken = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    held = task.train.images.nbytes + task.test.images.nbytes
    return {"seconds": taken, "peak_bytes": 1024 * peak, "array_bytes": held}


def main() -> None:
    """Writes the images, loads them twice and prints what that took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=64, help="height and width to load them at")
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--load", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.load:
        print(json.dumps(load(*args.load, args.size)))
        return
    figures = {}
    with tempfile.TemporaryDirectory() as root, tempfile.TemporaryDirectory() as cache:
        write(pathlib.Path(root), args.images)
        for turn in ("first", "second"):
            command = [sys.executable, __file__, f"--size={args.size}", "--load", root, cache]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            figures |= {f"{turn}_{k}": v for k, v in json.loads(done.stdout).items()}
    for name, value in figures.items():
        print(f"{name:22} {value:14.4g}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
