"""What is fast equals `jax.lax`: values, gradients and the gradient penalty's gradient."""

import collections
import re
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export as jax_export
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lgaa_jax.networks import ops, sums

# (height, width, inputs, outputs, kernel, stride)
CONVS = [
    (2, 6, 3, 4, 3, 2),
    (5, 4, 1, 2, 5, 1),
    (4, 6, 1, 2, 5, 2),
    (6, 4, 3, 2, 1, 2),
    (6, 4, 4, 2, 3, 1),
]


def normal(*shape):
    return jnp.asarray(np.random.default_rng(sum(shape)).normal(size=shape), jnp.float32)


def facts(f, x, w):
    """Value, both gradients, and both gradients of the squared norm of the one in x."""

    def loss(x, w):
        y = f(x, w)
        return jnp.sum(jnp.sin(y)), y

    def penalty(x, w):
        grads, y = jax.grad(loss, (0, 1), has_aux=True)(x, w)
        return jnp.sum(grads[0] ** 2), (y, grads)

    return jax.grad(penalty, (0, 1), has_aux=True)(x, w)


def assert_same(actual, desired):
    for a, d in zip(jax.tree.leaves(actual), jax.tree.leaves(desired), strict=True):
        assert a.shape == d.shape
        assert a.dtype == d.dtype
        np.testing.assert_allclose(a, d, rtol=1e-4, atol=1e-5 * float(jnp.abs(d).max()))


def check(fast, plain, x, w):
    run = jax.jit(lambda x, w: (facts(fast, x, w), facts(plain, x, w)))
    assert_same(*run(x, w))


@pytest.mark.parametrize(("h", "width", "i", "o", "k", "stride"), CONVS)
def test_conv_and_its_derivatives_equal_lax(h, width, i, o, k, stride):
    fast, plain = (partial(f, stride=stride) for f in (ops.conv, ops.plain_conv))
    check(fast, plain, normal(4, h, width, i), normal(k, k, i, o))


def test_scaling_and_sums_by_channel_and_their_derivatives_equal_plain_ones():
    x, scale, shift, bias = normal(3, 6, 4, 5), normal(3, 5), normal(5, 3).T, normal(5)

    def fast(x, scale):
        y = sums.scale_shift(sums.add_bias(x, bias), scale, shift)
        return y * sums.fast_channel_sum(x**2)[:, None, None]

    def plain(x, scale):
        y = (x + bias[None, None, None]) * scale[:, None, None] + shift[:, None, None]
        return y * jnp.sum(x**2, (1, 2))[:, None, None]

    check(fast, plain, x, scale)

    def summands(f):
        return jax.grad(lambda *summands: jnp.sum(jnp.sin(f(*summands))), (0, 1))(shift, bias)

    fast, plain = (
        summands(lambda shift, bias: sums.scale_shift(sums.add_bias(x, bias), scale, shift)),
        summands(lambda s, b: (x + b[None, None, None]) * scale[:, None, None] + s[:, None, None]),
    )
    assert_same(fast, plain)


@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (2, 4, 4, 1), (1, 1, 1, 2)])
def test_channel_sum_is_the_sum_for_any_number_of_pixels(shape):
    x = normal(*shape)
    np.testing.assert_allclose(sums.channel_sum(x), np.sum(x, (1, 2)), rtol=1e-5, atol=1e-5)


def test_sums_over_bfloat16_pixels_are_float32():
    x = jnp.ones((1, 32, 32, 2), jnp.bfloat16)  # summed in bfloat16 the count stops at 256
    assert sums.channel_sum(x).dtype == jnp.float32
    np.testing.assert_array_equal(sums.channel_sum(x), 1024.0)
    ones, zeros = jnp.ones((1, 2), jnp.bfloat16), jnp.zeros((1, 2), jnp.bfloat16)
    grads = jax.grad(lambda *a: jnp.sum(sums.scale_shift(x, *a).astype(jnp.float32)), (0, 1))
    for grad in grads(ones, zeros):
        assert grad.dtype == jnp.bfloat16
        np.testing.assert_array_equal(grad.astype(jnp.float32), 1024.0)


def test_conv_transpose_and_its_derivatives_equal_lax():
    x, w = normal(4, 5, 3, 2), normal(3, 3, 2, 4)
    assert ops.conv_transpose(x, w).shape == (4, 10, 6, 4)
    check(ops.conv_transpose, ops.plain_conv_transpose, x, w)


def test_the_kernel_gradient_differentiates_as_that_of_lax():
    x, w = normal(4, 4, 6, 2), normal(3, 3, 2, 3)

    def penalty(f, x, w):
        return jnp.sum(jax.grad(lambda w: jnp.sum(jnp.sin(f(x, w, 2))))(w) ** 2)

    grad = jax.jit(jax.grad(penalty, (1, 2)), static_argnums=0)
    assert_same(grad(ops.conv, x, w), grad(ops.plain_conv, x, w))


def convolutions(function, platform):
    """The convolutions of a function lowered for a platform: dimensions and windows, counted."""
    given = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2, 8, 8, 3), (3, 3, 3, 2))]
    text = jax_export.export(jax.jit(function), platforms=[platform])(*given).mlir_module()
    return collections.Counter(re.findall(r"dim_numbers = (\S.*?window = \{.*?\}) \{", text))


