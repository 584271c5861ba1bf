"""What images are sampled for: classes, tasks and codes."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from conftest import BATCH_SIZE, NUM_TASKS, assert_equal

from lgaa_jax.data.images import to_unit
from lgaa_jax.training import sampling
from lgaa_jax.training.codes import init_codes


def test_fakes_come_from_standard_normal_codes_and_their_rows_classes(system, monkeypatch, key):
    """The generator is replaced by one that shows its inputs."""
    monkeypatch.setattr(sampling, "generate", lambda nets, params, z, u, d: params * z)
    u = jnp.tile(jnp.array([-1, 2]), 1000)
    d = jnp.zeros(2000, jnp.int32)
    mask = jnp.array([[1, 1, 0, 0]], bool)
    z, _, u_fake = sampling.sample_fake(system.nets, jnp.float32(1.0), {}, key, u, d, mask)
    without = jnp.zeros((1, 4), bool)
    assert_equal(sampling.sample_fake(system.nets, jnp.float32(1.0), {}, key, u, d, without)[2], u)
    np.testing.assert_allclose([z.mean(), z.std()], [0.0, 1.0], atol=0.01)
    assert (u_fake[1::2] == 2).all()
    assert set(u_fake[::2].tolist()) == {0, 1}


def test_fakes_may_be_drawn_further_from_the_mean_than_codes_are(key):
    """From the same normal numbers; what they are of does not change."""
    moments = init_codes(1, 0, Showing.code_size, rank=0)
    moments["mean"] += 3.0
    u, d, mask = jnp.full(50, -1), jnp.zeros(50, jnp.int32), jnp.ones((1, 0), bool)
    narrow, wide = (
        10 * sampling.sample_fake(Showing(), {}, moments, key, u, d, mask, spread)[0]
        for spread in (1.0, 1.5)
    )
    assert np.abs(narrow - 3.0).max() > 1
    np.testing.assert_allclose(wide - 3.0, 1.5 * (narrow - 3.0), rtol=1e-4, atol=1e-5)


def test_without_classes_no_class_is_sampled(key):
    d = jnp.zeros(BATCH_SIZE, jnp.int32)
    mask = jnp.array([[0, 0], [1, 0]], bool)
    assert sampling.sample_classes(key, jnp.array([0, 1, 0]), mask).tolist() == [-1, 0, -1]
    assert (sampling.sample_classes(key, d, jnp.ones((NUM_TASKS, 0), bool)) == -1).all()
    assert sampling.one_hot(d, 0).shape == (BATCH_SIZE, 0)


@dataclasses.dataclass(frozen=True)
class Showing:
    """Networks whose images are their content codes, a tenth of them."""

    code_size: int = 4
    num_classes: int = 0
    num_tasks: int = 1

    def apply(self, name, params, z, u, d):
        return z / 10


def test_images_of_a_task_may_be_sampled_further_from_the_mean(key):
    """From the same normal numbers: 8-bit images tell it to within a level and a half."""
    mask, moments = jnp.ones((1, 0), bool), init_codes(1, 0, Showing.code_size, rank=0)

    def sampled(codes, spread):
        source = {"generator": {}, "codes": codes}
        return to_unit(sampling.sample_task(Showing(), source, key, 0, 300, mask, spread)[0])

    narrow, wide = (sampled(moments, spread) for spread in (1.0, 1.5))
    np.testing.assert_allclose(10 * narrow.std(), 1.0, atol=0.1)
    np.testing.assert_allclose(wide, 1.5 * narrow, atol=1.5 / 127.5)
    assert (wide != narrow).any()
    # Without moments they are of the codes that the generator was trained with.
    np.testing.assert_array_equal(sampled({}, 1.5), sampled({}, 1.0))


def test_at_another_turn_there_are_other_images_of_the_same_classes(key):
    mask, source = jnp.ones((1, 4), bool), {"generator": {}, "codes": {}}

    def sampled(*turn):
        sizes = 300, mask, 1.0, sampling.ONE_DEVICE
        return sampling.sample_task(Showing(), source, key, 0, *sizes, *turn)

    (x, u), *others = sampled(), sampled(1), sampled(2)
    assert_equal((x, u), sampled(0))
    for i, (y, v) in enumerate(others):
        np.testing.assert_array_equal(v, u)
        assert all((y != z).mean() > 0.9 for z, _ in [(x, u), *others[:i]])
