"""What a GPU or a TPU would compile, lowered on this machine: nothing in it runs on the host."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export as jax_export

from configs import default
from lgaa_jax.data.images import to_unit, to_unsigned
from lgaa_jax.evaluation.inference import reconstruct
from lgaa_jax.evaluation.split_metrics import likeness
from lgaa_jax.networks.nets import build_nets
from lgaa_jax.training import sampling
from lgaa_jax.training.batch import Pool
from lgaa_jax.training.codes import init_codes, update_codes
from lgaa_jax.training.devices import ONE_DEVICE
from lgaa_jax.training.learner import build_learner
from lgaa_jax.training.replay import replay_spec
from lgaa_jax.training.train_step import make_train_steps

CLASSES, TASKS, STEPS, IMAGES = 10, 2, 50, 1000
PLATFORMS = ("cuda", "tpu")
# The libraries of a platform that programs call: for the moments of the codes.
CALLS = {"cuda": {"cusolver_potrf_ffi"}, "tpu": set()}


def config_of(preset, dtype):
    """The default config, or the published one at 32 or 64 pixels, at full size."""
    c = default.get_config()
    if preset != "default":
        c.data.size = int(preset.removeprefix("paper"))
        default.published(c)
    c.compute_dtype = dtype
    return c


def form(*shape, dtype="float32"):
    return jax.ShapeDtypeStruct(shape, dtype)


def programs(c):
    """Training, evaluation and sampling: functions and the forms of their arguments."""
    nets = build_nets(c, CLASSES, TASKS)
    mask = jnp.ones((TASKS, CLASSES), bool)
    spec = replay_spec(c, mask)
    learner = build_learner(c, nets, spec, (1000, 2000), c.batch_size // 2)
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(learner.init, key)
    image, whole = nets.image_shape, functools.partial(form, dtype="int32")
    pool = Pool(form(IMAGES, *image, dtype="uint8"), whole(IMAGES), whole(IMAGES))
    b = c.log.eval_batch
    images = form(b, *image, dtype="uint8")

    def evaluate(params, images):
        x, u, d = reconstruct(nets, params, mask, images)
        return likeness(to_unsigned(to_unit(images)), to_unsigned(x)), u, d

    def sample(source, key, task):
        return sampling._sample_chunk(nets, source, (key, key), task, mask, 1.0, ONE_DEVICE)

    return {
        "training": (
            make_train_steps(learner.train_step),
            (state, key, pool, whole(STEPS, c.batch_size), whole(), whole()),
        ),
        "evaluation": (evaluate, (state.evaluated, images)),
        "sampling": (sample, (state.sampler, key, whole())),
    }


@pytest.mark.parametrize(
    ("preset", "dtype"),
    [
        ("default", "float32"),
        pytest.param("default", "bfloat16", marks=pytest.mark.slow),
        pytest.param("paper32", "float32", marks=pytest.mark.slow),
        pytest.param("paper32", "bfloat16", marks=pytest.mark.slow),
        pytest.param("paper64", "float32", marks=pytest.mark.slow),
        pytest.param("paper64", "bfloat16", marks=pytest.mark.slow),
    ],
)
def test_all_that_a_run_computes_lowers_for_gpus_and_tpus(preset, dtype):
    c = config_of(preset, dtype)
    for name, (function, arguments) in programs(c).items():
        traced = jax.jit(function)  # once for all platforms
        for platform in PLATFORMS:
            exported = jax_export.export(traced, platforms=[platform])(*arguments)
            text = exported.mlir_module()
            calls = set(re.findall(r"custom_call @(\w+)", text))
            assert calls <= CALLS[platform], (name, platform, calls)
            assert not re.search(r"callback|infeed|outfeed|stablehlo\.(send|recv)", text)
            convolutions = re.findall(r"stablehlo\.convolution.* -> tensor<[\dx]+x(\w+)>", text)
            assert convolutions.count("bf16" if dtype == "bfloat16" else "f32") > 3
            assert ("bf16" in convolutions) == (dtype == "bfloat16")
            floats = {a.dtype for a in exported.out_avals if jnp.issubdtype(a.dtype, jnp.floating)}
            assert floats <= {np.dtype("float32")}


def test_so_do_the_moments_of_the_codes_of_a_long_run():
    """They are of another form than those of few classes."""
    codes = jax.eval_shape(lambda: init_codes(100, CLASSES, 64, 0))
    assert "loadings" in codes
    rows = form(64, dtype="int32"), form(64, dtype="int32"), form(64, dtype="bool")
    traced = jax.jit(functools.partial(update_codes, decay=0.998))
    for platform in PLATFORMS:
        exported = jax_export.export(traced, platforms=[platform])(codes, form(64, 64), *rows)
        assert set(re.findall(r"custom_call @(\w+)", exported.mlir_module())) <= CALLS[platform]
