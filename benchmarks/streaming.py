"""Times a step with images in memory and streamed, and what a large set takes.

    python benchmarks/streaming.py step --data_dir=FOLDER [--config=configs/mnist_fashion.py:small]
    python benchmarks/streaming.py size [--images=100000,1000000]

step: the two ways take turns of some steps, in one process, so that other load on the machine falls
on both. Seconds of CPU are those of all threads: what other programs take is not in them.

size: it writes sets of so many PNG images of 32x32 in ten classes as array_record into a temporary
folder, without TensorFlow, and trains on each with the smoke-sized networks, in a process of its
own, twice: the second start knows the labels. Seconds are from the start of the process to its
first step. Memory is the most that the process held resident, to the end of the run with its
evaluation.
"""

import argparse
import io
import json
import os
import pathlib
import resource
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
from unittest import mock

import jax
import numpy as np

# `configs` lies beside this folder and is not installed.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from configs import default
from lgaa_jax.run import driver, experiment
from lgaa_jax.run.progress import Progress
from lgaa_jax.run.training import Calls
from lgaa_jax.training.settings import fixed_settings
from lgaa_jax.workdir.record import Record

DIFFERENT = 5000  # images that a set is made of, over and over
PER_SHARD, TEST = 100_000, 1000


def step(args: argparse.Namespace) -> dict:
    """Seconds of a step, in memory and streamed, and the ratio of their medians."""
    file, _, preset = args.config.partition(":")
    taken, busy, runs = {}, {}, {}
    with fixed_settings():
        for way in ("off", "on"):
            c = runpy.run_path(file)["get_config"](preset)
            c.data.data_dir, c.data.streaming, c.data.workers = args.data_dir, way, args.workers
            r = experiment.build(c)
            state = jax.device_put(r.init(), r.layout.whole)
            runs[way] = [state, iter(Calls(r, state, 0, Record()))]
            taken[way], busy[way] = [], []
        for turn in range(args.turns + 1):
            for way, run in runs.items():
                begin, cpu = time.perf_counter(), time.process_time()
                for _ in range(args.steps):
                    _, _, call = next(run[1])
                    run[0], _ = jax.block_until_ready(call(run[0]))
                if turn:  # the first compiles
                    taken[way].append((time.perf_counter() - begin) / args.steps)
                    busy[way].append((time.process_time() - cpu) / args.steps)
    found = {}
    for way, name in (("off", "in memory"), ("on", "streamed")):
        found[name] = {
            "median_ms": 1e3 * statistics.median(taken[way]),
            "min_ms": 1e3 * min(taken[way]),
            "max_ms": 1e3 * max(taken[way]),
            "cpu_ms": 1e3 * statistics.median(busy[way]),
        }
    a, b = found.values()
    print(f"{'':12}{'median ms':>10}{'min':>8}{'max':>8}{'CPU ms':>8}")
    for name, row in found.items():
        print(f"{name:12}{row['median_ms']:10.1f}", *(f"{v:7.1f}" for v in [*row.values()][1:]))
    print(f"streamed / in memory: {b['median_ms'] / a['median_ms']:.3f}", end=", ")
    print(f"of CPU {b['cpu_ms'] / a['cpu_ms']:.3f}")
    return found


