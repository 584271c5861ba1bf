"""The presets of the networks, and the networks of a run together.

Sizes: B examples, H x W x C images, Z content code, U classes, N tasks.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections

from lgaa_jax.errors import UserError
from lgaa_jax.networks import residual
from lgaa_jax.networks.layers import ClassNetwork
from lgaa_jax.networks.modules import ClassModel, Critic, DomainModel, Encoder, Generator

Params = dict[str, Any]  # by network


@dataclasses.dataclass(frozen=True)
class Preset:
    """Sizes of the networks of one preset."""

    sizes: tuple[int, ...]  # heights of the square images that it takes
    channels: tuple[int, ...]  # of the images that it takes
    width: int  # channels of the encoder's first convolution
    class_width: int  # channels of the first convolution of the class model
    code_size: int
    # Channels of the generator, in widths: of its first map and after each doubling up to an image
    # smaller than `LARGE`. Residual networks have the last of these, as many as `num_maps` says.
    stages: tuple[int, ...]
    domain_hidden: tuple[int, ...]  # features of the domain model's hidden layers
    residual: bool = False  # networks/residual.py, not the published layers
    critic_part: float = 1.0  # channels of the critic's first convolution over the encoder's


PRESETS = {
    "residual": Preset(
        (16, 32, 64), (1, 3), 32, 16, 64, (4, 4, 2, 1), (64, 64), residual=True, critic_part=0.5
    ),
    "paper32": Preset((32,), (3,), 64, 32, 256, (4, 4, 4), (200, 100)),
    "paper64": Preset((64,), (3,), 64, 32, 256, (4, 4, 4), (400,)),
}
LARGE = 64  # images of this size take one doubling more than `Preset.stages` has


@dataclasses.dataclass(frozen=True)
class Nets:
    """The networks of a run and the sizes they share. `class_model` is None when U = 0."""

    generator: Generator | residual.Generator
    encoder: Encoder | residual.Encoder
    critic: Critic | residual.Critic
    class_model: ClassNetwork | None
    domain: DomainModel
    image_shape: tuple[int, int, int]
    code_size: int
    num_classes: int
    num_tasks: int

    def apply(self, network: str, params: Params, *inputs: jax.Array, **options: Any) -> Any:
        """The output of one network from the parameters of all; see `init` for the names.

        options: keyword arguments of the network and of Linen's `apply`.
        """
        module: nn.Module = getattr(self, "class_model" if network == "class" else network)
        return module.apply({"params": params[network]}, *inputs, **options)

    def critic_codes(self, u: jax.Array, d: jax.Array) -> tuple[jax.Array, ...]:
        """What D reads beside the image: nothing, or u and d, one-hot where they are not below 0.

        u, d: [B] int32 -> [B, U] and [B, N], or ().
        """
        if not getattr(self.critic, "projection", False):
            return ()
        return jax.nn.one_hot(u, self.num_classes), jax.nn.one_hot(d, self.num_tasks)

    def init(self, key: jax.Array) -> Params:
        """Initial parameters by network: generator, critic, encoder, domain; class if U > 0."""
        keys = jax.random.split(key, 5)
        x = jnp.zeros((1, *self.image_shape))
        z = jnp.zeros((1, self.code_size))
        u, d = jnp.zeros((1, self.num_classes)), jnp.zeros((1, self.num_tasks))
        none = jnp.full(1, -1)
        codes = self.critic_codes(none, none)
        params = {
            "generator": self.generator.init(keys[0], z, u, d)["params"],
            "critic": self.critic.init(keys[1], x, *codes)["params"],
            "encoder": self.encoder.init(keys[2], x)["params"],
            "domain": self.domain.init(keys[3], z)["params"],
        }
        if self.class_model is not None:
            params["class"] = self.class_model.init(keys[4], x)["params"]
        return params


def check_model(config: ml_collections.ConfigDict) -> None:
    """Raises UserError where `config` names networks that cannot be built."""
    if config.model not in PRESETS:
        raise UserError(f"model={config.model!r} is unknown; choose one of {', '.join(PRESETS)}.")
    preset = PRESETS[config.model]
    for name, value, allowed in (
        ("data.size", config.data.size, preset.sizes),
        ("data.channels", config.data.channels, preset.channels),
        ("net.norm", config.net.norm, ("group", "affine")),
        ("net.projection", config.net.projection, (False, True)[: 1 + preset.residual]),
    ):
        if value not in allowed:
            choices = " or ".join(map(str, allowed))
            raise UserError(
                f"{name}={value!r} does not fit model={config.model!r}; it takes {choices}."
            )


def _generator(
    image_shape: tuple[int, int, int], channels: tuple[int, ...], norm: str, dtype: str
) -> Generator:
    """The generator with these channels and, for a large image, one doubling more.

    As published, the last doubling of a large image halves the channels and no convolution follows.
    """
    refined = len(channels) - 1
    if image_shape[0] >= LARGE:
        channels = (*channels, max(1, channels[-1] // 2))
    return Generator(image_shape, channels, refined, norm, dtype)


def _image_networks(
    config: ml_collections.ConfigDict, image_shape: tuple[int, int, int], code_size: int
) -> dict[str, Any]:
    """Generator, encoder and critic, of the family and the widths that `config` names."""
    preset, norm, dtype = PRESETS[config.model], config.net.norm, config.compute_dtype
    width = config.net.width or preset.width
    critic_width = config.net.critic_width or max(1, round(preset.critic_part * width))
    if not preset.residual:
        channels = tuple(width * stage for stage in preset.stages)
        return {
            "generator": _generator(image_shape, channels, norm, dtype),
            "encoder": Encoder(code_size, width, norm, dtype),
            "critic": Critic(critic_width, dtype),
        }
    stages = preset.stages[-residual.num_maps(image_shape[0]) :]
    channels, critic_channels = (
        tuple(w * stage for stage in stages) for w in (width, critic_width)
    )
    return {
        "generator": residual.Generator(image_shape, channels, norm, dtype),
        "encoder": residual.Encoder(code_size, channels, norm, dtype),
        "critic": residual.Critic(critic_channels, norm, config.net.projection, dtype),
    }


def build_nets(config: ml_collections.ConfigDict, num_classes: int, num_tasks: int) -> Nets:
    """The networks that `config` asks for, for U = `num_classes` and N = `num_tasks`."""
    check_model(config)
    preset, net, dtype = PRESETS[config.model], config.net, config.compute_dtype
    code_size = net.code_size or preset.code_size
    image_shape = (config.data.size, config.data.size, config.data.channels)
    class_width = net.class_width or preset.class_width
    given = num_classes, class_width, net.dropout, dtype
    class_model: ClassNetwork = ClassModel(*given)
    if preset.residual:
        class_model = residual.ClassModel(*given, net.class_full)
    return Nets(
        **_image_networks(config, image_shape, code_size),
        class_model=class_model if num_classes else None,
        domain=DomainModel(num_tasks, preset.domain_hidden, dtype),
        image_shape=image_shape,
        code_size=code_size,
        num_classes=num_classes,
        num_tasks=num_tasks,
    )
