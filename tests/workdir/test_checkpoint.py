import json
import logging
import re
import resource
import shutil
import sys
import threading
import time

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lgaa_jax.errors import UserError
from lgaa_jax.workdir.checkpoint import Checkpoints
from lgaa_jax.workdir.contents import DamagedError


@flax.struct.dataclass
class State:
    step: jax.Array
    params: dict
    mask: jax.Array


def make_state(seed=0, width=3, dtype=jnp.bfloat16):
    rng = np.random.default_rng(seed)
    params = {
        "w": jnp.asarray(rng.normal(size=(width, 4)), jnp.float32),
        "half": jnp.asarray(rng.normal(size=(5,)), dtype),
        # Large enough that the CPU backend would share its memory with NumPy.
        "big": jnp.asarray(rng.normal(size=(300_000,)), jnp.float32),
    }
    return State(jnp.int32(seed), params, jnp.asarray(rng.uniform(size=7) < 0.5))


def abstract(state):
    return jax.eval_shape(lambda: state)


def on_host(tree):
    return jax.tree.map(lambda x: np.array(x, copy=True), tree)


def assert_same_bits(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


def _spoil(state):
    return jax.tree.map(lambda x: ~x if x.dtype == bool else x * 0 - jnp.ones((), x.dtype), state)


spoil = jax.jit(_spoil, donate_argnums=0)


@pytest.fixture(autouse=True)
def no_word_of_dropped_readers(monkeypatch):
    """Of readers that Orbax did not wait for, asyncio tells whenever Python clears them away."""
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", True)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A workdir with steps 1 and 2."""
    workdir = tmp_path_factory.mktemp("run")
    with Checkpoints(workdir, keep=5) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, make_state(step), {"task": step})
    return workdir


@pytest.fixture
def workdir(saved, tmp_path):
    """A copy of it, to break."""
    return shutil.copytree(saved, tmp_path / "run")


def test_round_trip_is_bit_exact(saved):
    with Checkpoints(saved) as checkpoints:
        assert checkpoints.steps() == [1, 2]
        for step in (1, 2):
            state, meta = checkpoints.restore(step, abstract(make_state()))
            assert isinstance(state, State)
            assert all(isinstance(x, jax.Array) for x in jax.tree.leaves(state))
            assert_same_bits(state, make_state(step))
            assert meta == {"task": step}


def test_donating_right_after_save_and_after_restore_is_safe(tmp_path):
    with Checkpoints(tmp_path, keep=4) as checkpoints:
        for step in range(4):
            state = make_state(step)
            checkpoints.save(step, state, {})
            for _ in range(2):
                state = spoil(state)
        checkpoints.wait()
        for step in range(4):
            state, _ = checkpoints.restore(step, abstract(make_state()))
            assert_same_bits(state, make_state(step))
            spoiled = on_host(spoil(state))
            assert_same_bits(spoiled, on_host(_spoil(make_state(step))))
            again, _ = checkpoints.restore(step, abstract(make_state()))
            assert_same_bits(again, make_state(step))


def test_restores_onto_the_sharding_asked_for(saved):
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("data",))
    replicated = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    target = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=replicated),
        abstract(make_state()),
    )
    with Checkpoints(saved) as checkpoints:
        state, _ = checkpoints.restore(1, target)
    assert all(x.sharding == replicated for x in jax.tree.leaves(state))
    assert_same_bits(state, make_state(1))


def without_big(state):
    """What lasts of a state in these tests, whichever form it has."""
    state = State(**state) if isinstance(state, dict) else state
    return state.replace(params={k: v for k, v in state.params.items() if k != "big"})


