"""The constants of a training step, and which networks its phases train."""

import dataclasses
from collections.abc import Mapping

import ml_collections

from lgaa_jax.networks.nets import Nets
from lgaa_jax.training.strategies import STRATEGIES


@dataclasses.dataclass(frozen=True)
class Hyper:
    """The constants of a step, read from the config once."""

    adversarial_loss: str
    gp: float
    r1: float
    r2: float
    info: float
    beta: float
    chroma: float
    beta_u: float
    beta_d: float
    balance: float
    temperature: float
    joint_inference: bool
    infers_classes: bool  # whether q(u|x) has to find the classes without labels
    class_noise: float
    class_shift: float
    n_critic: int
    ema_decay: float
    code_decay: float
    code_noise: float
    code_spread: float
    soft_labels: bool  # whether replayed images may have soft labels
    soft_temperature: float
    adversarial: bool  # whether a step takes phases 1 and 2
    autoencodes: bool  # whether a step takes phase 3
    decays: Mapping[str, tuple[float, float]]  # b1 and b2 of each phase's optimiser
    num_replay: int  # most examples of a batch that a step fills with replay


def read_hyper(config: ml_collections.ConfigDict, num_replay: int) -> Hyper:
    """The constants of a step from `config`; `num_replay` as `Batches.num_replay` counts them."""
    strategy = STRATEGIES[config.strategy]
    weights = {key: value for key, value in config.loss.items() if key != "adversarial"}
    return Hyper(
        **weights,
        adversarial_loss=config.loss.adversarial,
        infers_classes=config.num_classes > 0,
        ema_decay=config.ema_decay,
        code_decay=config.code_decay,
        code_noise=config.code_noise,
        code_spread=config.code_spread,
        soft_labels=config.replay.label == "soft" and num_replay > 0,
        soft_temperature=config.replay.temperature,
        adversarial=strategy.adversarial,
        autoencodes=strategy.autoencodes,
        decays={phase: (optim.b1, optim.b2) for phase, optim in config.optim.items()},
        num_replay=num_replay,
    )


def trained_networks(nets: Nets, hyper: Hyper) -> dict[str, tuple[str, ...]]:
    """The networks that each phase trains, by the phases that a step takes."""
    inferred = ("domain",) if nets.class_model is None else ("class", "domain")
    phases: dict[str, tuple[str, ...]] = {"inference": inferred}
    if hyper.adversarial:
        phases |= {"critic": ("critic",), "generator": ("generator",)}
    if hyper.autoencodes:
        classes = ("class",) if hyper.infers_classes else ()
        also = inferred if hyper.joint_inference else classes
        phases["autoencoder"] = ("encoder", "generator", *also)
    return phases
