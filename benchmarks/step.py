"""Times a training step, phase by phase, against the same networks written plainly.

    python benchmarks/step.py --preset=paper32 --json=step.json
    python benchmarks/step.py --size=16 --channels=1 --tasks=2,100

The plain step has the same networks with `jax.lax`'s strided and transposed convolutions, runs the
generator once for the critic's phase and again for its own, and is compiled with XLA's defaults.
Everything takes turns, so that other load on the machine falls on all. FLOPs are those that XLA's
cost analysis counts in the program of plain convolutions: the same work, whichever way it is done.

With --tasks it times, instead, the step in the last of so many tasks, as a run takes it: with its
state handed over, so that nothing is copied that a step leaves alone.
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import sys
import time
from collections.abc import Callable
from unittest import mock

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

# `configs` and `launch` lie beside this folder and are not installed.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))


from configs import default
from lgaa_jax.data.images import to_unit, to_unsigned
from lgaa_jax.evaluation.inference import reconstruct
from lgaa_jax.evaluation.split_metrics import likeness
from lgaa_jax.networks import ops
from lgaa_jax.networks.nets import PRESETS, build_nets
from lgaa_jax.training import replay
from lgaa_jax.training.batch import Batch, Examples
from lgaa_jax.training.codes import update_codes
from lgaa_jax.training.learner import build_learner
from lgaa_jax.training.phases import Phases
from lgaa_jax.training.replay import replay_spec
from lgaa_jax.training.sampling import has_classes, one_hot, sample_fake
from lgaa_jax.training.state import begin_task, update_ema

NUM_CLASSES, NUM_TASKS = 10, 2
MATMUL = 2048
# Height and width, channels, where no flag names others.
SIZES = {"residual": (32, 3), "paper32": (32, 3), "paper64": (64, 3)}


@contextlib.contextmanager
def plainly():
    """Within it, networks are traced with `jax.lax` alone."""
    with (
        mock.patch.object(ops, "conv", lambda x, w, stride=1: ops.plain_conv(x, w, stride)),
        mock.patch.object(ops, "conv_transpose", ops.plain_conv_transpose),
        mock.patch.object(ops, "max_pool", lambda x: nn.max_pool(x, (2, 2), (2, 2))),
    ):
        yield


class System:
    """Networks, state and batch of the last task of several, at a preset's size."""

    def __init__(
        self, preset: str, size: int, channels: int, batch_size: int, tasks: int = NUM_TASKS
    ):
        c = default.get_config()
        c.model, c.data.size, c.data.channels, c.batch_size = preset, size, channels, batch_size
        c.net.projection = preset == "residual"
        self.nets = build_nets(c, NUM_CLASSES, tasks)
        self.num_replay = batch_size - max(1, round(batch_size / tasks))
        self.spec = replay_spec(c, jnp.ones((tasks, NUM_CLASSES), bool))
        ends = [1000 * (task + 1) for task in range(tasks)]
        self.learner = build_learner(c, self.nets, self.spec, ends, self.num_replay)
        self.key = jax.random.key(0)
        state = begin_task(jax.jit(self.learner.init)(self.key))
        self.state = state.replace(task=jnp.int32(tasks - 1))
        rng = np.random.default_rng(0)
        x = rng.integers(0, 256, (batch_size, size, size, channels), np.uint8)
        u = rng.integers(0, NUM_CLASSES, batch_size).astype(np.int32)
        d = np.full(batch_size, tasks - 1, np.int32)
        self.batch = jax.device_put(Batch(x, u, d, np.int32(batch_size - self.num_replay)))

    def parts(self) -> dict[str, tuple[Callable, tuple]]:
        """Each phase as a function and its arguments; their sum is about one step."""
        s, key, nets, mask = self.state, self.key, self.nets, self.spec.class_mask
        phase = Phases(nets, self.learner.tx, self.learner.hyper)
        x = jax.random.uniform(key, self.batch.x.shape, minval=-1.0)
        z = jnp.zeros((len(x), nets.code_size))
        u, d = self.batch.u, self.batch.d
        arguments = (s, key, x, u, d, z)

        def fake(s, key, x, u, d, z):
            return sample_fake(nets, s.params["generator"], s.codes, key, u, d, mask)

        def generator(s, key, x, u, d, z):
            images, pullback, u = fake(s, key, x, u, d, z)
            return phase.generator(
                s, images, pullback, u, Examples(x, u, d, one_hot(u, NUM_CLASSES))
            )

        def critic(s, key, x, u, d, z):
            return phase.critic(s, key, x, jnp.flip(x, 0), u, d)

        def autoencoder(s, key, x, u, d, z):
            return phase.autoencoder(s, key, x, has_classes(mask, d))

        def inference(s, key, x, u, d, z):
            return phase.inference(s, key, Examples(x, u, d, one_hot(u, NUM_CLASSES)), z)

        def mix(s, key, x, u, d, z):
            return replay.mix(nets, s, key, self.batch, self.num_replay, self.spec)

        def evaluate(s, key, x, u, d, z):
            rec, *_ = reconstruct(nets, s.evaluated, mask, self.batch.x)
            return likeness(to_unsigned(to_unit(self.batch.x)), to_unsigned(rec))

        functions = {
            "replay": mix,
            "critic": critic,
            "fake + generator": generator,
            "autoencoder": autoencoder,
            "inference": inference,
            "evaluation": evaluate,
        }
        return {name: (function, arguments) for name, function in functions.items()}

    def step(self) -> tuple[Callable, tuple]:
        """The training step."""
        return self.learner.train_step, (self.state, self.key, self.batch)

    def plain_step(self) -> tuple[Callable, tuple]:
        """Four separate phases, a generator forward for each; to be traced in `plainly`."""
        nets, hyper, mask = self.nets, self.learner.hyper, self.spec.class_mask
        phase = Phases(nets, self.learner.tx, hyper)

        def step(s, key, batch):
            keys = jax.random.split(jax.random.fold_in(key, s.step), 6)
            examples = replay.mix(nets, s, keys[0], batch, self.num_replay, self.spec)
            x, u, d, _ = examples
            generator, codes = s.params["generator"], s.codes
            images, _, _ = sample_fake(nets, generator, codes, keys[1], u, d, mask)
            s, critic = phase.critic(s, keys[2], x, images, u, d)
            fake = sample_fake(nets, s.params["generator"], codes, keys[3], u, d, mask)
            s, generator = phase.generator(s, *fake, examples)
            classed = has_classes(mask, d)
            s, autoencoder, z, _ = phase.autoencoder(s, keys[4], x, classed)
            s, inference = phase.inference(s, keys[5], examples, z)
            s = s.replace(codes=update_codes(s.codes, z, u, d, classed, hyper.code_decay))
            s = update_ema(s, hyper.ema_decay)
            return s.replace(step=s.step + 1), critic | generator | autoencoder | inference

        return step, (self.state, self.key, self.batch)


def compile_(function: Callable, arguments: tuple, options: dict):
    """The compiled program and the seconds that took."""
    begin = time.perf_counter()
    compiled = jax.jit(function, compiler_options=options).lower(*arguments).compile()
    return compiled, time.perf_counter() - begin


def flops(compiled) -> float:
    """Floating-point operations by XLA's cost analysis; 0 where it has none."""
    return (compiled.cost_analysis() or {}).get("flops", 0.0)


def memory(compiled) -> int:
    """Bytes that a call holds at once: arguments, results and temporaries.

    Results that take the place of donated arguments count once.
    """
    m = compiled.memory_analysis()
    held = m.argument_size_in_bytes + m.output_size_in_bytes + m.temp_size_in_bytes
    return held - m.alias_size_in_bytes


def take_turns(programs: dict, repeats: int) -> dict[str, list[float]]:
    """Seconds of each call; programs: name to (compiled, arguments)."""
    taken = {name: [] for name in programs}
    for turn in range(repeats + 1):
        for name, (compiled, arguments) in programs.items():
            begin = time.perf_counter()
            jax.block_until_ready(compiled(*arguments))
            if turn:  # the first call of all warms up
                taken[name].append(time.perf_counter() - begin)
    return taken


def measure(system: System, repeats: int, plain: bool) -> dict:
    """Rows of the table by name, and the rate of a matrix product in the same run."""
    square = jnp.ones((MATMUL, MATMUL))
    cases = {"matrix product": (jnp.matmul, (square, square)), "step": system.step()}
    cases |= system.parts()
    programs, seconds, work = {}, {}, {}
    for name, (function, arguments) in cases.items():
        compiled, seconds[name] = compile_(function, arguments, ops.compiler_options())
        programs[name] = compiled, arguments
        with plainly():
            again = lambda *a, f=function: f(*a)  # noqa: E731  (a function jit has not seen)
            work[name] = flops(jax.jit(again).lower(*arguments))
    if plain:
        with plainly():
            function, arguments = system.plain_step()
            compiled, seconds["plain step"] = compile_(function, arguments, {})
        programs["plain step"], work["plain step"] = (compiled, arguments), flops(compiled)
    taken = take_turns(programs, repeats)
    rows = {}
    for name, times in taken.items():
        median = statistics.median(times)
        rows[name] = {
            "median_s": median,
            "min_s": min(times),
            "max_s": max(times),
            "gflop": work[name] / 1e9,
            "gflops": work[name] / 1e9 / median,
            "bytes": memory(programs[name][0]),
            "compile_s": seconds[name],
        }
    return rows


def many_tasks(systems: dict[int, System], repeats: int) -> dict[int, dict]:
    """Seconds and bytes of a step by the number of tasks, all taking turns."""
    programs, states = {}, {}
    taken, busy = {tasks: [] for tasks in systems}, {tasks: [] for tasks in systems}
    for tasks, system in systems.items():
        step = jax.jit(
            system.learner.train_step, donate_argnums=0, compiler_options=ops.compiler_options()
        )
        programs[tasks] = step.lower(system.state, system.key, system.batch).compile()
        states[tasks] = system.state
    for turn in range(repeats + 1):
        for tasks, system in systems.items():
            begin, cpu = time.perf_counter(), time.process_time()
            states[tasks], _ = jax.block_until_ready(
                programs[tasks](states[tasks], system.key, system.batch)
            )
            if turn:  # the first call of all warms up
                taken[tasks].append(time.perf_counter() - begin)
                busy[tasks].append(time.process_time() - cpu)
    return {
        tasks: {
            "median_s": statistics.median(times),
            "min_s": min(times),
            "max_s": max(times),
            "cpu_s": statistics.median(busy[tasks]),
            "bytes": memory(programs[tasks]),
        }
        for tasks, times in taken.items()
    }


def report_tasks(rows: dict[int, dict]) -> None:
    """Prints the table, and what each number of tasks costs over the first.

    CPU time is that of all threads: what other programs take of the machine is not in it.
    """
    head = f"{'tasks':>6}{'median ms':>11}{'min':>9}{'max':>9}{'CPU ms':>9}{'MB':>7}"
    print(head + f"{'time':>7}{'CPU':>7}{'memory':>8}")
    first = next(iter(rows.values()))
    for tasks, r in rows.items():
        times = "".join(
            f"{1e3 * r[key]:>{n}.1f}"
            for key, n in zip((*_TIMES, "cpu_s"), (11, 9, 9, 9), strict=True)
        )
        time_, cpu, bytes_ = (r[key] / first[key] for key in ("median_s", "cpu_s", "bytes"))
        print(f"{tasks:>6}{times}{r['bytes'] / 1e6:>7.0f}{time_:>7.2f}{cpu:>7.2f}{bytes_:>8.2f}")


def report(rows: dict, batch_size: int) -> None:
    """Prints the table."""
    peak = rows["matrix product"]["gflops"]
    head = f"{'':<18}{'median ms':>10}{'min':>9}{'max':>9}{'images/s':>10}{'GFLOP':>8}"
    print(head + f"{'GFLOP/s':>9}{'share':>7}{'MB':>7}{'compile s':>11}")
    for name, r in rows.items():
        rate = "" if name == "matrix product" else f"{batch_size / r['median_s']:.0f}"
        times = "".join(
            f"{1e3 * r[key]:>{n}.1f}" for key, n in zip(_TIMES, (10, 9, 9), strict=True)
        )
        print(
            f"{name:<18}{times}{rate:>10}{r['gflop']:>8.1f}{r['gflops']:>9.0f}"
            f"{r['gflops'] / peak:>7.2f}{r['bytes'] / 1e6:>7.0f}{r['compile_s']:>11.1f}"
        )


_TIMES = ("median_s", "min_s", "max_s")


def main() -> None:
    """Parses the flags, measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="residual", choices=sorted(PRESETS))
    parser.add_argument("--size", type=int, help="default 64 for paper64, else 32")
    parser.add_argument("--channels", type=int, help="1 or 3; default 3")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--no-plain", action="store_true", help="leave the plain step out")
    parser.add_argument("--tasks", help="numbers of tasks, such as 2,100: their step alone")
    parser.add_argument("--json", help="file for the figures")
    args = parser.parse_args()
    size, channels = SIZES[args.preset]
    size, channels = args.size or size, args.channels or channels
    print(
        f"jax {jax.__version__}, {jax.devices()[0].device_kind}, {args.preset}, "
        f"{size}x{size}x{channels}, batch {args.batch}, {args.repeats} turns",
        flush=True,
    )
    if args.tasks:
        systems = {
            n: System(args.preset, size, channels, args.batch, n)
            for n in map(int, args.tasks.split(","))
        }
        rows = many_tasks(systems, args.repeats)
        report_tasks(rows)
        write(args.json, rows)
        return
    rows = measure(System(args.preset, size, channels, args.batch), args.repeats, not args.no_plain)
    report(rows, args.batch)
    median, rate = rows["step"]["median_s"], rows["matrix product"]["gflops"]
    result = {
        "median_s": median,
        "matmul_gflops": rate,
        "images_per_s": args.batch / median,
        "peak_bytes": rows["step"]["bytes"],
        "step_gflop": rows["step"]["gflop"],
        "parts": rows,
    }
    if not args.no_plain:
        result["plain_median_s"] = rows["plain step"]["median_s"]
        print(f"step / plain step: {median / result['plain_median_s']:.2f}")
    write(args.json, result)


def write(path: str | None, found: dict) -> None:
    """Writes the figures, where a file is named."""
    if path:
        pathlib.Path(path).write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