def test_keeps_the_latest_and_what_lasts_of_the_ends_of_tasks(tmp_path):
    """The two latest ends are whole; a checkpoint is whole or less, and never both."""
    arguments = {"keep": 2, "task_ends": [2, 5, 9], "lasting": without_big}
    with Checkpoints(tmp_path, **arguments) as checkpoints:
        for step in range(1, 9):
            checkpoints.save(step, make_state(step), {"step": step})
        checkpoints.wait()
        assert checkpoints.steps() == checkpoints.all_steps() == [2, 5, 7, 8]
    with Checkpoints(tmp_path, **arguments) as checkpoints:
        for step in (9, 10, 11, 12):
            checkpoints.save(step, make_state(step), {"step": step})
    with Checkpoints(tmp_path, **arguments) as checkpoints:
        assert checkpoints.steps() == [5, 9, 11, 12]
        assert checkpoints.all_steps() == [2, 5, 9, 11, 12]
        for step, expected in ((2, without_big(make_state(2))), (5, make_state(5))):
            state, meta = checkpoints.restore(step, abstract(make_state()))
            assert_same_bits(state, expected)
            assert meta == checkpoints.meta(step) == {"step": step}
            part = checkpoints.restore_part(
                step, {"params": {"w": abstract(make_state().params["w"])}}
            )
            assert_same_bits(part["params"]["w"], expected.params["w"])
            assert checkpoints.check(step)
        assert checkpoints.newest(lambda step: step, below=5) is None
        with pytest.raises(
            UserError, match=r"no checkpoint of step 1 in .*: take 2, 5, 9, 11, 12$"
        ):
            checkpoints.restore(1, abstract(make_state()))


def test_a_kill_between_writing_what_lasts_and_dropping_the_rest_costs_nothing(tmp_path):
    arguments = {"keep": 1, "task_ends": [1, 2, 3], "lasting": without_big}
    with Checkpoints(tmp_path, keep=3) as checkpoints:
        checkpoints.save(1, make_state(1), {"step": 1})
        checkpoints.save(2, make_state(2), {"step": 2})
    # What a killed one had written of step 1, and was writing of step 2.
    with Checkpoints(tmp_path / "other") as checkpoints:
        checkpoints.save(1, without_big(make_state(7)), {"step": 7})
    shutil.copytree(tmp_path / "other/checkpoints", tmp_path / "task_ends")
    (tmp_path / "task_ends/2.orbax-checkpoint-tmp/state").mkdir(parents=True)
    with Checkpoints(tmp_path, **arguments) as checkpoints:
        assert_same_bits(checkpoints.restore(1, abstract(make_state()))[0], make_state(1))
        checkpoints.save(3, make_state(3), {"step": 3})
        checkpoints.save(4, make_state(4), {"step": 4})
        checkpoints.wait()
        assert (checkpoints.steps(), checkpoints.all_steps()) == ([2, 3, 4], [1, 2, 3, 4])
        state, meta = checkpoints.restore(1, abstract(make_state()))
        assert_same_bits(state, without_big(make_state(1)))
        assert meta == {"step": 1}


def test_of_a_damaged_end_of_a_task_all_stays(tmp_path):
    arguments = {"keep": 1, "task_ends": [1, 2, 3], "lasting": without_big}
    with Checkpoints(tmp_path, **arguments) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, make_state(step), {})
    _truncate_data(tmp_path / "checkpoints/1")
    with Checkpoints(tmp_path, **arguments) as checkpoints:
        checkpoints.save(3, make_state(3), {})
        checkpoints.wait()
        assert checkpoints.steps() == [1, 2, 3]
        with pytest.raises(DamagedError, match="checkpoint of step 1 in"):
            checkpoints.restore(1, abstract(make_state()))
    assert not (tmp_path / "task_ends").exists()


def test_saving_a_step_again_changes_nothing(workdir):
    with Checkpoints(workdir, keep=5) as checkpoints:
        checkpoints.save(2, make_state(7), {"task": 7})
        checkpoints.wait()
        state, meta = checkpoints.restore(2, abstract(make_state()))
    assert meta == {"task": 2}
    assert_same_bits(state, make_state(2))


def test_a_leftover_of_a_killed_save_is_no_checkpoint(workdir):
    leftover = workdir / "checkpoints" / "3.orbax-checkpoint-tmp"
    (leftover / "state").mkdir(parents=True)
    with Checkpoints(workdir, keep=5) as checkpoints:
        assert checkpoints.steps() == [1, 2]
        checkpoints.save(3, make_state(3), {})
        checkpoints.wait()
        assert checkpoints.steps() == [1, 2, 3]
        assert_same_bits(checkpoints.restore(3, abstract(make_state()))[0], make_state(3))


