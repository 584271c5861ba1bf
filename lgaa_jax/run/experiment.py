"""What a run is made of, built from its config before anything is written."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from lgaa_jax.data import loading
from lgaa_jax.data.fingerprint import fingerprint
from lgaa_jax.data.loading import Task
from lgaa_jax.networks import ops
from lgaa_jax.networks.nets import Nets, build_nets
from lgaa_jax.run.checks import check_config
from lgaa_jax.training.batching import Batches
from lgaa_jax.training.devices import Layout, build_layout
from lgaa_jax.training.learner import Learner, build_learner
from lgaa_jax.training.replay import replay_spec
from lgaa_jax.training.state import TrainState, shardings
from lgaa_jax.training.strategies import STRATEGIES, Strategy
from lgaa_jax.training.train_step import make_train_steps


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything about a run that does not change while it trains."""

    config: ml_collections.ConfigDict
    strategy: Strategy
    tasks: tuple[Task, ...]
    layout: Layout
    learner: Learner
    batches: Batches
    ends: tuple[int, ...]  # step at which each task ends
    init: Callable[[], TrainState]
    where: TrainState  # the sharding of each array of a state
    train_steps: Callable
    steps_per_call: int
    train_key: jax.Array
    eval_key: jax.Array

    @property
    def names(self) -> list[str]:
        """Task names in their order."""
        return [task.name for task in self.tasks]

    @property
    def class_names(self) -> dict[str, tuple[str, ...]]:
        """The name of each label, by task; tasks without classes are left out."""
        return {task.name: task.class_names for task in self.tasks if task.classes}

    @property
    def labels(self) -> dict[str, list[int]]:
        """The labels of the classes that each task has, by task."""
        rows = zip(self.names, np.asarray(self.class_mask), strict=False)
        return {name: np.flatnonzero(row).tolist() for name, row in rows}

    @property
    def streams(self) -> bool:
        """Whether the images of the tasks stay on disk and are read as training needs them."""
        return any(task.streamed for task in self.tasks)

    @property
    def fingerprints(self) -> dict[str, dict[str, Any]]:
        """By what the data of each task are known again, by task."""
        return {task.name: fingerprint(task) for task in self.tasks}

    def alike(self, index: int, task: int) -> np.ndarray:
        """[N] bool: the tasks met when `task` ends that have the images of the task `index`."""
        alike = np.zeros(self.nets.num_tasks, bool)
        alike[[i for i in self.learned(task) if self.tasks[i].base == self.tasks[index].base]] = (
            True
        )
        return alike

    @property
    def nets(self) -> Nets:
        """The networks of the run."""
        return self.learner.nets

    @property
    def class_mask(self) -> jax.Array:
        """[N, U] bool: the classes that each task has."""
        return self.learner.spec.class_mask

    def evaluable(self, state: TrainState) -> TrainState:
        """The state as evaluation takes it: each device has all of it.

        Where the devices divide a state, without what the optimisers keep.
        """
        if not self.layout.divides:
            return state
        return self.layout.whole_of(state.replace(opt={}))

    def learned(self, task: int) -> range:
        """Indices of the tasks that the model has met when `task` ends."""
        return range(len(self.tasks) if self.strategy.memory == "data" else task + 1)

    def measured(self, task: int) -> list[int]:
        """Those of them that are measured and drawn when `task` ends."""
        all_of_them = (task + 1) % self.config.eval.every == 0 or task == len(self.tasks) - 1
        return list(self.learned(task)) if all_of_them else [task]


def build(config: ml_collections.ConfigDict) -> Experiment:
    """Loads the data and builds networks and step; raises UserError before anything is written."""
    check_config(config)
    layout = build_layout(config)
    strategy = STRATEGIES[config.strategy]
    tasks = loading.load(config)
    num_classes = config.num_classes or max(task.num_classes for task in tasks)
    nets = build_nets(config, num_classes, config.max_tasks or len(tasks))
    init_key, train_key, eval_key, pool_key = jax.random.split(jax.random.key(config.seed), 4)
    spec = replay_spec(config, class_mask(tasks, num_classes, nets.num_tasks))
    batches = Batches(config, tasks, nets, spec, pool_key, layout)
    ends, num_replay = batches.places.planned_ends(), batches.places.num_replay()
    learner = build_learner(config, nets, spec, ends, num_replay, layout)
    # Initialisation runs once: on a CPU, to optimise its code takes far longer than to run it.
    on_cpu = jax.default_backend() == "cpu"
    options = {"xla_backend_optimization_level": 0} if on_cpu else None
    initial = functools.partial(learner.init, init_key)
    where = shardings(jax.eval_shape(initial), layout)
    # Where the devices divide the state, none has to hold all of it.
    placed = where if layout.divides else None
    init = jax.jit(initial, out_shardings=placed, compiler_options=options)
    return Experiment(
        config=config,
        strategy=strategy,
        tasks=tasks,
        layout=layout,
        learner=learner,
        batches=batches,
        ends=batches.places.ends(),
        init=init,
        where=where,
        train_steps=jax.jit(
            make_train_steps(learner.train_step),
            donate_argnums=0,
            # Of several devices XLA would choose by itself which holds what of the results.
            out_shardings=(where, layout.whole) if layout.num_devices > 1 else None,
            compiler_options=ops.compiler_options(),
        ),
        steps_per_call=config.steps_per_call or (1 if on_cpu else config.log.every),
        train_key=layout.place(train_key, layout.whole),
        eval_key=eval_key,
    )


def class_mask(tasks: Sequence[Task], num_classes: int, num_tasks: int) -> jax.Array:
    """[N, U] bool: the classes that each task has.

    A task without labels has none, nor has one that is only reserved; where no task has labels,
    each may use every class.
    """
    labelled = any(task.classes for task in tasks)
    mask = np.zeros((num_tasks, num_classes), bool)
    for row, task in zip(mask, tasks, strict=False):
        row[list(task.classes if labelled else range(num_classes))] = True
    return jnp.asarray(mask)
