"""Several devices: what of a run lies where, and that it comes to the same numbers."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_equal, small_config

from lgaa_jax.errors import UserError
from lgaa_jax.evaluation.inference import infer_all
from lgaa_jax.training.devices import ONE_DEVICE, build_layout
from lgaa_jax.training.sampling import sample_task
from lgaa_jax.training.state import shardings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def two():
    return build_layout(small_config(devices=2))


def lies_by_row(array):
    return [shard.data.shape[0] for shard in array.addressable_shards] == [len(array) // 2] * 2


def test_a_cpu_is_one_device_unless_the_config_says_more():
    assert len(jax.devices()) == 2
    assert build_layout(small_config()) is ONE_DEVICE
    assert build_layout(small_config(devices=1)).num_devices == 1
    assert build_layout(small_config(devices=2)).num_devices == 2


def test_devices_that_are_not_there_or_do_not_divide_a_batch_are_refused():
    with pytest.raises(UserError, match=r"devices=3, but there are 2 here; lower it"):
        build_layout(small_config(devices=3))
    with pytest.raises(UserError, match=r"batch_size=15 .* among 2 devices; .* devices to 1\."):
        build_layout(small_config(devices=2, batch_size=15))


@pytest.mark.parametrize("devices", [1, 2])
def test_rows_of_two_arrays_come_apart_as_they_were_joined(devices, key):
    layout = build_layout(small_config(devices=devices))
    a, b = jax.random.normal(key, (2, 6, 3))

    def program(a, b):
        joined = layout.join(a, b)
        return joined, layout.part(joined), layout.part(joined[:, 0])

    joined, parts, first = jax.jit(program)(a, b)
    assert joined.shape == (12, 3)
    assert_equal(parts, (a, b))
    assert_equal(first, (a[:, 0], b[:, 0]))


def test_rows_are_padded_before_and_up_to_the_devices(two):
    rows = {"z": jnp.arange(1.0, 4.0)[:, None], "u": jnp.arange(1, 4)}
    program = jax.jit(two.split_padded, static_argnames="before")
    for before, expected in ((0, [1, 2, 3, 0]), (3, [0, 0, 0, 1, 2, 3])):
        padded = program(rows, before=before)
        assert all(map(lies_by_row, padded.values()))
        np.testing.assert_array_equal(padded["u"], expected)
        np.testing.assert_array_equal(padded["z"][:, 0], expected)
    assert ONE_DEVICE.split_padded(rows, before=3) is rows
    assert (two.round_up(7), two.round_up(8), ONE_DEVICE.round_up(7)) == (8, 8, 7)


def test_two_devices_draw_and_infer_what_one_does(two, system, initial, key):
    def facts(layout):
        state = jax.device_put(initial, layout.whole)
        images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 1), np.uint8)
        return (
            sample_task(system.nets, state.sampler, key, 1, 7, system.spec.class_mask, 1.0, layout),
            infer_all(system.nets, state.evaluated, images, 3, layout),
        )

    (x, u), (z, inferred, _) = facts(ONE_DEVICE)
    (other_x, other_u), (other_z, other_inferred, _) = facts(two)
    assert np.abs(x.astype(int) - other_x).max() <= 1  # a grey level, where rounding decides
    np.testing.assert_array_equal(u, other_u)
    np.testing.assert_allclose(z, other_z, atol=1e-5)
    np.testing.assert_array_equal(inferred, other_inferred)


def trained(changes):
    """What 2 and 8 devices found, whose numbers are those of one."""
    flags = os.environ["XLA_FLAGS"].replace("device_count=2", "device_count=8")
    script = Path(__file__).with_name("several_devices.py")
    done = subprocess.run(
        [sys.executable, script, json.dumps(changes)],
        env=os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for devices, facts in found.items():
        assert facts["losses"] < 1e-5, devices
        assert facts["parameters"] < 1e-5, devices
    return found.values()


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"strategy": "vae_replay", "replay.fraction": "0.3"},
        {"loss.adversarial": "wgan_gp", "net.projection": False, "loss.n_critic": 2},
        {"loss.adversarial": "relativistic"},
    ],
    ids=str,
)
def test_1_2_and_8_devices_train_alike_and_move_gradients_and_metrics_alone(changes):
    """Over a task change. What moves beside sums: codes and cells of a batch, for their moments."""
    batch, codes = 16, 16
    for found in trained(changes | {"batch_size": batch}):
        assert found["held"] == 1
        moved = {}
        for name, *shapes in found["training"]:
            sizes = [math.prod(map(int, re.findall(r"\d+", s.split("[")[1]))) for s in shapes]
            moved[name] = moved.get(name, 0) + sum(sizes)
        assert moved.keys() == {"all-reduce", "all-gather"}
        assert moved["all-gather"] <= batch * (codes + 2)
        if not changes:  # all phases, one update each
            assert found["gradients"] < moved["all-reduce"] < 1.05 * found["gradients"]
        assert found["evaluation"] == []  # a row needs no other


@pytest.mark.slow
def test_devices_that_divide_the_state_train_alike_and_hold_less():
    """The moments of the codes are not divided; of these networks they are a small part."""
    two, eight = trained({"batch_size": 16, "shard_state": True, "net.width": 16})
    assert two["held"] < 0.65
    assert eight["held"] < 0.35
    for found in (two, eight):
        assert found["evaluation"] == []


def test_large_arrays_of_a_state_are_divided_where_the_config_says_so(initial):
    few, many = (build_layout(small_config(devices=2, shard_state=s)) for s in (False, True))
    assert build_layout(small_config(shard_state=True)) is ONE_DEVICE
    assert all(s == few.whole for s in jax.tree.leaves(shardings(initial, few)))
    shapes = [(4, 4, 16, 64), (64, 65), (3, 3, 65, 33), (2, 2, 2)]
    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    assert many.of(arrays) == [many.by_row(3), many.by_row(0), many.whole, many.whole]
    where = shardings(initial, many)
    assert all(s == many.whole for s in jax.tree.leaves((where.codes, where.replay["codes"])))
    of_optimiser = where.opt["critic"][0].mu
    assert of_optimiser == {name: where.params[name] for name in of_optimiser}
    state = jax.device_put(initial, where)
    held = sum(a.addressable_shards[0].data.nbytes for a in jax.tree.leaves(state.params))
    assert held < 0.8 * sum(a.nbytes for a in jax.tree.leaves(initial.params))
    assert_equal(many.whole_of(state), initial)