def test_an_empty_workdir_is_left_alone(tmp_path):
    with Checkpoints(tmp_path / "none") as checkpoints:
        assert checkpoints.newest(lambda step: pytest.fail(str(step))) is None
        assert checkpoints.steps() == []
        checkpoints.wait()
        with pytest.raises(UserError, match="there is no checkpoint in"):
            checkpoints.restore(1, abstract(make_state()))
    assert not list(tmp_path.iterdir())


def test_missing_step_names_those_there(saved):
    with Checkpoints(saved) as checkpoints, pytest.raises(UserError, match=r"take 1, 2$"):
        checkpoints.restore(3, abstract(make_state()))


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (make_state(width=9), r"params/w is float32\[3, 4\] there and float32\[9, 4\]"),
        (make_state(dtype=jnp.float32), r"params/half is bfloat16\[5\] there and float32\[5\]"),
        (make_state().params, "another model"),
    ],
)
def test_another_form_is_refused(saved, other, says):
    with Checkpoints(saved) as checkpoints, pytest.raises(UserError, match=says) as error:
        checkpoints.restore(1, abstract(other))
    assert "\n" not in str(error.value)


def _truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _truncate_data(step):
    files = [p for p in (step / "state").rglob("*") if p.is_file() and "/d/" in p.as_posix()]
    assert files
    for path in files:
        _truncate(path)


BREAK = {
    "data": _truncate_data,
    "manifest": lambda step: _truncate(step / "state" / "manifest.ocdbt"),
    "tree": lambda step: _truncate(step / "state" / "_METADATA"),
    "no tree": lambda step: (step / "state" / "_METADATA").unlink(),
    "no state": lambda step: shutil.rmtree(step / "state"),
    "no meta": lambda step: shutil.rmtree(step / "meta"),
    "meta": lambda step: _truncate(step / "meta" / "metadata"),
    "empty": lambda step: [shutil.rmtree(p) for p in step.iterdir() if p.is_dir()],
}


def flip(path, place):
    """Changes one bit of a file."""
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << place % 8
    path.write_bytes(content)


def restored(checkpoints):
    return checkpoints.newest(lambda step: checkpoints.restore(step, abstract(make_state())))


@pytest.mark.parametrize("what", BREAK)
def test_a_broken_checkpoint_says_so_and_the_one_before_is_used(workdir, what, caplog):
    BREAK[what](workdir / "checkpoints" / "2")
    with Checkpoints(workdir) as checkpoints:
        assert_same_bits(restored(checkpoints)[0], make_state(1))
        assert checkpoints.sound_steps() == [1]
    (said,) = (record.getMessage() for record in caplog.records)
    assert re.fullmatch(
        r"the checkpoint of step 2 in .* is damaged \(.*\) and is not used; .*", said
    )
    assert (workdir / "checkpoints" / "2").is_dir()


def test_a_changed_array_is_found_whatever_part_of_it_is_read(workdir):
    """One bit of what is stored of `big`, which Orbax hands on without a word."""
    with Checkpoints(workdir) as checkpoints:
        assert checkpoints.check(2)
    stored = max((workdir / "checkpoints/2/state").rglob("d/*"), key=lambda p: p.stat().st_size)
    content = bytearray(stored.read_bytes())
    kept = content.find(np.asarray(make_state(2).params["big"])[:8].tobytes())
    if kept < 0:  # compressed: any place within
        kept = len(content) // 2
    content[kept + 1] ^= 1
    stored.write_bytes(content)
    big = {"params": {"big": jax.ShapeDtypeStruct((300_000,), jnp.float32)}}
    small = {"params": {"w": jax.ShapeDtypeStruct((3, 4), jnp.float32)}}
    with Checkpoints(workdir) as checkpoints:
        for read in (
            lambda: checkpoints.restore(2, abstract(make_state())),
            lambda: checkpoints.restore_part(2, big),
            lambda: checkpoints.check(2),
        ):
            with pytest.raises(DamagedError, match="is damaged"):
                read()
        w = checkpoints.restore_part(2, small)["params"]["w"]
        np.testing.assert_array_equal(w, make_state(2).params["w"])
        assert checkpoints.sound_steps() == [1]


