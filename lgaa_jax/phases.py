"""The four phases of a training step, each `state -> state` (docs/fidelity.md, the equations)."""

import dataclasses

import jax
import jax.numpy as jnp
import ml_collections
import optax

from lgaa_jax import losses
from lgaa_jax.models import Nets
from lgaa_jax.state import TrainState
from lgaa_jax.strategies import STRATEGIES

Metrics = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Hyper:
    """The constants of a step, read from the config once."""

    gp: float
    info: float
    beta: float
    beta_u: float
    beta_d: float
    balance: float
    temperature: float
    joint_inference: bool
    infers_classes: bool  # whether q(u|x) has to find the classes, without a label to go by
    class_noise: float
    n_critic: int
    ema_decay: float
    code_decay: float
    soft_labels: bool  # whether a step meets rows with a soft label
    soft_temperature: float
    adversarial: bool  # whether a step takes phases 1 and 2
    autoencodes: bool  # whether a step takes phase 3
    replay_rows: int  # most rows of a batch that replay fills; 0: the batch comes complete


def hyper(config: ml_collections.ConfigDict, replay_rows: int) -> Hyper:
    """The constants of a step from `config`; `replay_rows` as `batches.Source` counts them."""
    strategy = STRATEGIES[config.strategy]
    return Hyper(
        **config.loss,
        infers_classes=config.num_classes > 0,
        ema_decay=config.ema_decay,
        code_decay=config.code_decay,
        soft_labels=config.replay.label == "soft" and replay_rows > 0,
        soft_temperature=config.replay.temperature,
        adversarial=strategy.adversarial,
        autoencodes=strategy.autoencodes,
        replay_rows=replay_rows,
    )


def trained_networks(nets: Nets, hp: Hyper) -> dict[str, tuple[str, ...]]:
    """The networks that each phase trains, by the phases that a step takes."""
    inferred = ("domain",) if nets.class_model is None else ("class", "domain")
    phases = {"inference": inferred}
    if hp.adversarial:
        phases |= {"critic": ("critic",), "generator": ("generator",)}
    if hp.autoencodes:
        found = inferred if hp.joint_inference else ("class",) if hp.infers_classes else ()
        phases["autoencoder"] = ("encoder", "generator", *found)
    return phases