def test_the_platform_of_the_program_is_asked_and_not_the_machine_that_lowers_it():
    """For CUDA and TPU the convolutions are those that `jax.lax` derives.

    A gradient of gradients is made of the same three, where `jax.lax` has further forms of them.
    """
    ours, plain = (partial(f, stride=2) for f in (ops.conv, ops.plain_conv))

    def gradients(f):
        return lambda x, w: jax.vjp(f, x, w)[1](f(x, w))

    expected = convolutions(gradients(plain), "cuda")
    assert expected.total() == 3
    for platform in ("cuda", "tpu"):
        assert convolutions(gradients(ours), platform) == expected
        assert convolutions(partial(facts, ours), platform).keys() == expected.keys()
    assert not convolutions(gradients(ours), "cpu").keys() & (expected - convolutions(plain, "cpu"))


def test_a_transposed_convolution_is_four_on_a_cpu_and_elsewhere_one():
    for platform, count in (("cpu", 4), ("cuda", 1), ("tpu", 1)):
        found = convolutions(ops.conv_transpose, platform)
        assert found.total() == count
        assert any("lhs_dilate = [2, 2]" in each for each in found) == (platform != "cpu")


def test_sums_are_in_two_stages_for_a_cpu_alone():
    x = jax.ShapeDtypeStruct((2, 4, 4, 3), jnp.float32)
    sums_of = {
        platform: jax_export.export(jax.jit(sums.channel_sum), platforms=[platform])(x)
        .mlir_module()
        .count("stablehlo.reduce")
        for platform in ("cpu", "cuda", "tpu")
    }
    assert sums_of == {"cpu": 2, "cuda": 1, "tpu": 1}


def test_public_functions_equal_lax():
    x, w = normal(2, 6, 6, 3), normal(3, 3, 3, 2)
    assert_same(ops.conv(x, w), ops.plain_conv(x, w, 1))
    assert_same(ops.conv(x, w, 2), ops.plain_conv(x, w, 2))
    assert_same(ops.conv_transpose(x, w), ops.plain_conv_transpose(x, w))


def test_bfloat16_stays_bfloat16():
    x, w = normal(2, 8, 8, 3).astype(jnp.bfloat16), normal(3, 3, 3, 4).astype(jnp.bfloat16)

    def loss(f, x, w):
        return jnp.sum(f(x, w, 2).astype(jnp.float32) ** 2)

    grad = jax.jit(jax.grad(loss, (1, 2)), static_argnums=0)
    fast, plain = (grad(f, x, w) for f in (ops.conv, ops.plain_conv))
    for a, d in zip(fast, plain, strict=True):
        assert a.dtype == jnp.bfloat16
        np.testing.assert_allclose(a.astype(jnp.float32), d.astype(jnp.float32), rtol=0.1, atol=0.5)


def test_gradients_under_vmap_scan_and_a_split_batch():
    x, w = normal(8, 4, 4, 2), normal(3, 3, 2, 3)
    fast, plain = (
        jax.jit(jax.grad(lambda w, x, f=f: jnp.sum(jnp.sin(f(x, w, 2)))))
        for f in (ops.conv, ops.plain_conv)
    )
    expected = plain(w, x)
    each = jax.vmap(fast, (None, 0))(w, x[:, None])
    assert_same(each.sum(0), expected)
    assert_same(jax.lax.scan(lambda w, _: (fast(w, x), None), w, None, length=1)[0], expected)
    split = NamedSharding(Mesh(np.array(jax.devices()), ("data",)), PartitionSpec("data"))
    assert_same(fast(w, jax.device_put(x, split)), expected)


@pytest.mark.parametrize("shape", [(1, 7, 8, 3), (1, 8, 7, 3)])
def test_odd_sizes_are_refused(shape):
    with pytest.raises(ValueError, match="even height and width"):
        ops.conv(jnp.zeros(shape), jnp.zeros((3, 3, 3, 2)), 2)
    with pytest.raises(ValueError, match="even height and width"):
        ops.max_pool(jnp.zeros(shape))


@pytest.mark.parametrize(
    ("kernel", "stride", "message"), [((2, 2), 1, "odd"), ((3, 5), 1, "square"), ((3, 3), 3, "3")]
)
def test_other_kernels_and_strides_are_refused(kernel, stride, message):
    with pytest.raises(ValueError, match=message):
        ops.conv(jnp.zeros((1, 12, 12, 3)), jnp.zeros((*kernel, 3, 2)), stride)


def test_other_transposed_kernels_are_refused():
    with pytest.raises(ValueError, match="3x3"):
        ops.conv_transpose(jnp.zeros((1, 4, 4, 3)), jnp.zeros((5, 5, 3, 2)))


def test_max_pool_equals_flax_where_there_are_no_ties():
    x = jnp.asarray(np.random.default_rng(0).permutation(3 * 6 * 4 * 2), jnp.float32) / 100
    x = x.reshape(3, 6, 4, 2)
    flax_pool = partial(nn.max_pool, window_shape=(2, 2), strides=(2, 2))
    ours, theirs = (
        jax.value_and_grad(lambda x, f=f: jnp.sum(jnp.sin(f(x))))(x)
        for f in (ops.max_pool, flax_pool)
    )
    np.testing.assert_array_equal(ops.max_pool(x), flax_pool(x))
    assert_same(ours, theirs)


def test_compiler_options_are_those_that_xla_knows(monkeypatch):
    monkeypatch.setattr(ops, "CPU_OPTIONS", {"xla_cpu_no_such_option": "1"})
    ops.compiler_options.cache_clear()
    assert ops.compiler_options() == {}
    monkeypatch.undo()
    ops.compiler_options.cache_clear()
    options = ops.compiler_options()
    assert float(jax.jit(lambda x: 2 * x, compiler_options=options)(1.0)) == 2.0
