"""Each bad value is refused in one sentence that holds the key, the value and what may be there."""

import pytest
from conftest import small_config

from configs import default, mnist_fashion, quickstart, split_mnist
from lgaa_jax import config as configuration
from lgaa_jax.errors import UserError


@pytest.mark.parametrize(
    ("key", "bad", "message"),
    [
        (
            "strategy",
            "lgan",
            "strategy='lgan' cannot be used; it must be one of lgaa, finetune, joint",
        ),
        ("replay.mode", "offline", "replay.mode='offline' .* online, materialised"),
        ("replay.label", "x", "replay.label='x'"),
        ("replay.mode", "materialised", "replay.label='soft' .* where replay.mode is materialised"),
        ("replay.temperature", 0.0, "replay.temperature=0.0 .* above 0"),
        (
            "replay.fraction",
            "1.5",
            "replay.fraction='1.5' .* \"balanced\" or a number between 0 and 1",
        ),
        ("replay.fraction", "half", "replay.fraction='half'"),
        ("optim.critic.name", "sgd", "optim.critic.name='sgd' .* adam, rmsprop"),
        ("optim.inference.learning_rate", 0.0, "optim.inference.learning_rate=0.0 .* above 0"),
        ("optim.generator.b1", 1.0, "optim.generator.b1=1.0 .* below 1"),
        ("batch_size", 0, "batch_size=0 cannot be used; it must be above 0"),
        ("seed", -1, "seed=-1 .* 0 or more"),
        ("ema_decay", 1.0, "ema_decay=1.0"),
        ("net.dropout", 1.5, "net.dropout=1.5"),
        ("loss.n_critic", 0, "loss.n_critic=0"),
        ("loss.temperature", 0.0, "loss.temperature=0.0"),
        ("log.keep_checkpoints", 0, "log.keep_checkpoints=0"),
        ("max_tasks", -1, "max_tasks=-1 .* 0 or more"),
        (
            "max_tasks",
            1,
            "max_tasks=1 cannot be used; it must be 0 or at least 2, the number of tasks",
        ),
        ("steps_per_task", 0, "steps_per_task=0 .* or epochs_per_task must be"),
        ("model", "paper23", "model='paper23' is unknown"),
        ("data.size", 28, "data.size=28 does not fit"),
    ],
)
def test_a_bad_value_is_named(key, bad, message):
    with pytest.raises(UserError, match=message) as raised:
        configuration.check(small_config(**{key: bad}))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("fraction", ["balanced", "0.5"])
def test_good_fractions_are_read(fraction):
    expected = None if fraction == "balanced" else 0.5
    assert configuration.replay_fraction(small_config(**{"replay.fraction": fraction})) == expected


@pytest.mark.parametrize("config", [quickstart, split_mnist])
@pytest.mark.parametrize("preset", ["", "smoke"])
def test_the_other_configs_are_sound(config, preset):
    configuration.check(config.get_config(preset))
    with pytest.raises(ValueError, match="no preset 'big'; leave it out or use smoke"):
        config.get_config("big")


@pytest.mark.parametrize("preset", mnist_fashion.PRESETS)
def test_every_preset_of_mnist_fashion_is_sound(preset):
    c = mnist_fashion.get_config(preset)
    configuration.check(c)
    assert set(c.to_dict()) == set(default.get_config().to_dict())


def test_the_published_preset_differs_from_the_defaults_where_fidelity_says():
    c = mnist_fashion.get_config("published")
    assert (c.net.norm, c.loss.joint_inference, c.ema_decay, c.replay.mode) == (
        "affine",
        True,
        0.0,
        "materialised",
    )
    assert c.code_decay == c.loss.class_noise == 0.0
    assert (c.replay.label, c.replay.spread) == ("model", 1.0)
    assert c.optim.critic.name == c.optim.generator.name == "rmsprop"


def test_quickstart_and_its_smoke_preset_are_sound():
    for preset in ("", "smoke"):
        configuration.check(quickstart.get_config(preset))


@pytest.mark.parametrize("module", [quickstart, mnist_fashion])
def test_an_unknown_preset_is_refused(module):
    with pytest.raises(ValueError, match="no preset 'big'"):
        module.get_config("big")
