"""The loop over the steps of one task."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from lgaa_jax.errors import UserError
from lgaa_jax.run import interrupts
from lgaa_jax.run.progress import Progress
from lgaa_jax.run.session import Session
from lgaa_jax.training.phases import Metrics
from lgaa_jax.training.state import TrainState
from lgaa_jax.workdir.record import Record
from lgaa_jax.workdir.scalars import ScalarLog

LOSS = "train/loss/"


def train_task(
    session: Session,
    state: TrainState,
    record: Record,
    task: int,
    log: ScalarLog,
    progress: Progress,
) -> tuple[TrainState, Record]:
    """Trains to the end of `task` and saves the state there, all of it on disk on return.

    A signal is heeded at the end of a call, and the state there saved. Returns the state at the
    task's end, and the record with its seconds counted.
    """
    experiment, config = session.experiment, session.experiment.config
    first, last = int(state.step), experiment.ends[task]
    if first == last:
        return state, record
    begin = time.monotonic()
    pool = experiment.batches.pool(task, state)
    num_pool = np.int32(experiment.batches.num_pool(task))
    writer = MetricsWriter(session, task, log, progress)

    def save(step: int) -> None:
        writer.write()
        log.flush()
        seconds = record.after(time.monotonic() - begin)
        session.checkpoints.save(step, state, seconds.to_json())

    periods = config.log.every, config.log.checkpoint_every
    stop = interrupts.never
    with contextlib.ExitStack() as stack:
        for start, end in calls(first, last, experiment.steps_per_call, periods):
            indices = np.zeros((experiment.steps_per_call, config.batch_size), np.int32)
            for row, step in enumerate(range(start, end)):
                indices[row] = experiment.batches.indices(task, step)
            with jax.transfer_guard("disallow"):
                given = jax.device_put((indices, num_pool, np.int32(end - start)))
                state, metrics = experiment.train_steps(state, experiment.train_key, pool, *given)
            writer.write()
            if end == last or any(end % period == 0 for period in periods):
                writer.hold(end, metrics)
            if end % config.log.checkpoint_every == 0 and end < last:
                save(end)
            progress.update(end - start)
            if start == first:  # it has compiled, which a signal may end at once
                stop = stack.enter_context(interrupts.deferred())
            elif came := stop():
                save(end)
                raise came
    jax.block_until_ready(state)
    save(last)
    session.checkpoints.wait()
    if came := stop():  # in the last call
        raise came
    return state, record.after(time.monotonic() - begin)


class MetricsWriter:
    """Logs the metrics of a step when the next call is under way, so as not to wait for them."""

    def __init__(self, session: Session, task: int, log: ScalarLog, progress: Progress):
        self._session, self._task, self._log, self._progress = session, task, log, progress
        self._held: tuple[int, Metrics] | None = None
        self._clock: tuple[int, float] | None = None  # step and time of the last line

    def hold(self, step: int, metrics: Metrics) -> None:
        """Keeps the metrics of a step until the next `write`."""
        self._held = step, metrics

    def write(self) -> None:
        """Logs what is held; raises UserError where a value is not finite."""
        if self._held is None:
            return
        (step, metrics), self._held = self._held, None
        experiment = self._session.experiment
        name = experiment.names[self._task]
        scalars = finite(
            jax.device_get(metrics), step, name, self._session.checkpoints.sound_steps()
        )
        if step % experiment.config.log.every and step != experiment.ends[self._task]:
            return
        rates = {
            f"train/learning_rate/{phase}": float(rate(step - 1))  # that the step itself used
            for phase, rate in experiment.learner.rates.items()
        }
        speed = self._speed(step, experiment.config.batch_size)
        self._log.scalars(step, self._task, scalars | rates | speed)
        losses = {k.removeprefix(LOSS): v for k, v in scalars.items() if k.startswith(LOSS)}
        self._progress.show(name, losses)

    def _speed(self, step: int, batch_size: int) -> dict[str, float]:
        """Steps and images a second since the last line; none for the first, which compiles."""
        now, before = time.monotonic(), self._clock
        self._clock = step, now
        if before is None or now == before[1]:
            return {}
        rate = (step - before[0]) / (now - before[1])
        return {"train/steps_per_second": rate, "train/images_per_second": rate * batch_size}


def calls(first: int, last: int, most: int, periods: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cuts the steps from `first` to `last` into calls of at most `most`.

    A call ends wherever one of the periods does. Yields the first step of each and the one after.
    """
    while first < last:
        end = min(last, first + most, *((first // period + 1) * period for period in periods))
        yield first, end
        first = end


def finite(
    metrics: Mapping[str, Any], step: int, task: str, saved: Sequence[int]
) -> dict[str, float]:
    """The metrics as floats; raises UserError with the first one that is not finite.

    saved: the steps that have a checkpoint.
    """
    values = {name: float(value) for name, value in metrics.items()}
    for name, value in values.items():
        if not np.isfinite(value):
            kept = f"the checkpoint of step {saved[-1]} is kept" if saved else "nothing was saved"
            raise UserError(
                f"{name} became {value} by step {step} (task {task}), so training stopped; {kept}: "
                "start anew with lower learning rates or another seed, in another --workdir."
            )
    return values
