"""The residual networks: form, initialisation, and what they keep of an image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import default
from lgaa_jax.networks import ops
from lgaa_jax.networks.nets import build_nets
from lgaa_jax.networks.resampling import from_patches
from lgaa_jax.networks.residual import Block, Critic, num_maps, smooth
from lgaa_jax.training.losses import gradient_penalty


def make(**changes):
    c = default.get_config()
    changes = {"net.width": 8, "net.code_size": 12, "net.projection": False, **changes}
    c.update_from_flattened_dict(changes)
    return build_nets(c, 10, 2)


def all_outputs(nets, params, x):
    """Image, score, mean and deviation."""
    mean, std = nets.apply("encoder", params, x)
    u, d = jnp.ones((len(x), 10)), jnp.ones((len(x), 2))
    image = nets.apply("generator", params, mean, u, d)
    return image, nets.apply("critic", params, x), mean, std


@pytest.mark.parametrize(("size", "channels", "width"), [(16, 1, 3), (32, 3, 8), (64, 1, 5)])
def test_every_size_channel_and_width_is_mapped_without_a_convolution_at_full_resolution(
    key, size, channels, width
):
    nets = make(**{"data.size": size, "data.channels": channels, "net.width": width})
    x = jax.ShapeDtypeStruct((5, size, size, channels), jnp.float32)
    params = jax.eval_shape(nets.init, key)
    got = jax.eval_shape(lambda p, y: all_outputs(nets, p, y), params, x)
    assert [y.shape for y in got] == [x.shape, (5,), (5, 12), (5, 12)]
    program = jax.make_jaxpr(lambda p, y: all_outputs(nets, p, y))(params, x)
    assert max(convolution_heights(program.jaxpr)) == size // 2


def inner_programs(equation):
    """The programs that an operation of a program calls."""
    inner = (getattr(value, "jaxpr", value) for value in equation.params.values())
    return [program for program in inner if hasattr(program, "eqns")]


def convolution_heights(jaxpr):
    """The heights of the maps that the convolutions of a program make."""
    heights = []
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            heights.append(equation.outvars[0].aval.shape[1])
        for inner in inner_programs(equation):
            heights += convolution_heights(inner)
    return heights


def test_the_smallest_map_is_4x4_at_every_size():
    assert [num_maps(size) for size in (16, 32, 64)] == [2, 3, 4]


def test_a_block_begins_as_its_skip(key):
    x = jax.random.normal(key, (2, 4, 4, 8))
    block = Block(8, "group")
    np.testing.assert_array_equal(block.apply(block.init(key, x), x), x)
    for resize, shape in (("double", (2, 8, 8, 6)), ("halve", (2, 2, 2, 6))):
        block = Block(6, "group", resize)
        variables = block.init(key, x)
        y = block.apply(variables, x)
        kernel = variables["params"]["Conv_2"]["kernel"][0, 0]  # of the skip
        assert y.shape == shape
        np.testing.assert_allclose(y.mean((1, 2)), x.mean((1, 2)) @ kernel, rtol=1e-4, atol=1e-5)


def test_weights_have_the_variance_of_their_fan_in_and_biases_are_zero(key):
    variables = Block(16, "group").init(key, jnp.zeros((1, 4, 4, 32)))
    first, last, _ = (variables["params"][f"Conv_{i}"] for i in range(3))
    np.testing.assert_allclose(np.std(first["kernel"]), (9 * 32) ** -0.5, rtol=0.05)
    assert not first["bias"].any()
    assert not last["kernel"].any()


def test_an_image_begins_as_a_bilinear_doubling_of_colours(key):
    """Against Pillow, away from the border, where the convolution sees zeros."""
    colours = np.random.default_rng(0).normal(size=(6, 6, 1)).astype(np.float32)
    kernel = smooth(key, (3, 3, 1, 4))
    factor = float(kernel[1, 1].sum()) / (4 * 0.75**2)
    patches = ops.conv(jnp.asarray(colours[None]), kernel)
    got = from_patches(patches, 2)[0, 2:-2, 2:-2, 0]
    image = Image.fromarray(colours[..., 0]).resize((12, 12), Image.BILINEAR)
    np.testing.assert_allclose(got, factor * np.asarray(image)[2:-2, 2:-2], rtol=1e-4, atol=1e-5)


def test_brightness_and_colour_reach_code_and_score(key):
    """A group norm on the first layer would make plain images of all colours nearly one."""
    nets = make(**{"data.channels": 3})
    params = jax.jit(nets.init)(key)
    colours = jnp.array([[0.9, -0.9, -0.9], [-0.9, 0.9, -0.9], [0.1, 0.1, 0.1], [0.9, 0.9, 0.9]])
    x = jnp.broadcast_to(colours[:, None, None], (4, 16, 16, 3))
    _, score, mean, _ = jax.jit(lambda p, y: all_outputs(nets, p, y))(params, x)
    apart = jnp.linalg.norm(mean[:, None] - mean[None], axis=-1) + 10 * jnp.eye(4)
    assert apart.min() > 0.1
    assert np.ptp(score) > 0.1


def test_the_gradient_penalty_differentiates_as_with_plain_convolutions(key, monkeypatch):
    critic = Critic((8, 4), "group")
    x, fake = jax.random.normal(key, (2, 3, 16, 16, 1))
    params = critic.init(key, x)
    # The last convolutions begin at zero and would hide what lies before them.
    params = jax.tree.map(lambda a: a + 0.1 * jax.random.normal(key, a.shape), params)

    def gradients():
        def loss(params):
            return jnp.mean(gradient_penalty(lambda y: critic.apply(params, y), x, fake, key))

        return jax.jit(jax.grad(loss))(params)

    fast = gradients()
    monkeypatch.setattr(ops, "conv", lambda x, w, stride=1: ops.plain_conv(x, w, stride))
    plain = gradients()
    for ours, theirs in zip(jax.tree.leaves(fast), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_the_class_model_sees_single_pixels_and_has_dropout_in_training_only(key):
    nets = make()
    params = jax.jit(nets.init)(key)["class"]
    x = jnp.zeros((2, 16, 16, 1)).at[1, 7, 9].set(1.0)
    apply = jax.jit(lambda p, y: nets.class_model.apply({"params": p}, y))
    logits = apply(params, x)
    assert logits.shape == (2, 10)
    assert (np.abs(logits[1] - logits[0]) > 1e-4).all()

    def dropped(seed):
        keys = {"dropout": jax.random.key(seed)}
        return nets.class_model.apply({"params": params}, x, train=True, rngs=keys)

    assert (np.asarray(dropped(0)) != np.asarray(dropped(1))).any()


@pytest.mark.parametrize(("size", "maps"), [(16, [8, 4]), (32, [16, 8, 4])])
def test_the_class_model_pools_down_to_4x4(key, size, maps):
    nets = make(**{"data.size": size})
    x = jnp.zeros((1, size, size, 1))
    program = jax.make_jaxpr(lambda p, y: nets.class_model.apply({"params": p}, y))(
        jax.eval_shape(nets.init, key)["class"], x
    )
    heights = convolution_heights(program.jaxpr)
    assert sorted({*heights}, reverse=True) == [size, *maps]
    assert (heights.count(size) == 1) == (size > 16)  # of small images blocks are at full size too


def test_the_class_model_can_pool_small_images_first_as_earlier_versions_did(key):
    earlier = make(**{"net.class_full": 0}).class_model
    params = jax.eval_shape(earlier.init, key, jnp.zeros((1, 16, 16, 1)))["params"]
    kernels = {name: p["kernel"].shape for name, p in params.items() if "Conv" in name}
    assert kernels["Conv_1"] == (3, 3, 16, 32)  # twice the width after the first pooling
