"""What one GPU makes of this project in ten minutes: the paper's schedule, and the steps' times.

    python benchmarks/packed.py --write=mnist_fashion.npz --data_dir=DIR   # where the sets are
    python benchmarks/gpu.py --data=mnist_fashion.npz --out=gpu            # where the GPU is

The second needs the file of the first and a clone (benchmarks/packed.py says what it goes without).
Until --minutes are over it

- times the step of every network and size (`CASES`), in float32 and in bfloat16: its rate as a
  share of that of a large matrix product in the same process and of the device's data sheet, and
  the share of a call's time in which the device was busy, from a profile;
- trains MNIST, then Fashion-MNIST for 20 epochs each in bfloat16 with the default networks, and
  evaluates them: accuracy, and how much longer a step takes than alone.

Called again, it goes on with what is missing. Each part is a process of its own and leaves a file
in --out; gpu.md, a section for docs/performance.md, is written from these. --trial takes the smoke
presets and a few steps, to see on any machine that all of it works.
"""

import argparse
import glob
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np

# `configs` lies beside this folder and is not installed.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from packed import unpack
from step import flops, memory, plainly
from task import get_config

from lgaa_jax.data.sources import SOURCES, Source
from lgaa_jax.run import driver, experiment
from lgaa_jax.run.interrupts import TERMINATED
from lgaa_jax.training.batch import Batch
from lgaa_jax.training.settings import fixed_settings, keep_compiled
from lgaa_jax.training.state import begin_task

# Name to config and preset: every kind of network at every size that a config of the paper has.
CASES = {
    "residual, wide, 32x32x1": ("mnist_fashion", ""),
    "residual, wide, 32x32x3": ("mnist_svhn", ""),
    "residual, wide, 64x64x3": ("celeba_chairs", ""),
    "residual, 32x32x3": ("mnist_svhn", "small"),
    "residual, 16x16x1": ("quickstart", ""),
    "paper32, 32x32x3": ("mnist_fashion", "published"),
    "paper64, 64x64x3": ("celeba_chairs", "published"),
}
DTYPES = ("bfloat16", "float32")
TRAINED = "mnist_fashion"
# Dense matrix products by the data sheets, FLOP/s; float32 is computed as TF32. NVIDIA H100 and
# H200 Tensor Core GPU data sheets (SXM), A100 data sheet.
SHEET = {
    "H100": {"bfloat16": 989e12, "float32": 495e12},
    "H200": {"bfloat16": 989e12, "float32": 495e12},
    "A100": {"bfloat16": 312e12, "float32": 156e12},
}
TURNS = 5
NOISE = 2048  # synthetic images of each of two tasks, where a step is timed
ON_DISK = 40.0  # seconds that a training which is told to stop may take to be on disk


def synthetic(size: int, channels: int) -> None:
    """Has this process know two tasks of random images."""
    rng = np.random.default_rng(0)
    shape = (NOISE, size, size, channels)[: 3 + (channels == 3)]
    for name in ("noise_a", "noise_b"):
        images = rng.integers(0, 256, shape, np.uint8), rng.integers(0, 10, NOISE).astype(np.int32)
        test = tuple(column[:100] for column in images)
        SOURCES[name] = Source(10, lambda s=(images, test): s)


def timed(call: Callable, turns: int = TURNS) -> float:
    """Median seconds of a call, after one that warms up."""
    taken = []
    for _ in range(turns + 1):
        begin = time.perf_counter()
        jax.block_until_ready(call())
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken[1:])


def matrix_product(dtype: str) -> float:
    """FLOP/s of the product of two large matrices."""
    n = 2048 if jax.default_backend() == "cpu" else 16384
    # Zeros and ones take less power, and so less time, than what training multiplies.
    a = jax.random.normal(jax.random.key(0), (n, n), dtype)
    product = jax.jit(jnp.matmul)
    return 2 * n**3 / timed(lambda: product(a, a))


def share_of_sheet(rate: float, dtype: str) -> float | None:
    """The rate over that of the data sheet; None where the device is none of `SHEET`."""
    kind = jax.devices()[0].device_kind
    peaks = [SHEET[name][dtype] for name in SHEET if name in kind]
    return rate / peaks[0] if peaks else None


