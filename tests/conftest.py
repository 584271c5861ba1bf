"""Strict settings for every test, and the small system that several of them share."""

import io
import json
import os
import socket
import struct
import subprocess
import sys

# Before jax is imported anywhere: two devices, so that nothing can rely on there being one.
FLAG = "--xla_force_host_platform_device_count=2"
# More than halves the time to compile. XLA ends the program where it does not know a flag: asked
# once.
FASTER = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
os.environ["JAX_PLATFORMS"] = "cpu"
# Almost all of the suite's time is compilation, here and in what tests start; the program is the
# same, only its code is slower.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "true"
if FLAG not in os.environ.get("XLA_FLAGS", ""):  # the processes of pytest-xdist inherit them
    flags = f"{os.environ.get('XLA_FLAGS', '')} {FLAG}"
    probe = [sys.executable, "-c", "import jax; jax.devices()"]
    known = subprocess.run(
        probe, env={**os.environ, "XLA_FLAGS": f"{flags} {FASTER}"}, capture_output=True
    )
    os.environ["XLA_FLAGS"] = flags if known.returncode else f"{flags} {FASTER}"

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import default
from lgaa_jax.networks.nets import build_nets
from lgaa_jax.run import driver
from lgaa_jax.run.session import open_session
from lgaa_jax.training.batch import Batch
from lgaa_jax.training.learner import build_learner
from lgaa_jax.training.phases import Phases
from lgaa_jax.training.replay import replay_spec
from lgaa_jax.training.state import begin_task
from lgaa_jax.workdir.metadata import write_metadata
from lgaa_jax.workdir.record import Record

jax.config.update("jax_numpy_rank_promotion", "raise")

NETWORKS = {"generator", "critic", "encoder", "class", "domain"}
NUM_CLASSES, NUM_TASKS, BATCH_SIZE = 4, 3, 8
ENDS = (5, 10, 15)
# With modes and components of the codes' covariances; other runs of tests have whole normals.
LEARNED = {
    "tasks": "digits[0-4],letters",
    "eval.generation": "never",
    "max_tasks": 3,
    "code_rank": 4,
    "code_modes": 2,
}


def pytest_terminal_summary(terminalreporter):
    """Prints what tests have counted, from whichever process."""
    for report in terminalreporter.getreports("passed"):
        for name, counts in report.user_properties if report.when == "call" else ():
            if name == "counts":
                terminalreporter.line(f"{report.nodeid}: {counts}")


