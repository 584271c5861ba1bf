"""What is computed in batches is what is computed at once, in no more memory than that takes."""

import tracemalloc

import jax
import numpy as np
import pytest

from lgaa_jax.evaluation import batches

ROWS = np.random.default_rng(0).normal(size=(43, 3)).astype(np.float32)


@pytest.mark.parametrize("most", [1, 10, 43, 250])
def test_batches_give_what_the_whole_gives(most):
    seen = []

    def program(x, i):
        seen.append(len(x))
        return {"double": 2 * x}, i

    found, index = batches.in_batches(program, most, ROWS, np.arange(43))
    np.testing.assert_array_equal(found["double"], 2 * ROWS)
    np.testing.assert_array_equal(index, np.arange(43))
    assert seen == [most] * -(-43 // most)  # all of one size: one program


@pytest.mark.parametrize(
    ("n", "most", "expected"), [(1, 250, 16), (16, 250, 16), (17, 250, 250), (3, 4, 4), (20, 4, 4)]
)
def test_few_examples_have_a_small_batch(n, most, expected):
    assert batches.batch_size(n, most) == expected


def test_one_result_is_on_the_device_at_a_time_and_all_are_on_the_host_once():
    n, size, features = 400, 10, 20_000
    held = []

    def results():
        for i in range(n // size):
            held.append(sum(a.nbytes for a in jax.live_arrays()) - others)
            yield jax.device_put(np.full((size, features), i, np.float32))

    others = sum(a.nbytes for a in jax.live_arrays())
    tracemalloc.start()
    whole = batches.collected(results(), n)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(whole[:, 0], np.arange(n) // size)
    assert max(held) <= size * features * 4
    assert whole.nbytes <= peak < 1.2 * whole.nbytes
