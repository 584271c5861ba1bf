"""What a run is made of, built from its config before anything is written."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from lgaa_jax import config as configuration
from lgaa_jax import data, evaluation, models, ops, phases, replay, state, steps
from lgaa_jax.batches import Source
from lgaa_jax.strategies import STRATEGIES, Strategy


@dataclasses.dataclass(frozen=True)
class Run:
    """Everything about a run that does not change while it trains."""

    config: ml_collections.ConfigDict
    strategy: Strategy
    tasks: tuple[data.Task, ...]
    nets: models.Nets
    source: Source
    ends: tuple[int, ...]  # step at which each task ends
    init: Callable[[], state.TrainState]
    train_steps: Callable
    steps_per_call: int
    batch_sums: Callable
    class_mask: jax.Array  # [N, U] bool, the classes that each task has
    train_key: jax.Array
    eval_key: jax.Array

    @property
    def names(self) -> list[str]:
        """Task names in their order."""
        return [task.name for task in self.tasks]

    def alike(self, index: int, task: int) -> np.ndarray:
        """[N] bool: the tasks met when `task` ends that have the images of the task `index`."""
        alike = np.zeros(self.nets.num_tasks, bool)
        alike[[i for i in self.learned(task) if self.tasks[i].base == self.tasks[index].base]] = (
            True
        )
        return alike

    def learned(self, task: int) -> range:
        """Indices of the tasks that the model has met when `task` ends."""
        return range(len(self.tasks) if self.strategy.memory == "data" else task + 1)


def build(config: ml_collections.ConfigDict) -> Run:
    """Loads the data and builds networks and step; raises UserError before anything is written."""
    configuration.check(config)
    strategy = STRATEGIES[config.strategy]
    tasks = data.load(config)
    num_classes = config.num_classes or max(task.num_classes for task in tasks)
    nets = models.build(config, num_classes, config.max_tasks or len(tasks))
    init_key, train_key, eval_key, pool_key = jax.random.split(jax.random.key(config.seed), 4)
    drawing = replay.drawing(config, class_mask(tasks, num_classes, nets.num_tasks))
    source = Source(config, tasks, nets, drawing, pool_key)
    tx = steps.optimisers(config, source.planned_ends())
    hp = phases.hyper(config, source.drawn_rows())
    init = functools.partial(
        state.init_state,
        nets,
        tx,
        phases.trained_networks(nets, hp),
        config.ema_decay > 0,
        # Without phase 3 the encoder is not trained, and its codes say nothing of the generator.
        config.code_decay > 0 and strategy.autoencodes,
        init_key,
    )
    # Initialisation runs once: on a CPU, to optimise its code takes far longer than to run it.
    on_cpu = jax.default_backend() == "cpu"
    options = {"xla_backend_optimization_level": 0} if on_cpu else None
    return Run(
        config=config,
        strategy=strategy,
        tasks=tasks,
        nets=nets,
        source=source,
        ends=source.ends(),
        init=jax.jit(init, compiler_options=options),
        train_steps=jax.jit(
            steps.make_train_steps(steps.make_train_step(nets, tx, hp, drawing)),
            donate_argnums=0,
            compiler_options=ops.compiler_options(),
        ),
        steps_per_call=config.steps_per_call or (1 if on_cpu else config.log.every),
        batch_sums=evaluation.make_batch_sums(nets, drawing.class_mask),
        class_mask=drawing.class_mask,
        train_key=train_key,
        eval_key=eval_key,
    )


def class_mask(tasks: tuple[data.Task, ...], num_classes: int, num_tasks: int) -> jax.Array:
    """[N, U] bool: the classes that each task has.

    A task without labels has none, nor has one that is only reserved; where no task has labels,
    each may use every class.
    """
    labelled = any(task.classes for task in tasks)
    mask = np.zeros((num_tasks, num_classes), bool)
    for row, task in zip(mask, tasks, strict=False):
        row[list(task.classes if labelled else range(num_classes))] = True
    return jnp.asarray(mask)