def write(root: pathlib.Path, n: int) -> None:
    """The set `many` of n training images, as TFDS reads it."""
    import tensorflow_datasets as tfds
    from array_record.python.array_record_module import ArrayRecordWriter
    from PIL import Image
    from tensorflow_datasets.proto import tf_example_pb2

    rng, examples = np.random.default_rng(0), []
    for i in range(DIFFERENT):
        png = io.BytesIO()
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8))
        coarse.resize((32, 32), Image.Resampling.BILINEAR).save(png, "PNG")
        example = tf_example_pb2.Example()
        example.features.feature["image"].bytes_list.value.append(png.getvalue())
        example.features.feature["label"].int64_list.value.append(i % 10)
        examples.append(example.SerializeToString())
    folder = root / "many/1.0.0"
    folder.mkdir(parents=True)
    template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    infos = []
    for split, count in (("train", n), ("test", TEST)):
        lengths = [min(PER_SHARD, count - start) for start in range(0, count, PER_SHARD)]
        for shard, length in enumerate(lengths):
            name = f"many-{split}.array_record-{shard:05}-of-{len(lengths):05}"
            writer = ArrayRecordWriter(str(folder / name), "group_size:1")
            for i in range(length):
                writer.write(examples[i % DIFFERENT])
            writer.close()
        named = tfds.core.ShardedFileTemplate(
            template=template,
            dataset_name="many",
            split=split,
            filetype_suffix="array_record",
            data_dir=folder,
        )
        infos.append(
            tfds.core.SplitInfo(
                name=split, shard_lengths=lengths, num_bytes=0, filename_template=named
            )
        )
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(32, 32, 1)),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
    )
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=features,
        split_infos=infos,
        filename_template=template,
        check_data=False,  # it would need TensorFlow
    )


def train(root: str, cache: str, steps: int, streaming: str) -> None:
    """Trains on the set in this process, and prints seconds and bytes as JSON."""
    c = default.get_config()
    default.shrink(c)
    c.tasks, c.steps_per_task, c.eval.generation = "many", steps, "never"
    c.data.update(size=32, data_dir=root, cache_dir=cache, streaming=streaming)
    c.log.every = c.log.checkpoint_every = steps
    first, busy, update = [], [], Progress.update

    def told(self, count=1):
        first.append(time.time() - float(os.environ["BEGIN"]))
        busy.append(time.process_time())
        update(self, count)

    with (
        mock.patch.object(Progress, "update", told),
        tempfile.TemporaryDirectory() as folder,
    ):
        driver.run(c, folder)
    most = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step_s = (first[-1] - first[0]) / (len(first) - 1)
    found = {"start_s": first[0], "start_cpu_s": busy[0], "step_s": step_s, "most_bytes": most}
    print(json.dumps(found))


def size(args: argparse.Namespace) -> dict:
    """Start and memory by the number of images."""
    found = {}
    print(f"{'images':>10}{'start':>8}{'seconds':>9}{'of CPU':>8}{'step ms':>9}{'most MB':>9}")
    with tempfile.TemporaryDirectory() as compiled:
        for n in map(int, args.images.split(",")):
            with tempfile.TemporaryDirectory() as root, tempfile.TemporaryDirectory() as cache:
                write(pathlib.Path(root), n)
                for start in ("first", "second"):
                    command = [sys.executable, __file__, "size", f"--steps={args.steps}"]
                    command += ["--train", root, cache, args.streaming]
                    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": compiled}
                    environment |= {"BEGIN": str(time.time()), "JAX_PLATFORMS": "cpu"}
                    done = subprocess.run(
                        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
                    )
                    row = json.loads(done.stdout.splitlines()[-1])
                    found[f"{n} {start}"] = row
                    print(
                        f"{n:>10}{start:>8}{row['start_s']:9.1f}{row['start_cpu_s']:8.1f}"
                        f"{1e3 * row['step_s']:9.1f}{row['most_bytes'] / 1e6:9.0f}",
                        flush=True,
                    )
    return found


def main() -> None:
    """Parses the flags, measures, prints and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("step", "size"))
    parser.add_argument("--config", default="configs/mnist_fashion.py:small")
    parser.add_argument("--data_dir", default="", help="folder of prepared TFDS sets")
    parser.add_argument("--workers", type=int, default=0, help="data.workers of the streamed way")
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--steps", type=int, default=20, help="of a turn, or of a run")
    parser.add_argument("--images", default="100000,1000000")
    parser.add_argument("--streaming", default="on", help="data.streaming of the large sets")
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--train", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        train(args.train[0], args.train[1], args.steps, args.train[2])
        return
    found = step(args) if args.what == "step" else size(args)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