def covered(intervals: Iterable[tuple[float, float]]) -> float:
    """The length of the union of intervals (begin, end)."""
    total, reached = 0.0, -np.inf
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def busy_share(call: Callable) -> float | None:
    """Share of the time of a call in which the device computed; None where no profile tells."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            begin = time.perf_counter()
            jax.block_until_ready(call())
            seconds = time.perf_counter() - begin
        paths = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
        if len(paths) != 1:
            return None
        profile = jax.profiler.ProfileData.from_file(paths[0])
        spans = [
            (event.start_ns, event.start_ns + event.duration_ns)
            for plane in profile.planes
            if plane.name.startswith("/device:")
            for line in plane.lines
            if line.name.startswith("Stream")
            for event in line.events
        ]
    return covered(spans) / 1e9 / seconds if spans else None


@fixed_settings()
def time_step(case: str, dtype: str, trial: bool) -> dict:
    """Figures of the training step of a case, in the second of two tasks."""
    name, preset = CASES[case]
    config = get_config(f"configs/{name}.py:{'smoke' if trial else preset}")
    synthetic(config.data.size, config.data.channels)
    config.update(tasks="noise_a,noise_b", compute_dtype=dtype)
    config.data.crop = ""
    config.steps_per_call = config.steps_per_call or (3 if trial else config.log.every)
    r = experiment.build(config)
    state = begin_task(r.init())
    places, k = r.batches.places, r.steps_per_call
    first = places.start(1)
    indices = np.stack([places.indices(1, first + i % places.steps(1)) for i in range(k)])
    given = jax.device_put((indices, np.int32(places.num_pool(1)), np.int32(k)))
    pool = r.batches.pool(1, state)
    begin = time.perf_counter()
    program = r.train_steps.lower(state, r.train_key, pool, *given).compile()
    compiled_in = time.perf_counter() - begin
    held = [state]

    def call():
        held[0], metrics = program(held[0], r.train_key, pool, *given)
        return metrics

    seconds = timed(call) / k
    share = busy_share(call)
    batch = Batch(*(column[indices[0]] for column in pool), np.int32(places.num_pool(1)))
    # Counted as for a CPU: XLA's analysis has none of a program for a GPU.
    shapes = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), (held[0], r.train_key, batch)
    )
    with plainly(), jax.default_device(jax.devices("cpu")[0]):
        again = lambda *a: r.learner.train_step(*a)  # noqa: E731  (a function jit has not seen)
        work = flops(jax.jit(again).lower(*shapes))
    product = matrix_product(dtype)
    return {
        "step_s": seconds,
        "images_per_s": config.batch_size / seconds,
        "gflop": work / 1e9,
        "flops": work / seconds,
        "share_of_product": work / seconds / product,
        "share_of_sheet": share_of_sheet(work / seconds, dtype),
        "busy": share,
        "bytes": memory(program),
        "compile_s": compiled_in,
        "steps_per_call": k,
        "batch": config.batch_size,
    }


def train(args: argparse.Namespace) -> None:
    """Trains and evaluates, or goes on; ends with `TERMINATED` where it was told to stop."""
    unpack(args.data)
    config = get_config(f"configs/{TRAINED}.py:{'smoke' if args.trial else ''}")
    config.compute_dtype = "bfloat16"
    try:
        driver.run(config, pathlib.Path(args.out, "run"))
    except KeyboardInterrupt as told:
        print(told)
        sys.exit(TERMINATED)


def file_of(case: str, dtype: str) -> str:
    """The file for the figures of a step."""
    return f"{case.replace(', ', '-')}-{dtype}.json"


def stages() -> dict[str, list[str]]:
    """The file of each part, and the flags of the process that makes it, in their order."""
    trains = {"run/results.json": ["--stage=train"]}
    steps = {
        file_of(case, dtype): [f"--stage={case}", f"--dtype={dtype}"]
        for case in CASES
        for dtype in DTYPES
    }
    # The step of the networks that are trained comes first: the loop is compared with it.
    (first, flags), *rest = steps.items()
    return {first: flags} | trains | dict(rest)


def made(path: pathlib.Path) -> dict | None:
    """What a part has left, if it is done."""
    found = json.loads(path.read_text()) if path.exists() else None
    return found if found and found.get("finished", True) else None


def call_stage(args: argparse.Namespace, flags: list[str], left: float) -> str:
    """Runs one part for as long as is left; returns what became of it."""
    command = [sys.executable, __file__, f"--out={args.out}", f"--data={args.data}", *flags]
    command += ["--trial"] if args.trial else []
    # Each part takes the memory that it needs: an earlier one may not be gone yet.
    environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    with subprocess.Popen(command, env=environment) as process:
        try:
            process.wait(max(0.0, left))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(ON_DISK)
            except subprocess.TimeoutExpired:
                process.kill()
            return "out of time; the same command goes on"
    return "done" if process.returncode == 0 else f"ended with {process.returncode}"


def percent(share: float | None) -> str:
    """A share as a cell of a table."""
    return "-" if share is None else f"{100 * share:.0f} %"


def page(args: argparse.Namespace) -> str:
    """The section of docs/performance.md, of what there is."""
    out = pathlib.Path(args.out)
    about = made(out / "device.json")
    if about is None:
        return "## On a GPU\n\nNothing was measured yet.\n"
    lines = [
        "## On a GPU",
        "",
        f"`python benchmarks/gpu.py{' --trial' if args.trial else ''}` on one {about['kind']}, "
        f"Python {about['python']}, jax {about['jax']}.",
        "",
        "| networks | type | ms a step | images/s | TFLOP/s | of a matrix product "
        "| of the data sheet | busy | MB | compiled in |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for case in CASES:
        for dtype in DTYPES:
            r = made(out / file_of(case, dtype))
            if r is None:
                continue
            cells = [case, dtype, f"{1e3 * r['step_s']:.2f}", f"{r['images_per_s']:.0f}"]
            cells += [f"{r['flops'] / 1e12:.2f}", percent(r["share_of_product"])]
            cells += [percent(r["share_of_sheet"]), percent(r["busy"])]
            cells += [f"{r['bytes'] / 1e6:.0f}", f"{r['compile_s']:.0f} s"]
            lines.append(f"| {' | '.join(cells)} |")
    results = made(out / "run/results.json")
    if results is not None:
        lines += ["", *_trained(out, results, args.trial)]
    return "\n".join(lines) + "\n"


def _trained(out: pathlib.Path, results: dict, trial: bool) -> list[str]:
    """What is said of the training."""
    logged = [json.loads(line) for line in (out / "run/metrics.jsonl").open()]
    rates = [line[key] for line in logged if (key := "train/steps_per_second") in line]
    last = zip(results["accuracy"][-1], results["tasks"], strict=True)
    accuracy = ", ".join(f"{100 * share:.2f} % of {task}" for share, task in last)
    said = [
        f"MNIST, then Fashion-MNIST in bfloat16, `configs/{TRAINED}.py`"
        f"{':smoke' if trial else ''}: {results['steps']} steps in "
        f"{results['seconds'] / 60:.1f} minutes of training; accuracy {accuracy}."
    ]
    alone = made(out / file_of(next(iter(CASES)), DTYPES[0]))
    if rates and alone:
        step = 1 / statistics.median(rates)
        said.append(
            f"The median step of that run took {1e3 * step:.2f} ms, "
            f"{100 * (step / alone['step_s'] - 1):+.0f} % against one alone."
        )
    for task, g in results.get("generation", {}).items():
        said.append(
            f"{task}: PSNR {results['reconstruction'][task]['psnr']:.1f} dB, precision "
            f"{g['precision']:.2f}, recall {g['recall']:.2f}."
        )
    return said


def main() -> None:
    """Parses the flags and runs one part, or all that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist_fashion.npz", help="file of benchmarks/packed.py")
    parser.add_argument("--out", default="gpu", help="folder for what is measured")
    parser.add_argument("--minutes", type=float, default=9.5)
    parser.add_argument("--trial", action="store_true", help="smoke presets and a few steps")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--dtype", help=argparse.SUPPRESS)
    args = parser.parse_args()
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    if args.stage:
        keep_compiled()
        about = {"kind": jax.devices()[0].device_kind, "jax": jax.__version__}
        about["python"] = ".".join(map(str, sys.version_info[:3]))
        (out / "device.json").write_text(json.dumps(about))
        if args.stage == "train":
            train(args)
        else:
            found = time_step(args.stage, args.dtype, args.trial)
            (out / file_of(args.stage, args.dtype)).write_text(json.dumps(found, indent=2))
        return
    if not pathlib.Path(args.data).is_file():
        sys.exit(
            f"--data={args.data} is no file; make it with benchmarks/packed.py where the sets are."
        )
    end = time.monotonic() + 60 * args.minutes
    for name, flags in stages().items():
        left = end - time.monotonic()
        if made(out / name) is None and left > ON_DISK:
            print(f"{name}: {call_stage(args, flags, left - ON_DISK)}", flush=True)
    text = page(args)
    (out / "gpu.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
