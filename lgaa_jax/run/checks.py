"""Checks of a config's values before anything is loaded or written."""

import ml_collections

from lgaa_jax.data.notation import split_tasks
from lgaa_jax.errors import require
from lgaa_jax.evaluation import inception
from lgaa_jax.evaluation.sample_metrics import NEIGHBOURS
from lgaa_jax.networks.nets import check_model
from lgaa_jax.training.batching import replay_fraction
from lgaa_jax.training.strategies import STRATEGIES

# Beginnings of the keys that may change when a run is resumed: they change nothing in training.
FREE_KEYS = ("log.", "eval.", "data.data_dir", "data.cache_dir")


CHOICES = {
    "strategy": tuple(STRATEGIES),
    "compute_dtype": ("float32", "bfloat16"),
    "replay.mode": ("online", "materialised"),
    "replay.label": ("soft", "model", "drawn"),
    "eval.generation": ("last", "each", "never"),
    **{
        f"optim.{phase}.name": ("adam", "rmsprop")
        for phase in ("critic", "generator", "autoencoder", "inference")
    },
}


POSITIVE = (
    "batch_size",
    "loss.temperature",
    "loss.n_critic",
    "replay.temperature",
    "replay.spread",
    "replay.pool_size",
    "replay.buffer_size",
    "eval.classifier_steps",
    "log.every",
    "log.checkpoint_every",
    "log.keep_checkpoints",
    "log.eval_batch",
    *(f"optim.{p}.learning_rate" for p in ("critic", "generator", "autoencoder", "inference")),
)


NOT_NEGATIVE = (
    "seed",
    "max_tasks",
    "num_classes",
    "steps_per_call",
    "steps_per_task",
    "epochs_per_task",
    "net.width",
    "net.critic_width",
    "net.class_width",
    "net.code_size",
    "loss.gp",
    "loss.info",
    "loss.beta",
    "loss.beta_u",
    "loss.beta_d",
    "loss.balance",
    "loss.class_noise",
)


BELOW_ONE = (
    "labelled_share",
    "ema_decay",
    "code_decay",
    "learning_rate_decay",
    "net.dropout",
    *(
        f"optim.{p}.{b}"
        for p in ("critic", "generator", "autoencoder", "inference")
        for b in ("b1", "b2")
    ),
)


def value(config: ml_collections.ConfigDict, key: str):
    """The value of a dotted key."""
    for part in key.split("."):
        config = config[part]
    return config


def check_config(config: ml_collections.ConfigDict) -> None:
    """Raises UserError, one sentence with the key, its value and what it may be."""
    for key, allowed in CHOICES.items():
        require(
            value(config, key) in allowed, key, value(config, key), "one of " + ", ".join(allowed)
        )
    for key in POSITIVE:
        require(value(config, key) > 0, key, value(config, key), "above 0")
    for key in NOT_NEGATIVE:
        require(value(config, key) >= 0, key, value(config, key), "0 or more")
    for key in BELOW_ONE:
        require(0 <= value(config, key) < 1, key, value(config, key), "at least 0 and below 1")
    require(
        config.steps_per_task > 0 or config.epochs_per_task > 0,
        "steps_per_task",
        config.steps_per_task,
        "above 0, or epochs_per_task must be",
    )
    named = len(split_tasks(config.tasks))
    require(
        config.max_tasks == 0 or config.max_tasks >= named,
        "max_tasks",
        config.max_tasks,
        f"0 or at least {named}, the number of tasks",
    )
    require(
        config.labels == "none" or not config.num_classes,
        "num_classes",
        config.num_classes,
        "0 unless labels is none",
    )
    require(config.eval.samples > NEIGHBOURS, "eval.samples", config.eval.samples, "at least 4")
    if config.eval.inception_weights:
        inception.check(config.eval.inception_weights)
    require(
        config.replay.label != "soft" or config.replay.mode == "online",
        "replay.label",
        config.replay.label,
        "model or drawn where replay.mode is materialised",
    )
    replay_fraction(config)
    check_model(config)
