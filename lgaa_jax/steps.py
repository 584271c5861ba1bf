"""One training step: four phases, each `state -> state` (docs/fidelity.md gives the equations)."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_collections
import optax

from lgaa_jax import losses, replay
from lgaa_jax.models import Nets
from lgaa_jax.replay import Batch, one_hot
from lgaa_jax.state import TrainState

Metrics = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Hyper:
    """The constants of a step, read from the config once."""

    gp: float
    info: float
    beta: float
    beta_u: float
    beta_d: float
    temperature: float
    joint_inference: bool
    n_critic: int
    ema_decay: float
    replay_rows: int  # most rows of a batch that replay fills; 0: the batch comes complete
    replay_label: str


def hyper(config: ml_collections.ConfigDict, replay_rows: int) -> Hyper:
    """The constants of a step from `config`; `replay_rows` as `batches.Source` counts them."""
    return Hyper(
        **config.loss,
        ema_decay=config.ema_decay,
        replay_rows=replay_rows,
        replay_label=config.replay.label,
    )


def phases(nets: Nets, hp: Hyper) -> dict[str, tuple[str, ...]]:
    """The networks that each phase trains."""
    inferred = ("domain",) if nets.class_model is None else ("class", "domain")
    return {
        "critic": ("critic",),
        "generator": ("generator",),
        "autoencoder": ("encoder", "generator") + (inferred if hp.joint_inference else ()),
        "inference": inferred,
    }


def _optimiser(name: str, learning_rate: float, b1: float, b2: float) -> optax.GradientTransformation:
    if name == "rmsprop":
        return optax.rmsprop(learning_rate, decay=b2, momentum=b1 or None)
    return optax.adam(learning_rate, b1=b1, b2=b2)


def optimisers(config: ml_collections.ConfigDict) -> dict[str, optax.GradientTransformation]:
    """One optimiser per phase."""
    return {phase: _optimiser(**settings) for phase, settings in config.optim.items()}


@dataclasses.dataclass(frozen=True)
class Phases:
    """The four phases over fixed networks, optimisers and constants; holds no arrays that train."""

    nets: Nets
    tx: dict[str, optax.GradientTransformation]
    hp: Hyper

    def _apply(self, network: str, params: dict, *args, **kwargs):
        module = {"class": self.nets.class_model}.get(network) or getattr(self.nets, network)
        return module.apply({"params": params[network]}, *args, **kwargs)

    def _descend(self, state: TrainState, phase: str, grads: dict) -> TrainState:
        """One optimiser update of the networks in `grads`."""
        own = {name: state.params[name] for name in grads}
        updates, opt = self.tx[phase].update(grads, state.opt[phase], own)
        params = {**state.params, **optax.apply_updates(own, updates)}
        return state.replace(params=params, opt={**state.opt, phase: opt})

    def _own(self, state: TrainState, phase: str) -> dict:
        return {name: state.params[name] for name in phases(self.nets, self.hp)[phase]}

    def critic(self, state: TrainState, key, x, fake) -> tuple[TrainState, Metrics]:
        """Phase 1: mean D(fake) - mean D(x) + lambda_gp * gradient penalty (Gulrajani et al. 2017)."""

        def objective(own):
            def score(images):
                return self._apply("critic", own, images)

            # One forward over both sets is one larger convolution instead of two small ones.
            fake_score, real_score = jnp.split(score(jnp.concatenate([fake, x])), 2)
            distance = jnp.mean(real_score) - jnp.mean(fake_score)
            penalty = jnp.mean(losses.gradient_penalty(score, x, fake, key))
            loss = self.hp.gp * penalty - distance
            return loss, {"loss/critic": loss, "wasserstein": distance, "gradient_penalty": penalty}

        grads, metrics = jax.grad(objective, has_aux=True)(self._own(state, "critic"))
        return self._descend(state, "critic", grads), metrics

    def generator(self, state: TrainState, fake, pullback, u, d) -> tuple[TrainState, Metrics]:
        """Phase 2: -mean D(G) + lambda_info * [CE(q(u|G), u) + CE(q(d|z'), d)], z' encoded from G.

        fake, pullback: G(z, u, d) and its vector-Jacobian product at the present parameters.
        """

        def objective(images):
            adversarial = -jnp.mean(self._apply("critic", state.params, images))
            code, _ = self._apply("encoder", state.params, images)
            info = jnp.mean(losses.cross_entropy(self._apply("domain", state.params, code), d))
            metrics = {"loss/generator": adversarial, "info/domain": info}
            if self.nets.class_model is not None:
                logits = self._apply("class", state.params, images)
                metrics["info/class"] = jnp.mean(losses.cross_entropy(logits, u))
                info += metrics["info/class"]
            return adversarial + self.hp.info * info, metrics

        grad_images, metrics = jax.grad(objective, has_aux=True)(fake)
        (grads,) = pullback(grad_images)
        return self._descend(state, "generator", {"generator": grads}), metrics

    def autoencoder(self, state: TrainState, key, x) -> tuple[TrainState, Metrics, jax.Array]:
        """Phase 3: ||x - G(z~, u~, d~)||^2 + beta KL_z [+ beta_u KL_u] + beta_d KL_d, mean over rows.

        Also returns z~ [B, Z], for phase 4.
        """
        key_z, key_u, key_d = jax.random.split(key, 3)
        hp = self.hp

        def objective(own):
            params = {**state.params, **own}
            mean, std = self._apply("encoder", params, x)
            z = mean + std * jax.random.normal(key_z, mean.shape)
            logits_d = self._apply("domain", params, z)
            d = losses.gumbel_softmax(key_d, logits_d, hp.temperature)
            u = jnp.zeros((x.shape[0], 0))
            kl = {"z": losses.kl_normal(mean, std), "d": losses.kl_uniform(logits_d)}
            weight = {"z": hp.beta, "d": hp.beta_d}
            if self.nets.class_model is not None:
                logits_u = self._apply("class", params, x)
                u = losses.gumbel_softmax(key_u, logits_u, hp.temperature)
                if hp.joint_inference:
                    kl["u"], weight["u"] = losses.kl_uniform(logits_u), hp.beta_u
            x_rec = self._apply("generator", params, z, u, d)
            terms = {f"kl/{name}": jnp.mean(value) for name, value in kl.items()}
            error = jnp.mean(losses.reconstruction(x, x_rec))
            loss = error + sum(weight[name] * terms[f"kl/{name}"] for name in weight)
            return loss, ({"loss/autoencoder": loss, "loss/reconstruction": error, **terms}, z)

        grads, (metrics, z) = jax.grad(objective, has_aux=True)(self._own(state, "autoencoder"))
        return self._descend(state, "autoencoder", grads), metrics, z

    def inference(self, state: TrainState, key, x, u, d, z) -> tuple[TrainState, Metrics]:
        """Phase 4: CE(q(u|x), u) over the rows that carry a label, plus CE(q(d|z~), d)."""
        labelled = jnp.maximum(jnp.sum(u >= 0), 1).astype(jnp.float32)

        def objective(own):
            loss = jnp.mean(losses.cross_entropy(self._apply("domain", own, z), d))
            metrics = {"loss/domain": loss}
            if self.nets.class_model is not None:
                logits = self._apply("class", own, x, train=True, rngs={"dropout": key})
                metrics["loss/class"] = jnp.sum(losses.cross_entropy(logits, u)) / labelled
                loss += metrics["loss/class"]
            return loss, metrics

        grads, metrics = jax.grad(objective, has_aux=True)(self._own(state, "inference"))
        return self._descend(state, "inference", grads), metrics


def update_ema(state: TrainState, decay: float) -> TrainState:
    """Moves the averaged generator; the decay warms up so that the start is soon forgotten."""
    if not state.ema:
        return state
    step = state.step.astype(jnp.float32)
    rate = 1.0 - jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    ema = jax.tree.map(lambda a, p: a + rate * (p - a), state.ema, state.params["generator"])
    return state.replace(ema=ema)


def make_train_step(
    nets: Nets, tx: dict[str, optax.GradientTransformation], hp: Hyper, class_mask: jax.Array
) -> Callable[[TrainState, jax.Array, Batch], tuple[TrainState, Metrics]]:
    """The step `(state, run_key, batch) -> (state, metrics)`.

    class_mask: [N, U] bool, the classes that each task has. What changes between tasks is in the
    state and the batch, so one compiled program serves the whole run.
    """
    phase = Phases(nets, tx, hp)

    def draw_fake(params, key, u, d):
        key_z, key_u = jax.random.split(key)
        u = jnp.where(u >= 0, u, replay.draw_classes(key_u, d, class_mask))
        z = jax.random.normal(key_z, (u.shape[0], nets.code_size))
        codes = one_hot(u, nets.num_classes), one_hot(d, nets.num_tasks)
        fake, pullback = jax.vjp(
            lambda p: nets.generator.apply({"params": p}, z, *codes), params["generator"]
        )
        return fake, pullback, u

    def train_step(state: TrainState, run_key: jax.Array, batch: Batch):
        key = jax.random.fold_in(run_key, state.step)
        key_replay, key_critic, key_autoencoder, key_inference = jax.random.split(key, 4)
        if hp.replay_rows:
            x, u, d = replay.mix(
                nets, state, key_replay, batch, hp.replay_rows, class_mask, hp.replay_label
            )
        else:
            x, u, d = replay.to_unit(batch.x), batch.u, batch.d

        for key_i in jax.random.split(key_critic, hp.n_critic):
            key_fake, key_gp = jax.random.split(key_i)
            fake, pullback, u_fake = draw_fake(state.params, key_fake, u, d)
            state, critic_metrics = phase.critic(state, key_gp, x, fake)
        # The generator has not moved: the last fake batch serves its own phase too.
        state, generator_metrics = phase.generator(state, fake, pullback, u_fake, d)
        state, autoencoder_metrics, z = phase.autoencoder(state, key_autoencoder, x)
        state, inference_metrics = phase.inference(state, key_inference, x, u, d, z)
        state = update_ema(state, hp.ema_decay)
        metrics = critic_metrics | generator_metrics | autoencoder_metrics | inference_metrics
        metrics = {f"train/{name}": value for name, value in metrics.items()}
        return state.replace(step=state.step + 1), metrics

    return train_step
