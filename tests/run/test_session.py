"""With what a run begins and goes on: its own config and data, whatever became of config.json.

No step is taken here.
"""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_equal, small_config
from PIL import Image

from lgaa_jax.data import reading
from lgaa_jax.errors import UserError
from lgaa_jax.run.session import at_work, open_session
from lgaa_jax.workdir.metadata import read_metadata, write_metadata
from lgaa_jax.workdir.record import Record


def begin(config, workdir):
    """What a run has written at its first checkpoint, but for the state."""
    session = open_session(config, workdir)
    with session.checkpoints:
        session.save(4, {"x": jnp.zeros(3)}, Record())
    write_metadata(workdir, session.written)
    return session


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("digits") / "run"
    begin(small_config(tasks="digits"), workdir)
    return workdir


@pytest.fixture
def workdir(digits, tmp_path):
    return shutil.copytree(digits, tmp_path / "run")


@pytest.mark.parametrize("lost", [True, False])
def test_a_lost_config_is_known_from_the_checkpoints(workdir, lost):
    written = read_metadata(workdir)
    path = workdir / "config.json"
    path.unlink() if lost else path.write_text(path.read_text()[:-9])
    with pytest.raises(UserError, match=r"another seed \(there 0, now 1\)"):
        open_session(small_config(tasks="digits", seed=1), workdir)
    session = open_session(small_config(tasks="digits"), workdir)
    assert session.written == written


def test_a_change_that_is_harmless_is_recorded(workdir):
    session = open_session(small_config(tasks="digits", **{"log.every": 7}), workdir)
    assert session.written["changes"] == [{"step": 4, "keys": {"log.every": [2, 7]}}]
    write_metadata(workdir, session.written)
    session = open_session(small_config(tasks="digits", **{"log.every": 7}), workdir)
    assert len(session.written["changes"]) == 1
    session = open_session(small_config(tasks="digits"), workdir)
    assert session.written["changes"][1]["keys"] == {"log.every": [7, 2]}


def test_a_second_process_is_refused(workdir):
    """Before it writes anything."""
    config = small_config(tasks="digits")
    with (
        at_work(open_session(config, workdir)) as session,
        pytest.raises(UserError, match="is in use by process"),
        at_work(open_session(config, workdir)),
    ):
        pass
    assert session.lock is not None
    assert not (workdir / "lock").exists()


def fill(root, name, level):
    for part, count in (("train", 6), ("test", 3)):
        folder = root / part / name
        folder.mkdir(parents=True)
        for i in range(count):
            values = np.full((16, 16), level + 8 * i, np.uint8)
            Image.fromarray(values).save(folder / f"{i}.png")


def renamed(root):
    """b becomes e: the labels 0 and 1 change places."""
    for part in ("train", "test"):
        (root / part / "b").rename(root / part / "e")


def more(root):
    shutil.copy(root / "train/b/0.png", root / "train/b/9.png")


def redrawn(root):
    shutil.copy(root / "train/b/0.png", root / "train/b/1.png")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (renamed, r'classes \(there \["b", "d"\], now \["d", "e"\]\)'),
        (more, r"training \(there 12, now 13\), .*images"),
        (redrawn, r"(other|,) images \(there"),
    ],
)
def test_data_that_changed_on_disk_are_refused(tmp_path, change, says):
    root, workdir = tmp_path / "x", tmp_path / "run"
    for name, level in (("b", 0), ("d", 100)):
        fill(root, name, level)
    changes = {"tasks": f"folder:{root}", "data.cache_dir": str(tmp_path / "cache")}
    begin(small_config(**changes), workdir)
    written = (workdir / "config.json").read_bytes()
    reading.forget()
    open_session(small_config(**changes), workdir)
    change(root)
    reading.forget()
    with pytest.raises(UserError, match=r"the data of task 'folder:.* have changed .*" + says):
        open_session(small_config(**changes), workdir)
    assert (workdir / "config.json").read_bytes() == written


def test_devices_that_divide_the_state_begin_with_the_same_numbers(tmp_path):
    """Each array lies as the program of the steps takes it."""
    states = {}
    for divides in (True, False):
        config = small_config(devices=2, shard_state=divides, tasks="digits")
        session = open_session(config, tmp_path / str(divides))
        states[divides] = state = session.fresh()
        where = jax.tree.map(lambda array: array.sharding, state)
        assert jax.tree.leaves(where) == jax.tree.leaves(session.experiment.where)
        assert any(not s.is_fully_replicated for s in jax.tree.leaves(where)) == divides
    assert_equal(*jax.device_get(tuple(states.values())))