@pytest.fixture(scope="session", autouse=True)
def compilation_cache(tmp_path_factory):
    """Runs of the same config compile once per test session, in whichever test process."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the processes of a session lie side by side in it
    folder /= "xla"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture
def no_network(monkeypatch):
    """Any attempt to connect fails the test."""

    def refuse(self, address):
        raise AssertionError(f"network access to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def small_config(**changes):
    """The smoke-sized default config, with dotted keys changed."""
    c = default.get_config()
    default.shrink(c)
    c.update_from_flattened_dict(changes)
    return c


class System:
    """A learner at test size, for any config, with its phases."""

    def __init__(self, num_classes=NUM_CLASSES, **changes):
        self.config = small_config(**changes)
        self.nets = build_nets(self.config, num_classes, NUM_TASKS)
        self.spec = replay_spec(self.config, jnp.ones((NUM_TASKS, num_classes), bool))
        learner = build_learner(self.config, self.nets, self.spec, ENDS, BATCH_SIZE)
        self.hyper, self.tx, self.train_step = learner.hyper, learner.tx, learner.train_step
        self.phases = Phases(self.nets, self.tx, self.hyper)
        # Compiled as a whole: op by op it takes half a minute.
        self.init = jax.jit(lambda: learner.init(jax.random.key(1)))


@pytest.fixture(scope="session")
def system():
    """The system of the smoke-sized defaults."""
    return System()


@pytest.fixture(scope="session")
def initial(system):
    """Its initial state."""
    return system.init()


def read_json(path):
    return json.loads(path.read_text())


def make_batch(seed=0, task=0, num_real=BATCH_SIZE, labelled=True, shape=(16, 16, 1)):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (BATCH_SIZE, *shape), np.uint8)
    u = (
        rng.integers(0, NUM_CLASSES, BATCH_SIZE).astype(np.int32)
        if labelled
        else np.full(BATCH_SIZE, -1, np.int32)
    )
    return Batch(x, u, np.full(BATCH_SIZE, task, np.int32), np.int32(num_real))


def assert_equal(a, b):
    """Two trees agree bit for bit."""
    jax.tree.map(np.testing.assert_array_equal, a, b)


def same(a, b):
    """Whether two trees agree bit for bit."""
    return all(jax.tree.leaves(jax.tree.map(lambda p, q: bool((p == q).all()), a, b)))


@pytest.fixture(scope="session")
def learned(tmp_path_factory):
    """The workdir of an untrained run of five digits and the letters, with room for a third task.

    Tests of what a user makes of a model share it, and change nothing in it but `export`.
    """
    workdir = tmp_path_factory.mktemp("learned") / "run"
    untrained_run(small_config(**LEARNED), workdir)
    return workdir


def untrained_run(config, workdir):
    """A finished run whose every checkpoint has the initial parameters: no step is compiled.

    A run that is there already, of fewer tasks, goes on to the others.
    """
    save_ends(config, workdir)
    driver.run(config, workdir)


def save_ends(config, workdir, change=lambda state: state):
    """Checkpoints of a run at the ends of its tasks, where `change` is all that trains them."""
    run = open_session(config, workdir)
    write_metadata(workdir, run.written)
    state = run.fresh()
    with run.checkpoints:
        taken = max(run.checkpoints.steps(), default=0)
        for task, end in enumerate(run.experiment.ends):
            state = begin_task(state) if task else state
            state = change(state).replace(step=jnp.int32(end))
            if end > taken:
                run.save(end, state, Record())


def shown(workdir):
    """What TensorBoard shows of its files: {name: steps}. It drops what a later start has again."""
    from tensorboardX.proto.event_pb2 import Event  # it takes a second

    events = []
    for path in sorted((workdir / "tensorboard").iterdir()):
        content, place = path.read_bytes(), 0
        while place < len(content):  # length, its checksum, the event, its checksum
            (length,) = struct.unpack_from("<Q", content, place)
            event = Event.FromString(content[place + 12 : place + 12 + length])
            place += length + 16
            if event.HasField("session_log"):
                events = [e for e in events if e.step < event.step]
            events += [event] if event.summary.value else []
    found = {}
    for event in events:
        for value in event.summary.value:
            found.setdefault(value.tag, []).append(event.step)
    return found


@pytest.fixture(scope="session")
def tiny_dir(tmp_path_factory):
    """A folder with the prepared set `tiny`: 10 train and 4 test images, 20x30x3, classes 0-2."""
    import tensorflow_datasets as tfds

    # Unregistered, so that it is found by its folder alone, as a user's own set would be.
    with tfds.core.registered.skip_registration():

        class Tiny(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                features = {
                    "image": tfds.features.Image(shape=(20, 30, 3)),
                    "label": tfds.features.ClassLabel(num_classes=4),
                }
                return tfds.core.DatasetInfo(
                    builder=self, features=tfds.features.FeaturesDict(features)
                )

            def _split_generators(self, _):
                return {"train": self._generate_examples(10), "test": self._generate_examples(4)}

            def _generate_examples(self, n):
                for i in range(n):
                    png = io.BytesIO()
                    Image.fromarray(np.full((20, 30, 3), 10 * i + i % 3, np.uint8)).save(png, "PNG")
                    png.seek(0)
                    yield i, {"image": png, "label": i % 3}

    folder = tmp_path_factory.mktemp("tfds")
    Tiny(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder
