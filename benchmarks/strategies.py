"""Runs one config under several strategies and seeds; prints each result and the means.

    python benchmarks/strategies.py --config=configs/quickstart.py --workdir=runs/quickstart \
        [--strategies=lgaa,finetune,joint] [--seeds=0,1,2] [--data_dir=DIR]

One run after the other, in processes of their own. A run that is finished already is not run again.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np

LAUNCH = pathlib.Path(__file__).parents[1] / "launch.py"


def run(args: argparse.Namespace, strategy: str, seed: str) -> dict:
    """The results.json of one run, with the wall time of its process where it ran now."""
    workdir = os.path.join(args.workdir, f"{strategy}-{seed}")
    path = pathlib.Path(workdir) / "results.json"
    begin = time.monotonic()
    if not finished(path):
        command = [sys.executable, str(LAUNCH), f"--config={args.config}", f"--workdir={workdir}"]
        command += [f"--config.strategy={strategy}", f"--config.seed={seed}"]
        command += [f"--config.data.data_dir={args.data_dir}"] if args.data_dir else []
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return json.loads(path.read_text()) | {"wall": time.monotonic() - begin}


def finished(path: pathlib.Path) -> bool:
    """Whether the last row of the accuracy matrix is there."""
    return path.exists() and json.loads(path.read_text())["accuracy"][-1][-1] is not None


def main() -> None:
    """Parses the flags, runs, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--strategies", default="lgaa,finetune,joint")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--data_dir", default="")
    args = parser.parse_args()
    for strategy in args.strategies.split(","):
        last = []
        for seed in args.seeds.split(","):
            result = run(args, strategy, seed)
            last.append(result["accuracy"][-1])
            shown = ", ".join(
                f"{n} {100 * a:.1f} %" for n, a in zip(result["tasks"], last[-1], strict=True)
            )
            print(f"{strategy} seed {seed}: {shown}; process {result['wall']:.0f} s", flush=True)
        mean, spread = 100 * np.mean(last, axis=0), 100 * np.std(last, axis=0)
        shown = ", ".join(f"{m:.1f} +- {s:.1f}" for m, s in zip(mean, spread, strict=True))
        print(f"{strategy} mean over seeds: {shown}", flush=True)


if __name__ == "__main__":
    main()
