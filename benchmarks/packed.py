"""Runs of prepared sets where TFDS is not installed, from one file that holds the images.

    python benchmarks/packed.py --write=sets.npz --sets=mnist,fashion_mnist --data_dir=DIR
    python benchmarks/packed.py --read=sets.npz launch.py --config=configs/mnist_fashion.py

The first is for where TFDS and the sets are. The second is for a machine that is lent with a GPU,
say, and runs launch.py with all that follows, its tasks being the packed sets: it goes without
tensorflow-datasets, array_record and tensorboardX, and without vl-convert but for the report.
MNIST and Fashion-MNIST come to 42 MB.
"""

import argparse
import dataclasses
import os
import pathlib
import runpy
import sys
from collections.abc import Callable, Sequence

import numpy as np

# `lgaa_jax` may not be installed, and lies beside this file's folder.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from lgaa_jax.data import tfds_sets
from lgaa_jax.data.sources import SOURCES, Source
from lgaa_jax.errors import UserError

SETS = ("mnist", "fashion_mnist")


def pack(path: str, names: Sequence[str], data_dir: str) -> None:
    """Writes prepared sets with labels as one compressed file. Raises UserError."""
    columns = {}
    for name in names:
        builder = tfds_sets.prepared(name, data_dir)
        for split in tfds_sets.SPLITS:
            _, examples = tfds_sets.read(builder, split, data_dir)
            images, labels = zip(*((np.asarray(x), u) for x, u in examples), strict=True)
            if None in labels:
                raise UserError(f"{name} has no labels: name sets that have, with --sets")
            columns[f"{name}/{split}/images"] = np.stack(images)
            columns[f"{name}/{split}/labels"] = np.array(labels, np.uint8)
    np.savez_compressed(path, **columns)
    print(f"{path}: {os.path.getsize(path) / 1e6:.1f} MB")


def unpack(path: str) -> None:
    """Has the sets of a packed file take the place of TFDS's in this process."""
    with np.load(path, allow_pickle=False) as file:
        columns = dict(file)

    def reader(name: str) -> Callable:
        return lambda: tuple(
            (columns[f"{name}/{split}/images"], columns[f"{name}/{split}/labels"].astype(np.int32))
            for split in tfds_sets.SPLITS
        )

    for name in {key.split("/")[0] for key in columns}:
        classes = 1 + int(columns[f"{name}/{tfds_sets.SPLITS[0]}/labels"].max())
        known = SOURCES.get(name, Source(classes))
        SOURCES[name] = dataclasses.replace(known, read=reader(name))


def main() -> None:
    """Writes a packed file, or runs a program with one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--write", metavar="FILE", help="packs the sets into it")
    way.add_argument("--read", metavar="FILE", help="runs the program with its sets")
    parser.add_argument("--sets", default=",".join(SETS), help="names of TFDS sets, for --write")
    parser.add_argument("--data_dir", default="", help="where they are prepared, for --write")
    parser.add_argument("program", nargs=argparse.REMAINDER, help="launch.py and its flags")
    given = parser.parse_args()
    if given.write:
        try:
            pack(given.write, given.sets.split(","), given.data_dir)
        except (UserError, OSError) as error:
            sys.exit(f"packed.py: {error}")
        return
    if not given.program:
        parser.error("--read wants the program and its flags after the file")
    if not pathlib.Path(given.read).is_file():
        sys.exit(f"--read={given.read} is no file; make it with --write where the sets are.")
    unpack(given.read)
    sys.argv = given.program
    sys.path.insert(0, str(pathlib.Path(sys.argv[0]).resolve().parent))
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
