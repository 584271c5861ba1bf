"""Whether the replay that the next task learns from has collapsed."""

from collections.abc import Iterator

import jax
import numpy as np

from lgaa_jax.evaluation import collapse, inference
from lgaa_jax.run.experiment import Experiment
from lgaa_jax.training.sampling import sample_task
from lgaa_jax.training.state import TrainState

SAMPLES = 500  # of each task
KEYS = 1 << 22  # offset of the task index in the keys; measurement.py has the others


def warnings(experiment: Experiment, state: TrainState, task: int) -> Iterator[str]:
    """A sentence on each measured task whose replay, as frozen after `task`, may have collapsed."""
    if experiment.strategy.memory != "replay" or task + 1 == len(experiment.tasks):
        return
    nets, spec = experiment.nets, experiment.learner.spec
    state = experiment.layout.local(state)
    for index in experiment.measured(task):
        key = jax.random.fold_in(experiment.eval_key, KEYS + index)
        mask = experiment.class_mask
        drawn, _ = sample_task(nets, state.sampler, key, index, SAMPLES, mask, spec.spread)
        probabilities = np.zeros((SAMPLES, 0))
        if nets.class_model is not None:
            logits = inference.class_logits(nets, state.params, drawn)
            probabilities = np.asarray(jax.nn.softmax(logits))
        classes = np.flatnonzero(np.asarray(mask)[index]).tolist()
        real = experiment.tasks[index].test.images[: 4 * SAMPLES]
        sentence = collapse.warning(
            experiment.names[index], collapse.signs(drawn, real, probabilities, classes)
        )
        if sentence:
            yield sentence
