"""Each bad value is refused in one sentence that holds the key, the value and what may be there."""

import importlib
import re
from pathlib import Path

import pytest
from conftest import small_config

from configs import (
    celeba_cacd,
    celeba_cacd_chairs_omniglot,
    celeba_chairs,
    default,
    mnist_fashion,
    mnist_svhn,
    quickstart,
    split_cifar10,
    split_fashion,
    split_mnist,
)
from lgaa_jax.data import folders, notation, sources
from lgaa_jax.errors import UserError
from lgaa_jax.networks.nets import build_nets
from lgaa_jax.run import checks
from lgaa_jax.run.free_keys import FREE_KEYS
from lgaa_jax.training.places import replay_fraction


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
        ("seed", 2**32, "seed=4294967296 .* at most 4294967295"),
        ("log.eval_batch", 2**31, r"log\.eval_batch=2147483648 .* at most 2147483647"),
        ("steps_per_task", 2**30, "steps_per_task=1073741824 .* at most 1073741823"),
        ("num_classes", -1, "num_classes=-1 .* 0 or more"),
        ("num_classes", 10, "num_classes=10 cannot be used; it must be 0 unless labels is none"),
        ("loss.balance", -1.0, "loss.balance=-1.0 .* 0 or more"),
        ("ema_decay", 1.0, "ema_decay=1.0"),
        ("labelled_share", 1.0, "labelled_share=1.0"),
        ("net.dropout", 1.5, "net.dropout=1.5"),
        ("loss.adversarial", "gan", "loss.adversarial='gan' .* wgan_gp, hinge, relativistic"),
        ("code_noise", -0.1, "code_noise=-0.1 .* 0 or more"),
        ("eval.split", "train", "eval.split='train' .* test, validation"),
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
        (
            "model",
            "paper23",
            "model='paper23' is unknown; choose one of residual, paper32, paper64",
        ),
        ("data.size", 28, "data.size=28 does not fit"),
    ],
)
def test_a_bad_value_is_named(key, bad, message):
    with pytest.raises(UserError, match=message) as raised:
        checks.check_config(small_config(**{key: bad}))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("fraction", ["balanced", "0.5"])
def test_good_fractions_are_read(fraction):
    expected = None if fraction == "balanced" else 0.5
    assert replay_fraction(small_config(**{"replay.fraction": fraction})) == expected


def presets():
    """Every config with each of its presets."""
    for path in sorted(Path(default.__file__).parent.glob("*.py")):
        if path.stem != "default":
            module = importlib.import_module(f"configs.{path.stem}")
            yield from (pytest.param(module, p, id=f"{path.stem}:{p}") for p in module.PRESETS)


@pytest.mark.parametrize(("module", "preset"), list(presets()))
def test_every_preset_is_sound(module, preset, no_network, tmp_path, monkeypatch):
    c = module.get_config(preset)
    checks.check_config(c)
    assert c.to_dict().keys() == default.get_config().to_dict().keys()
    nets = build_nets(c, num_classes=10, num_tasks=2)
    assert nets.image_shape == (c.data.size, c.data.size, c.data.channels)
    monkeypatch.chdir(tmp_path)
    for name in re.findall("folder:([^,]+)", c.tasks):
        for part in ("train", "test"):
            (tmp_path / name / part).mkdir(parents=True)
            (tmp_path / name / part / "image.png").touch()
    specs = notation.parse_tasks(c.tasks)
    assert all(spec.source in sources.SOURCES or folders.is_folder(spec.source) for spec in specs)
    assert not c.data.crop or len(c.data.crop.split(",")) == len(specs)
    if preset == "smoke":
        assert (c.data.size, c.steps_per_task, c.net.width, c.loss.n_critic) == (16, 5, 8, 1)
    assert {"", "small", "smoke"} <= set(module.PRESETS)


@pytest.mark.parametrize("module", [celeba_cacd, celeba_chairs, celeba_cacd_chairs_omniglot])
def test_64x64_images_are_trained_as_published_where_that_is_asked_for(module):
    wide, small = module.get_config(), module.get_config("small")
    c = module.get_config("published")
    assert (c.model, c.data.size, c.loss.n_critic, c.labels) == ("paper64", 64, 5, "none")
    for other in (wide, small):
        assert (other.model, other.data.size, other.loss.n_critic) == ("residual", 64, 1)
    assert wide.epochs_per_task == c.epochs_per_task == 20
    assert wide.net.width > small.net.width


@pytest.mark.parametrize("module", [quickstart, split_mnist, split_fashion, split_cifar10])
def test_what_is_small_already_has_the_same_preset_small(module):
    assert module.get_config("small").to_dict() == module.get_config().to_dict()
    assert not module.get_config().model.startswith("paper")


def test_the_published_preset_differs_from_the_defaults_where_fidelity_says():
    c = mnist_fashion.get_config("published")
    assert (c.model, c.data.channels, c.loss.adversarial) == ("paper32", 3, "wgan_gp")
    assert (c.loss.beta, c.net.projection) == (1.0, False)
    assert (c.net.norm, c.loss.joint_inference, c.ema_decay, c.replay.mode) == (
        "affine",
        True,
        0.0,
        "materialised",
    )
    assert c.code_decay == c.loss.class_noise == 0.0
    assert (c.replay.label, c.replay.spread) == ("model", 1.0)
    assert c.optim.critic.name == c.optim.generator.name == "rmsprop"
    assert c.optim.autoencoder.b2 == 0.999
    assert mnist_svhn.get_config("published").eval.confidence == 0.0


@pytest.mark.parametrize("module", [quickstart, mnist_fashion])
def test_an_unknown_preset_is_refused(module):
    with pytest.raises(ValueError, match=r"no preset 'big'; leave it out or use .*small, smoke"):
        module.get_config("big")


def test_every_key_that_may_change_exists_and_none_of_log_and_eval_was_forgotten():
    """Of the others of these sections, a change is refused: it would change training."""
    config = default.get_config()
    for key in FREE_KEYS:
        checks.value(config, key)
    sections = {f"{name}.{key}" for name in ("log", "eval") for key in config[name]}
    assert sections - FREE_KEYS.keys() == {"eval.split"}
