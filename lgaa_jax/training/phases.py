"""The four phases of a training step, each `state -> state` (docs/fidelity.md, the equations)."""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from lgaa_jax.networks.nets import Nets, Params
from lgaa_jax.training import losses
from lgaa_jax.training.batch import Examples
from lgaa_jax.training.hyper import Hyper, trained_networks
from lgaa_jax.training.optimisers import gradient_norm
from lgaa_jax.training.sampling import Pullback
from lgaa_jax.training.state import TrainState

Metrics = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Phases:
    """The four phases over fixed networks, optimisers and constants; what is trained is passed."""

    nets: Nets
    tx: dict[str, optax.GradientTransformation]
    hyper: Hyper

    def _descend(
        self, state: TrainState, phase: str, grads: Params, metrics: Metrics
    ) -> tuple[TrainState, Metrics]:
        """One optimiser update of the networks in `grads`, whose L2 norm joins the metrics."""
        own = {name: state.params[name] for name in grads}
        updates, opt = self.tx[phase].update(grads, state.opt[phase], own)
        params = {**state.params, **optax.apply_updates(own, updates)}
        norm = gradient_norm(state.opt[phase], opt, *self.hyper.decays[phase])
        metrics = metrics | {f"grad_norm/{phase}": norm}
        return state.replace(params=params, opt={**state.opt, phase: opt}), metrics

    def _own(self, state: TrainState, phase: str) -> Params:
        return {name: state.params[name] for name in trained_networks(self.nets, self.hyper)[phase]}

    def critic(
        self, state: TrainState, key: jax.Array, x: jax.Array, fake: jax.Array
    ) -> tuple[TrainState, Metrics]:
        """Phase 1: mean D(fake) - mean D(x) + lambda_gp * gradient penalty."""

        def objective(own: Params) -> tuple[jax.Array, Metrics]:
            def score(images: jax.Array) -> jax.Array:
                return self.nets.apply("critic", own, images)

            # One forward over both sets is one larger convolution instead of two small ones.
            fake_score, real_score = jnp.split(score(jnp.concatenate([fake, x])), 2)
            distance = jnp.mean(real_score) - jnp.mean(fake_score)
            penalty = jnp.mean(losses.gradient_penalty(score, x, fake, key))
            loss = self.hyper.gp * penalty - distance
            return loss, {"loss/critic": loss, "wasserstein": distance, "gradient_penalty": penalty}

        grads, metrics = jax.grad(objective, has_aux=True)(self._own(state, "critic"))
        return self._descend(state, "critic", grads, metrics)

    def generator(
        self,
        state: TrainState,
        fake: jax.Array,
        pullback: Pullback,
        u: jax.Array,
        d: jax.Array,
    ) -> tuple[TrainState, Metrics]:
        """Phase 2: -mean D(G) + lambda_info * [CE(q(u|G), u) + CE(q(d|z'), d)], z' encoded from G.

        fake, pullback: G(z, u, d) and its vector-Jacobian product at the present parameters.
        """

        def objective(images: jax.Array) -> tuple[jax.Array, Metrics]:
            adversarial = -jnp.mean(self.nets.apply("critic", state.params, images))
            code, _ = self.nets.apply("encoder", state.params, images)
            info = jnp.mean(losses.cross_entropy(self.nets.apply("domain", state.params, code), d))
            metrics = {"loss/generator": adversarial, "info/domain": info}
            if self.nets.class_model is not None:
                logits = self.nets.apply("class", state.params, images)
                metrics["info/class"] = jnp.mean(losses.cross_entropy(logits, u))
                info += metrics["info/class"]
            return adversarial + self.hyper.info * info, metrics

        grad_images, metrics = jax.grad(objective, has_aux=True)(fake)
        (grads,) = pullback(grad_images)
        return self._descend(state, "generator", {"generator": grads}, metrics)

    def code(
        self, params: Params, key: jax.Array, x: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """z~ by the reparameterisation, and the mean and deviation of q(z|x): [B, Z] each."""
        mean, std = self.nets.apply("encoder", params, x)
        return mean + std * jax.random.normal(key, mean.shape), mean, std

    def classes(self, params: Params, x: jax.Array) -> jax.Array:
        """The most probable class of each image: [B] int32."""
        return jnp.argmax(self.nets.apply("class", params, x), axis=-1).astype(jnp.int32)

    def autoencoder(
        self, state: TrainState, key: jax.Array, x: jax.Array, classed: jax.Array
    ) -> tuple[TrainState, Metrics, jax.Array, jax.Array]:
        """Phase 3: |x - G(z~, u~, d~)|^2 + beta KL_z [+ beta_u KL_u] + beta_d KL_d, batch mean.

        classed: [B] bool, whether the example's task has classes; u~ and KL_u are 0 where not.
        Also returns z~ and the mean of q(z|x), [B, Z] each.
        """
        key_z, key_u, key_d = jax.random.split(key, 3)
        hyper = self.hyper

        def objective(own: Params) -> tuple[jax.Array, tuple[Metrics, tuple[jax.Array, jax.Array]]]:
            params = {**state.params, **own}
            z, mean, std = self.code(params, key_z, x)
            logits_d = self.nets.apply("domain", params, z)
            d = losses.gumbel_softmax(key_d, logits_d, hyper.temperature)
            u = jnp.zeros((x.shape[0], 0))
            kl = {"z": losses.kl_normal(mean, std), "d": losses.kl_uniform(logits_d)}
            weight = {"z": hyper.beta, "d": hyper.beta_d}
            if self.nets.class_model is not None:
                logits_u = self.nets.apply("class", params, x)
                u = losses.gumbel_softmax(key_u, logits_u, hyper.temperature)
                u = jnp.where(classed[:, None], u, 0.0)
                if hyper.joint_inference or hyper.infers_classes:
                    kl["u"] = jnp.where(classed, losses.kl_uniform(logits_u), 0.0)
                    weight["u"] = hyper.beta_u
            x_rec = self.nets.apply("generator", params, z, u, d)
            terms = {f"kl/{name}": jnp.mean(value) for name, value in kl.items()}
            error = jnp.mean(losses.reconstruction(x, x_rec))
            loss = error + sum(weight[name] * terms[f"kl/{name}"] for name in weight)
            return loss, (
                {"loss/autoencoder": loss, "loss/reconstruction": error, **terms},
                (z, mean),
            )

        grads, (metrics, code) = jax.grad(objective, has_aux=True)(self._own(state, "autoencoder"))
        return *self._descend(state, "autoencoder", grads, metrics), *code

    def inference(
        self,
        state: TrainState,
        key: jax.Array,
        batch: Examples,
        z: jax.Array,
        fake: tuple[jax.Array, jax.Array] | None = None,
    ) -> tuple[TrainState, Metrics]:
        """Phase 4: the terms of q(u|x), see `_class_terms`, plus CE(q(d|z~), d).

        The class model sees x with noise. fake: images sampled from G and the classes they were
        sampled for; they tell q(u|x) what a class is where no label does.
        """
        key_noise, key = jax.random.split(key)
        x, u, d, soft = batch
        if fake is not None:
            x = jnp.concatenate([x, fake[0]])
        if self.hyper.class_noise:
            x += self.hyper.class_noise * jax.random.normal(key_noise, x.shape)

        def objective(own: Params) -> tuple[jax.Array, Metrics]:
            loss = jnp.mean(losses.cross_entropy(self.nets.apply("domain", own, z), d))
            metrics = {"loss/domain": loss}
            if self.nets.class_model is not None:
                logits = self.nets.apply("class", own, x, train=True, rngs={"dropout": key})
                terms, loss_u = self._class_terms(logits, u, soft, fake)
                metrics |= terms
                loss += loss_u
            return loss, metrics

        grads, metrics = jax.grad(objective, has_aux=True)(self._own(state, "inference"))
        return self._descend(state, "inference", grads, metrics)

    def _class_terms(
        self,
        logits: jax.Array,
        u: jax.Array,
        soft: jax.Array,
        fake: tuple[jax.Array, jax.Array] | None,
    ) -> tuple[Metrics, jax.Array]:
        """CE(q(u|x), u) over the labelled examples, what takes the place of labels, and their sum.

        Where an example has a soft label, that is the target instead of u. Where classes are to be
        found, the sum has also balance * KL(mean of q(u|x) over the unlabelled examples to uniform)
        and, with a fake batch, lambda_info * CE(q(u|G), u). logits: of the batch, then of the fake.
        """
        logits, of_fake = logits[: len(u)], logits[len(u) :]
        error = losses.cross_entropy(logits, u)
        if self.hyper.soft_labels:
            distilled = losses.distillation(logits, soft, self.hyper.soft_temperature)
            error = jnp.where(jnp.sum(soft, axis=-1) > 0, distilled, error)
        labelled = jnp.maximum(jnp.sum(u >= 0), 1).astype(jnp.float32)
        terms = {"loss/class": jnp.sum(error) / labelled}
        loss = terms["loss/class"]
        if self.hyper.infers_classes:
            terms["kl/balance"] = losses.kl_uniform(losses.mean_logits(logits, u < 0))
            loss += self.hyper.balance * terms["kl/balance"]
        if fake is not None:
            terms["loss/asked"] = jnp.mean(losses.cross_entropy(of_fake, fake[1]))
            loss += self.hyper.info * terms["loss/asked"]
        return terms, loss
