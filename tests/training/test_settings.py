"""What the environment may say of JAX changes no bit of a run."""

import jax
import jax.numpy as jnp
import pytest
from conftest import BATCH_SIZE, assert_equal, make_batch

from lgaa_jax.training.sampling import sample_task
from lgaa_jax.training.settings import fixed_settings
from lgaa_jax.training.state import begin_task

ELSEWISE = (
    lambda: jax.enable_x64(True),
    lambda: jax.default_prng_impl("rbg"),
    lambda: jax.threefry_partitionable(False),
    lambda: jax.numpy_dtype_promotion("strict"),
)


@pytest.mark.ci
def test_within_fixed_settings_a_state_a_step_and_samples_are_the_same_bits(system):
    @fixed_settings()
    def facts():
        state, key = begin_task(system.init()), jax.random.key(7)
        batch = make_batch(task=1, num_real=BATCH_SIZE // 2)
        after = jax.jit(system.train_step)(state, key, batch)
        return after, sample_task(system.nets, state.replay, key, 0, 10, system.spec.class_mask)

    expected = facts()
    for setting in ELSEWISE:
        with setting():
            assert_equal(facts(), expected)


def test_outside_of_them_the_environment_decides():
    def facts():
        return jnp.zeros(1).dtype, jax.random.key_impl(jax.random.key(0))

    with jax.enable_x64(True), jax.default_prng_impl("rbg"):
        assert facts() == (jnp.float64, "rbg")
        with fixed_settings():
            assert facts() == (jnp.float32, "threefry2x32")
        assert facts() == (jnp.float64, "rbg")
