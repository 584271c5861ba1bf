"""Checks of a config's values before anything is loaded or written."""

from typing import Any

import ml_collections

from lgaa_jax.data import ahead
from lgaa_jax.data.notation import split_tasks
from lgaa_jax.data.streaming import most_bytes
from lgaa_jax.errors import UserError, require
from lgaa_jax.evaluation import inception
from lgaa_jax.evaluation.sample_metrics import NEIGHBOURS
from lgaa_jax.networks.nets import check_model
from lgaa_jax.training import adversarial
from lgaa_jax.training.places import replay_fraction
from lgaa_jax.training.strategies import STRATEGIES
from lgaa_jax.workdir.metadata import dotted, plain_config

CHOICES = {
    "strategy": tuple(STRATEGIES),
    "compute_dtype": ("float32", "bfloat16"),
    "loss.adversarial": adversarial.KINDS,
    "replay.mode": ("online", "materialised"),
    "replay.label": ("soft", "model", "drawn"),
    "eval.split": ("test", "validation"),
    "eval.generation": ("last", "each", "never"),
    **{
        f"optim.{phase}.name": ("adam", "rmsprop")
        for phase in ("critic", "generator", "autoencoder", "inference")
    },
}
POSITIVE = (
    "batch_size",
    "code_modes",
    "code_spread",
    "loss.temperature",
    "loss.n_critic",
    "replay.temperature",
    "replay.spread",
    "replay.pool_size",
    "replay.buffer_size",
    "eval.every",
    "eval.classifier_steps",
    "retry_rate",
    "log.every",
    "log.checkpoint_every",
    "log.keep_checkpoints",
    "log.eval_batch",
    *(f"optim.{p}.learning_rate" for p in ("critic", "generator", "autoencoder", "inference")),
)
NOT_NEGATIVE = (
    "seed",
    "devices",
    "data.workers",
    "max_tasks",
    "num_classes",
    "retries",
    "steps_per_call",
    "steps_per_task",
    "epochs_per_task",
    "code_noise",
    "code_rank",
    "net.width",
    "net.critic_width",
    "net.class_width",
    "net.class_full",
    "net.code_size",
    "loss.gp",
    "loss.r1",
    "loss.r2",
    "loss.info",
    "loss.beta",
    "loss.chroma",
    "loss.beta_u",
    "loss.beta_d",
    "loss.balance",
    "loss.class_noise",
    "loss.class_shift",
)
BELOW_ONE = (
    "labelled_share",
    "ema_decay",
    "code_decay",
    "retry_rate",
    "learning_rate_warmup",
    "learning_rate_decay",
    "net.dropout",
    "eval.confidence",
    *(
        f"optim.{p}.{b}"
        for p in ("critic", "generator", "autoencoder", "inference")
        for b in ("b1", "b2")
    ),
)
TEXT = ("tasks", "labels", "data.data_dir", "data.crop", "data.cache_dir", "data.streaming")
MAX_SEED = 2**32 - 1  # JAX makes its key of 32 bits
MOST = 2**31 - 1  # of other whole numbers: steps, sizes and counts are int32 in the program


def value(config: ml_collections.ConfigDict, key: str) -> Any:
    """The value of a dotted key; UserError where the config has none."""
    found: Any = config
    for part in key.split("."):
        if not isinstance(found, ml_collections.ConfigDict) or part not in found:
            raise UserError(
                f"the config has no key {key!r}; let it begin from default.get_config() of "
                "configs/default.py, which has them all."
            )
        found = found[part]
    return found


def _number(config: ml_collections.ConfigDict, key: str, wanted: str) -> float:
    found = value(config, key)
    # nan compares as neither above nor below anything.
    number = isinstance(found, int | float) and not isinstance(found, bool) and found == found
    require(number, key, found, f"a number, {wanted}")
    return found


def check_config(config: ml_collections.ConfigDict) -> None:
    """Raises UserError, one sentence with the key, its value and what it may be."""
    for key, allowed in CHOICES.items():
        found = value(config, key)
        require(found in allowed, key, found, "one of " + ", ".join(allowed))
    for key in POSITIVE:
        require(_number(config, key, "above 0") > 0, key, value(config, key), "above 0")
    for key in NOT_NEGATIVE:
        require(_number(config, key, "0 or more") >= 0, key, value(config, key), "0 or more")
    for key in BELOW_ONE:
        wanted = "at least 0 and below 1"
        require(0 <= _number(config, key, wanted) < 1, key, value(config, key), wanted)
    for key in TEXT:
        require(isinstance(value(config, key), str), key, value(config, key), "a text")
    for key, found in dotted(plain_config(config)).items():
        most = MAX_SEED if key == "seed" else MOST
        require(not isinstance(found, int) or found <= most, key, found, f"at most {most}")
    _check_schedule(config)
    require(
        config.labels == "none" or not config.num_classes,
        "num_classes",
        config.num_classes,
        "0 unless labels is none",
    )
    samples = _number(config, "eval.samples", "at least 4")
    require(samples > NEIGHBOURS, "eval.samples", samples, "at least 4")
    if value(config, "eval.inception_weights"):
        inception.check(config.eval.inception_weights)
    require(
        config.replay.label != "soft" or config.replay.mode == "online",
        "replay.label",
        config.replay.label,
        "model or drawn where replay.mode is materialised",
    )
    replay_fraction(config)
    most_bytes(config.data.streaming)
    ahead.check(config.data.workers)
    check_model(config)


def _check_schedule(config: ml_collections.ConfigDict) -> None:
    require(
        config.steps_per_task > 0 or config.epochs_per_task > 0,
        "steps_per_task",
        config.steps_per_task,
        "above 0, or epochs_per_task must be",
    )
    named = len(split_tasks(config.tasks))
    most = MOST // max(named, 1)  # the steps of all tasks are counted together
    require(
        config.steps_per_task <= most, "steps_per_task", config.steps_per_task, f"at most {most}"
    )
    require(
        config.max_tasks == 0 or config.max_tasks >= named,
        "max_tasks",
        config.max_tasks,
        f"0 or at least {named}, the number of tasks",
    )