@dataclasses.dataclass(frozen=True)
class Phases:
    """The four phases over fixed networks, optimisers and constants; holds no arrays that train."""

    nets: Nets
    tx: dict[str, optax.GradientTransformation]
    hp: Hyper

    def _descend(self, state: TrainState, phase: str, grads: dict) -> TrainState:
        """One optimiser update of the networks in `grads`."""
        own = {name: state.params[name] for name in grads}
        updates, opt = self.tx[phase].update(grads, state.opt[phase], own)
        params = {**state.params, **optax.apply_updates(own, updates)}
        return state.replace(params=params, opt={**state.opt, phase: opt})

    def _own(self, state: TrainState, phase: str) -> dict:
        return {name: state.params[name] for name in trained_networks(self.nets, self.hp)[phase]}

    def critic(self, state: TrainState, key, x, fake) -> tuple[TrainState, Metrics]:
        """Phase 1: mean D(fake) - mean D(x) + lambda_gp * gradient penalty."""

        def objective(own):
            def score(images):
                return self.nets.apply("critic", own, images)

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
            adversarial = -jnp.mean(self.nets.apply("critic", state.params, images))
            code, _ = self.nets.apply("encoder", state.params, images)
            info = jnp.mean(losses.cross_entropy(self.nets.apply("domain", state.params, code), d))
            metrics = {"loss/generator": adversarial, "info/domain": info}
            if self.nets.class_model is not None:
                logits = self.nets.apply("class", state.params, images)
                metrics["info/class"] = jnp.mean(losses.cross_entropy(logits, u))
                info += metrics["info/class"]
            return adversarial + self.hp.info * info, metrics

        grad_images, metrics = jax.grad(objective, has_aux=True)(fake)
        (grads,) = pullback(grad_images)
        return self._descend(state, "generator", {"generator": grads}), metrics

    def code(self, params: dict, key, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """z~ by the reparameterisation, and the mean and deviation of q(z|x): [B, Z] each."""
        mean, std = self.nets.apply("encoder", params, x)
        return mean + std * jax.random.normal(key, mean.shape), mean, std

    def classes(self, params: dict, x: jax.Array) -> jax.Array:
        """The most probable class of each image: [B] int32."""
        return jnp.argmax(self.nets.apply("class", params, x), axis=-1).astype(jnp.int32)

    def autoencoder(
        self, state: TrainState, key, x, classed
    ) -> tuple[TrainState, Metrics, jax.Array]:
        """Phase 3: |x - G(z~, u~, d~)|^2 + beta KL_z [+ beta_u KL_u] + beta_d KL_d, row mean.

        classed: [B] bool, whether the row's task has classes; u~ and KL_u are 0 where it has none.
        Also returns z~ [B, Z], for phase 4.
        """
        key_z, key_u, key_d = jax.random.split(key, 3)
        hp = self.hp

        def objective(own):
            params = {**state.params, **own}
            z, mean, std = self.code(params, key_z, x)
            logits_d = self.nets.apply("domain", params, z)
            d = losses.gumbel_softmax(key_d, logits_d, hp.temperature)
            u = jnp.zeros((x.shape[0], 0))
            kl = {"z": losses.kl_normal(mean, std), "d": losses.kl_uniform(logits_d)}
            weight = {"z": hp.beta, "d": hp.beta_d}
            if self.nets.class_model is not None:
                logits_u = self.nets.apply("class", params, x)
                u = losses.gumbel_softmax(key_u, logits_u, hp.temperature)
                u = jnp.where(classed[:, None], u, 0.0)
                if hp.joint_inference or hp.infers_classes:
                    kl["u"] = jnp.where(classed, losses.kl_uniform(logits_u), 0.0)
                    weight["u"] = hp.beta_u
            x_rec = self.nets.apply("generator", params, z, u, d)
            terms = {f"kl/{name}": jnp.mean(value) for name, value in kl.items()}
            error = jnp.mean(losses.reconstruction(x, x_rec))
            loss = error + sum(weight[name] * terms[f"kl/{name}"] for name in weight)
            return loss, ({"loss/autoencoder": loss, "loss/reconstruction": error, **terms}, z)

        grads, (metrics, z) = jax.grad(objective, has_aux=True)(self._own(state, "autoencoder"))
        return self._descend(state, "autoencoder", grads), metrics, z

    def inference(
        self, state: TrainState, key, x, u, d, z, soft, fake=None
    ) -> tuple[TrainState, Metrics]:
        """Phase 4: the terms of q(u|x), see `_class_terms`, plus CE(q(d|z~), d).

        The class model sees x with noise. fake: images drawn of G and the classes that were asked
        for; they tell q(u|x) what a class is where no label does.
        """
        key_noise, key = jax.random.split(key)
        if fake is not None:
            x = jnp.concatenate([x, fake[0]])
        if self.hp.class_noise:
            x += self.hp.class_noise * jax.random.normal(key_noise, x.shape)

        def objective(own):
            loss = jnp.mean(losses.cross_entropy(self.nets.apply("domain", own, z), d))
            metrics = {"loss/domain": loss}
            if self.nets.class_model is not None:
                logits = self.nets.apply("class", own, x, train=True, rngs={"dropout": key})
                terms, loss_u = self._class_terms(logits, u, soft, fake)
                metrics |= terms
                loss += loss_u
            return loss, metrics

        grads, metrics = jax.grad(objective, has_aux=True)(self._own(state, "inference"))
        return self._descend(state, "inference", grads), metrics

    def _class_terms(self, logits, u, soft, fake) -> tuple[Metrics, jax.Array]:
        """CE(q(u|x), u) over the rows that carry a label, and what makes up for labels; their sum.

        A row that has a soft label is held to that instead of u. Where classes are to be found,
        balance * KL(mean of q(u|x) over the rows without a label to uniform) is added and, with a
        fake batch, lambda_info * CE(q(u|G), u). logits: of the batch, then of the fake one.
        """
        logits, of_fake = logits[: len(u)], logits[len(u) :]
        error = losses.cross_entropy(logits, u)
        if self.hp.soft_labels:
            distilled = losses.distillation(logits, soft, self.hp.soft_temperature)
            error = jnp.where(jnp.sum(soft, axis=-1) > 0, distilled, error)
        labelled = jnp.maximum(jnp.sum(u >= 0), 1).astype(jnp.float32)
        terms = {"loss/class": jnp.sum(error) / labelled}
        loss = terms["loss/class"]
        if self.hp.infers_classes:
            terms["kl/balance"] = losses.kl_uniform(losses.mean_logits(logits, u < 0))
            loss += self.hp.balance * terms["kl/balance"]
        if fake is not None:
            terms["loss/asked"] = jnp.mean(losses.cross_entropy(of_fake, fake[1]))
            loss += self.hp.info * terms["loss/asked"]
        return terms, loss
