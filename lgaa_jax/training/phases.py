"""The four phases of a training step, each `state -> state` (docs/fidelity.md, the equations)."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax

from lgaa_jax.networks.nets import Nets, Params
from lgaa_jax.training import losses
from lgaa_jax.training.adversarial import critic_loss, generator_loss
from lgaa_jax.training.batch import Array, Examples
from lgaa_jax.training.class_terms import class_terms
from lgaa_jax.training.devices import ONE_DEVICE, Layout
from lgaa_jax.training.hyper import Hyper, trained_networks
from lgaa_jax.training.optimisers import gradient_norm
from lgaa_jax.training.sampling import Pullback
from lgaa_jax.training.shifting import shifted
from lgaa_jax.training.state import TrainState

Metrics = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Phases:
    """The four phases over fixed networks, optimisers and constants; what is trained is passed.

    rate: as in `Batch`.
    """

    nets: Nets
    tx: dict[str, optax.GradientTransformation]
    hyper: Hyper
    layout: Layout = ONE_DEVICE
    rate: Array | None = None

    def _descend(
        self, state: TrainState, phase: str, grads: Params, metrics: Metrics
    ) -> tuple[TrainState, Metrics]:
        """One optimiser update of the networks in `grads`, whose L2 norm joins the metrics."""
        own, grads = {name: state.params[name] for name in grads}, self.layout.disperse(grads)
        updates, opt = self.tx[phase].update(grads, state.opt[phase], own)
        if self.rate is not None:  # the rules of all optimisers are linear in the learning rate
            updates = jax.tree.map(lambda update: self.rate * update, updates)
        params = {**state.params, **optax.apply_updates(own, updates)}
        norm = gradient_norm(state.opt[phase], opt, *self.hyper.decays[phase])
        metrics = metrics | {f"grad_norm/{phase}": norm}
        return state.replace(params=params, opt={**state.opt, phase: opt}), metrics

    def _own(self, state: TrainState, phase: str) -> Params:
        names = trained_networks(self.nets, self.hyper)[phase]
        return self.layout.assemble({name: state.params[name] for name in names})

    def critic(
        self,
        state: TrainState,
        key: jax.Array,
        x: jax.Array,
        fake: jax.Array,
        u: jax.Array,
        d: jax.Array,
    ) -> tuple[TrainState, Metrics]:
        """Phase 1: the critic's loss of adversarial.py, for example mean D(fake) - mean D(x) + gp.

        u, d: [B], of x and of fake, u = -1 where the class is unknown; what a conditional D reads.
        """
        codes, hyper = self.nets.critic_codes(u, d), self.hyper
        of_slopes = hyper.r1, hyper.r2
        weights = (hyper.gp, 0.0) if hyper.adversarial_loss == "wgan_gp" else of_slopes

        def objective(own: Params) -> tuple[jax.Array, Metrics]:
            score = functools.partial(self.nets.apply, "critic", own)
            return critic_loss(
                hyper.adversarial_loss, score, x, fake, codes, key, weights, self.layout
            )

        grads, metrics = jax.grad(objective, has_aux=True)(self._own(state, "critic"))
        return self._descend(state, "critic", grads, metrics)

    def generator(
        self,
        state: TrainState,
        fake: jax.Array,
        pullback: Pullback,
        u: jax.Array,
        examples: Examples,
    ) -> tuple[TrainState, Metrics]:
        """Phase 2: adversarial + lambda_info * [CE(q(u|G), u) + CE(q(d|z'), d)], z' encoded from G.

        fake, pullback: G(z, u, d) and its vector-Jacobian product at the present parameters; u: the
        classes asked for; examples: what `fake` stands against; adversarial: see adversarial.py.
        """
        x, known, d, _ = examples
        codes, kind = self.nets.critic_codes(known, d), self.hyper.adversarial_loss
        params = self.layout.assemble(state.params)

        def objective(images: jax.Array) -> tuple[jax.Array, Metrics]:
            score = functools.partial(self.nets.apply, "critic", params)
            adversarial = generator_loss(kind, score, x, images, codes)
            code, _ = self.nets.apply("encoder", params, images)
            info = jnp.mean(losses.cross_entropy(self.nets.apply("domain", params, code), d))
            metrics = {"loss/generator": adversarial, "info/domain": info}
            if self.nets.class_model is not None:
                logits = self.nets.apply("class", params, images)
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

        Of colour images, `loss.chroma` times the error in which the channels differ is added.
        classed: [B] bool, whether the example's task has classes; u~ and KL_u are 0 where not.
        Also returns z~ and the mean of q(z|x), [B, Z] each.
        """
        key_z, key_u, key_d = jax.random.split(key, 3)
        hyper, others = self.hyper, self.layout.assemble(state.params)

        def objective(own: Params) -> tuple[jax.Array, tuple[Metrics, tuple[jax.Array, jax.Array]]]:
            params = {**others, **own}
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
            if hyper.chroma and x.shape[-1] > 1:
                terms["loss/chroma"] = jnp.mean(losses.chroma(x, x_rec))
                loss += hyper.chroma * terms["loss/chroma"]
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
        """Phase 4: the terms of q(u|x), see class_terms.py, plus CE(q(d|z~), d).

        The class model sees x moved a little and with noise. fake: images sampled from G and the
        classes they were sampled for; they tell q(u|x) what a class is where no label does.
        """
        key_shift, key_noise, key = jax.random.split(key, 3)
        x, u, d, soft = batch
        if fake is not None:
            x = jnp.concatenate([x, fake[0]])
        if self.hyper.class_shift:
            x = shifted(key_shift, x, self.hyper.class_shift)
        if self.hyper.class_noise:
            x += self.hyper.class_noise * jax.random.normal(key_noise, x.shape)

        def objective(own: Params) -> tuple[jax.Array, Metrics]:
            loss = jnp.mean(losses.cross_entropy(self.nets.apply("domain", own, z), d))
            metrics = {"loss/domain": loss}
            if self.nets.class_model is not None:
                logits = self.nets.apply("class", own, x, train=True, rngs={"dropout": key})
                terms, loss_u = class_terms(self.hyper, logits, u, soft, fake)
                metrics |= terms
                loss += loss_u
            return loss, metrics

        grads, metrics = jax.grad(objective, has_aux=True)(self._own(state, "inference"))
        return self._descend(state, "inference", grads, metrics)
