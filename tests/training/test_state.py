"""The state: the task change, the average, and the form that checkpoints rely on."""

import jax
import jax.numpy as jnp
import numpy as np
from conftest import assert_equal

from lgaa_jax.training.state import begin_task, update_ema


def test_begin_task_freezes_the_averaged_generator_in_buffers_of_its_own(initial):
    state = initial.replace(ema=jax.tree.map(lambda p: p + 1.0, initial.ema))
    frozen = begin_task(state)
    live = {"generator": state.ema, "class": state.params["class"], "codes": state.codes}
    assert_equal(frozen.replay, live)
    taken = jax.tree.leaves(frozen.params) + jax.tree.leaves(frozen.ema)
    pointers = {leaf.unsafe_buffer_pointer() for leaf in taken}
    assert pointers.isdisjoint(
        leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(frozen.replay)
    )
    without = begin_task(state.replace(ema={}))
    assert_equal(without.replay["generator"], state.params["generator"])


def test_the_average_follows_its_recursion(initial):
    generator = jax.tree.map(lambda p: p + 1.0, initial.params["generator"])
    params = {**initial.params, "generator": generator}
    state = initial.replace(step=jnp.int32(90), params=params)
    for decay, rate in ((0.998, 1 - 91 / 100), (0.5, 0.5)):
        averaged = update_ema(state, decay).ema
        jax.tree.map(
            lambda a, e, r=rate: np.testing.assert_allclose(a, e + r, rtol=1e-5, atol=1e-5),
            averaged,
            state.ema,
        )
    assert update_ema(state.replace(ema={}), 0.9).ema == {}


def test_leaves_have_the_paths_under_which_checkpoints_keep_them(initial):
    paths = {jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(initial)}
    assert {path.split("[")[0] for path in paths} == {
        ".step",
        ".task",
        ".params",
        ".opt",
        ".ema",
        ".codes",
        ".replay",
    }
    assert ".params['critic']['Trunk_0']['Conv_0']['kernel']" in paths
    assert ".opt['critic'][0].mu['critic']['Dense_0']['bias']" in paths
    assert ".replay['codes']['factor']" in paths