# Of readers that Orbax drops half-way, Python tells when it clears them away.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_no_flipped_bit_gives_another_state(saved, tmp_path, count):
    """Any file of a checkpoint, at any place: what is read is what was saved, or nothing is."""
    files = sorted(p.relative_to(saved) for p in saved.rglob("2/**/*") if p.is_file())
    files = [p for p in files if (saved / p).stat().st_size]
    rng, found = np.random.default_rng(count), {"damaged": 0, "harmless": 0}
    for i in range(count):
        workdir = shutil.copytree(saved, tmp_path / str(i))
        flip(workdir / files[rng.integers(len(files))], int(rng.integers(1 << 30)))
        with Checkpoints(workdir) as checkpoints:
            state, meta = restored(checkpoints)
            assert meta["task"] in (1, 2)
            assert_same_bits(state, make_state(meta["task"]))
            found["harmless" if meta["task"] == 2 else "damaged"] += 1
        shutil.rmtree(workdir)
    assert all(found.values())
    print(found)


def test_what_is_damaged_is_never_dropped_and_its_step_is_written_anew(workdir):
    """Nor does it count among those that are kept: the run goes on from the one before."""
    _truncate_data(workdir / "checkpoints/2")
    content = (workdir / "checkpoints/2/state/manifest.ocdbt").read_bytes()
    with Checkpoints(workdir, keep=1) as checkpoints:
        restored(checkpoints)
        checkpoints.save(2, make_state(2), {"task": 2})
        checkpoints.wait()
        assert checkpoints.steps() == [2]
        assert_same_bits(restored(checkpoints)[0], make_state(2))
    assert (workdir / "damaged/2/state/manifest.ocdbt").read_bytes() == content
    _truncate_data(workdir / "checkpoints/2")
    with Checkpoints(workdir, keep=1) as checkpoints:
        with pytest.raises(UserError, match=r"no checkpoint in .* can be used, of 2: choose"):
            restored(checkpoints)
        checkpoints.save(1, make_state(1), {"task": 1})
        checkpoints.wait()
        assert checkpoints.steps() == [1, 2]
        checkpoints.save(2, make_state(2), {"task": 2})
    assert sorted(p.name for p in (workdir / "damaged").iterdir()) == ["2", "2-2"]


def test_a_checkpoint_of_a_version_without_checksums_is_read(workdir):
    path = workdir / "checkpoints/2/meta/metadata"
    held = json.loads(path.read_text())
    path.write_text(json.dumps({key: held[key] for key in ("meta", "forms")}))
    with Checkpoints(workdir) as checkpoints:
        assert_same_bits(restored(checkpoints)[0], make_state(2))
        assert (checkpoints.check(1), checkpoints.check(2)) == (True, False)


def own_threads():
    """All threads but those of asyncio's pool, which serves the whole process and grows with it."""
    return {t for t in threading.enumerate() if not t.name.startswith("asyncio_")}


def test_close_leaves_no_thread_and_saving_prints_nothing(tmp_path, caplog, capfd):
    before = own_threads()
    with caplog.at_level(logging.INFO, logger="absl"), Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"x": jnp.zeros(3)}, {})
        checkpoints.wait()
        checkpoints.restore(1, {"x": jax.ShapeDtypeStruct((3,), jnp.float32)})
    assert own_threads() <= before
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_what_cannot_be_written_says_so_once(tmp_path, monkeypatch, capfd):
    """Of many arrays that no file has room for, no background thread prints a traceback."""
    monkeypatch.setattr(logging.getLogger("absl"), "filters", [])  # so that the hook is set anew
    heard = []
    monkeypatch.setattr(sys, "unraisablehook", heard.append)
    arrays = {str(i): np.random.default_rng(i).normal(size=20_000) for i in range(50)}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    checkpoints = Checkpoints(tmp_path)
    try:
        checkpoints.save(1, arrays, {})
        with pytest.raises(UserError, match=r"step 1 cannot be written to .*; those before it are"):
            checkpoints.wait()
        time.sleep(0.3)  # those that are on their way
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        checkpoints.close()
    assert not heard
    assert capfd.readouterr() == ("", "")


def test_keeping_none_is_refused(tmp_path):
    with pytest.raises(UserError, match="keep_checkpoints is 0"):
        Checkpoints(tmp_path, keep=0)
