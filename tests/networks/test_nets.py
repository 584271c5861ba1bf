"""Shapes, ranges, per-example normalisation and the parameter counts of the published networks."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import default
from lgaa_jax.errors import UserError
from lgaa_jax.networks import layers
from lgaa_jax.networks.nets import build_nets

FORMS = {"residual": (16, 1), "paper32": (32, 3), "paper64": (64, 3)}  # size and channels


def make(num_classes=10, num_tasks=2, model="residual", **changes):
    c = default.get_config()
    size, channels = FORMS[model]
    form = {"model": model, "data.size": size, "data.channels": channels}
    narrow = {"net.width": 8, "net.code_size": 12, "net.projection": False}
    c.update_from_flattened_dict(form | narrow | changes)
    return build_nets(c, num_classes, num_tasks)


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_paper32_has_the_parameter_counts_of_the_published_networks():
    """Published: Z = 200, a plain affine for batch norm, ten classes, two tasks."""
    nets = make(
        model="paper32",
        **{
            "net.width": 0,
            "net.code_size": 200,
            "net.norm": "affine",
        },
    )
    params = jax.eval_shape(nets.init, jax.random.key(0))
    assert {name: count(tree) for name, tree in params.items()} == {
        "generator": 5_859_587,
        "encoder": 4_061_072,
        "class": 4_259_274,
        "domain": 60_502,
        "critic": 3_652_097,
    }


def test_paper64_has_the_parameter_counts_of_its_layers():
    """By hand, for Z = 256, no classes, two tasks: (inputs + 1) * outputs, a scale and a shift."""
    changes = {"net.width": 0, "net.code_size": 0}
    nets = make(num_classes=0, model="paper64", **changes)
    params = jax.eval_shape(nets.init, jax.random.key(0))

    def conv(inputs, outputs, norm=True):
        return (9 * inputs + 1) * outputs + 2 * outputs * norm

    trunk = conv(3, 64) + conv(64, 128) + conv(128, 256) + conv(256, 512)
    trunk += (4 * 4 * 512 + 1) * 1024
    first = (256 + 2 + 1) * 8 * 8 * 256 + 2 * 256
    assert {name: count(tree) for name, tree in params.items()} == {
        "generator": first + 4 * conv(256, 256) + conv(256, 128) + conv(128, 3, norm=False),
        "encoder": trunk + 2 * (1024 + 1) * 256,
        "critic": trunk + 1024 + 1,
        "domain": (256 + 1) * 400 + (400 + 1) * 2,
    }
    assert count(params["generator"]) == 6_905_091
    assert count(params["encoder"]) == 10_467_328


def outputs(nets, params, x):
    """Every network applied once."""
    mean, std = nets.encoder.apply({"params": params["encoder"]}, x)
    rows = jnp.arange(len(x))
    codes = jax.nn.one_hot(rows, nets.num_classes), jax.nn.one_hot(rows % 2, 2)
    return {
        "std": std,
        "domain": nets.domain.apply({"params": params["domain"]}, mean),
        "image": nets.generator.apply({"params": params["generator"]}, mean, *codes),
        "score": nets.critic.apply({"params": params["critic"]}, x),
        "class": nets.class_model.apply({"params": params["class"]}, x),
    }


@pytest.mark.parametrize("model", FORMS)
def test_all_networks_share_one_code_size(key, model):
    nets = make(model=model)
    x = jax.ShapeDtypeStruct((3, *nets.image_shape), jnp.float32)
    got = jax.eval_shape(lambda k, y: outputs(nets, nets.init(k), y), key, x)
    assert {name: y.shape for name, y in got.items()} == {
        "std": (3, 12),
        "domain": (3, 2),
        "image": x.shape,
        "score": (3,),
        "class": (3, 10),
    }


def test_a_larger_image_adds_a_doubling_and_leaves_the_layers_before_it_as_they_are(key):
    """From paper32 to paper64: the first map is 8x8 in both."""
    smaller, larger = (
        jax.eval_shape(make(model=model, **{"net.width": 4}).init, key)["generator"]
        for model in ("paper32", "paper64")
    )
    assert larger.keys() - smaller.keys() == {"ConvUp_2", "GroupNorm_5"}
    assert larger["ConvUp_2"]["kernel"].shape == (3, 3, 16, 8)
    to_image = [net.pop("Conv_2")["kernel"].shape for net in (smaller, larger)]
    assert to_image == [(3, 3, 16, 3), (3, 3, 8, 3)]
    assert smaller == {name: larger[name] for name in smaller}


@pytest.mark.parametrize(
    ("model", "norm"),
    [
        ("residual", "group"),
        pytest.param("paper32", "group", marks=pytest.mark.ci),
        pytest.param("paper32", "affine", marks=pytest.mark.ci),
    ],
)
def test_a_row_does_not_depend_on_the_other_rows_of_its_batch(key, model, norm):
    nets = make(model=model, **{"net.norm": norm})
    params = jax.jit(nets.init)(key)
    x = jax.random.uniform(key, (4, *nets.image_shape), minval=-1.0)
    # As arguments: constants of this size make the compiler fold them for seconds.
    apply = jax.jit(lambda p, y: outputs(nets, p, y))
    whole, others_changed = apply(params, x), apply(params, x.at[1:].multiply(-1.0))
    for name, y in whole.items():
        np.testing.assert_allclose(y[:1], others_changed[name][:1], atol=1e-6)
        assert (np.asarray(y[1:]) != np.asarray(others_changed[name][1:])).any()
    assert (whole["std"] > 0).all()
    assert np.abs(whole["image"]).max() <= 1


def test_the_generator_reads_all_three_codes(key):
    nets = make()
    params = jax.jit(nets.init)(key)["generator"]
    z, u, d = jnp.ones((1, 12)), jnp.zeros((1, 10)), jnp.zeros((1, 2))

    def pixels(params, z, u, d):
        return nets.generator.apply({"params": params}, z, u, d).sum()

    for gradient in jax.jit(jax.grad(pixels, argnums=(1, 2, 3)))(params, z, u, d):
        assert (np.abs(gradient) > 0).all()


@pytest.mark.parametrize("groups", [1, 3])
def test_group_norm_and_its_gradients_equal_those_of_flax(groups, key):
    keys = jax.random.split(key, 3)
    x = 3.0 + jax.random.normal(keys[0], (4, 6, 5, 12))
    params = {"scale": jax.random.normal(keys[1], (12,)), "bias": jax.random.normal(keys[2], (12,))}

    def facts(module):
        def loss(params, x):
            y = module.apply({"params": params}, x)
            return jnp.sum(jnp.sin(y)), y

        return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(params, x)

    ours, theirs = facts(layers.GroupNorm(groups)), facts(nn.GroupNorm(num_groups=groups))
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("groups", [1, 3])
def test_group_norm_in_bfloat16_is_as_exact_as_that_of_flax(groups, key):
    """Where the mean is 32 deviations from 0; in bfloat16 the shift alone would err by .1."""
    x = (32.0 + jax.random.normal(key, (4, 8, 8, 12))).astype(jnp.bfloat16)
    params = {"scale": jnp.ones(12), "bias": jnp.full(12, 0.1, jnp.float32)}
    ours = layers.GroupNorm(groups).apply({"params": params}, x)
    theirs = nn.GroupNorm(groups, dtype=jnp.bfloat16).apply({"params": params}, x)
    exact = np.float64(x).reshape(4, 64, groups, -1)
    exact = exact - exact.mean((1, 3), keepdims=True)
    exact = (exact / np.sqrt(np.square(exact).mean((1, 3), keepdims=True))).reshape(x.shape) + 0.1
    errors = [np.abs(np.float64(y) - exact).max() for y in (ours, theirs)]
    assert ours.dtype == theirs.dtype == jnp.bfloat16
    assert errors[0] <= 1.05 * errors[1] < 0.02


def test_the_affine_norm_in_bfloat16_rounds_once():
    x = jnp.linspace(30, 34, 64).reshape(1, 4, 4, 4).astype(jnp.bfloat16)
    params = {"scale": jnp.full(4, 1.01, jnp.float32), "bias": jnp.full(4, -32.1, jnp.float32)}
    y = layers.Affine().apply({"params": params}, x)
    exact = np.float64(x) * np.float64(np.float32(1.01)) + np.float64(np.float32(-32.1))
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float64(y), exact, rtol=2**-8, atol=1e-5)


@pytest.mark.parametrize("model", ["residual", pytest.param("paper32", marks=pytest.mark.ci)])
def test_under_bfloat16_the_heads_compute_in_float32(key, model):
    """Their inputs are bfloat16; what follows is exact to the precision of float32."""
    nets = make(model=model, compute_dtype="bfloat16")
    params = jax.jit(nets.init)(key)
    x = jax.random.uniform(key, (3, *nets.image_shape), minval=-1.0)

    def within(network, module, *given):
        """The output of a network and that of one of its layers."""
        output, state = nets.apply(network, params, *given, capture_intermediates=True)
        return output, state["intermediates"][module]["__call__"][0]

    def head(network, layer, hidden):
        assert hidden.dtype == jnp.bfloat16
        own = params[network][layer]
        return np.float64(hidden) @ np.float64(own["kernel"]) + np.float64(own["bias"])

    score, hidden = within("critic", "Trunk_0", x)
    np.testing.assert_allclose(score, head("critic", "Dense_0", hidden)[:, 0], rtol=1e-5)
    (mean, std), hidden = within("encoder", "Trunk_0", x)
    np.testing.assert_allclose(mean, head("encoder", "Dense_0", hidden), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(std, np.log1p(np.exp(head("encoder", "Dense_1", hidden))), rtol=1e-5)
    logits, hidden = within("domain", "Dense_1", mean)
    np.testing.assert_allclose(
        logits, head("domain", "Dense_2", nn.relu(hidden)), rtol=1e-4, atol=1e-6
    )
    logits, hidden = within("class", "Dropout_0", x)
    last = "Dense_0" if model == "residual" else "Dense_1"
    np.testing.assert_allclose(logits, head("class", last, hidden), rtol=1e-4, atol=1e-6)


def test_without_classes_there_is_no_class_model(key):
    nets = make(num_classes=0)
    params = jax.eval_shape(nets.init, key)
    assert nets.class_model is None
    assert "class" not in params
    first = params["generator"]["Dense_0"]["kernel"]
    assert first.shape[0] == nets.code_size + nets.num_tasks


def test_dropout_acts_in_training_only(key):
    nets = make()
    variables = {"params": jax.jit(nets.init)(key)["class"]}
    x = jax.random.uniform(key, (3, 16, 16, 1), minval=-1.0)
    still = [nets.class_model.apply(variables, x) for _ in range(2)]
    np.testing.assert_array_equal(*still)
    dropped = [
        nets.class_model.apply(variables, x, train=True, rngs={"dropout": jax.random.key(i)})
        for i in range(2)
    ]
    assert (np.asarray(dropped[0]) != np.asarray(dropped[1])).any()


def test_published_weights_begin_normal_with_deviation_002_and_biases_zero(key):
    params = jax.jit(make(model="paper32", **{"net.width": 16}).init)(key)["encoder"]
    kernel = params["Trunk_0"]["Conv_3"]["kernel"]
    np.testing.assert_allclose(np.std(kernel), 0.02, rtol=0.05)
    assert not params["Trunk_0"]["Conv_3"]["bias"].any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.size": 28}, "data.size=28 does not fit model='residual'; it takes 16 or 32 or 64"),
        ({"data.channels": 2}, "data.channels=2 does not fit"),
        ({"model": "paper32", "data.size": 16}, "data.size=16 .* model='paper32'; it takes 32"),
        ({"model": "paper64", "data.size": 16}, "data.size=16 .* model='paper64'; it takes 64"),
        ({"model": "paper64", "net.projection": True}, "net.projection=True .* it takes False"),
        ({"net.norm": "batch"}, "net.norm='batch' does not fit"),
    ],
)
def test_what_cannot_be_built_is_said_with_its_value(changes, message):
    with pytest.raises(UserError, match=message):
        make(**changes)
