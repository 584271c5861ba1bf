"""The loop over the steps of one task."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np

from lgaa_jax.run import interrupts, stopping
from lgaa_jax.run.experiment import Experiment
from lgaa_jax.run.feeding import Feed, Given, Held, Streamed
from lgaa_jax.run.health import FAILURE, Health
from lgaa_jax.run.progress import Progress
from lgaa_jax.run.rising import Rise
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
    writer = MetricsWriter(session, task, log, progress)

    def save(step: int) -> None:
        writer.write()
        log.flush()
        seconds = record.after(time.monotonic() - begin)
        session.save(step, state, seconds)

    stop: stopping.Asked = stopping.never
    with contextlib.ExitStack() as stack:
        for start, end, call in Calls(experiment, state, task, record):
            state, metrics = call(state)
            writer.write()
            writer.hold(end, metrics, record.rate(experiment.names[task], start))
            if end % config.log.checkpoint_every == 0 and end < last:
                save(end)
            progress.update(end - start)
            if start == first:  # it has compiled, which a signal may end at once
                stop = stopping.agreed(stack.enter_context(interrupts.deferred()))
            elif came := stop(state, False):
                save(end)
                raise came
    jax.block_until_ready(state)
    save(last)
    session.checkpoints.wait()
    if came := stop(state, True):  # in the last call
        raise came
    session.remove(FAILURE)  # it came by the step that had failed
    return state, record.after(time.monotonic() - begin)


class Calls:
    """The calls of the compiled program that lead from a state to the end of its task."""

    def __init__(self, experiment: Experiment, state: TrainState, task: int, record: Record):
        self._experiment, self._task, self._record = experiment, task, record
        self._num_pool = np.int32(experiment.batches.places.num_pool(task))
        config, most = experiment.config, experiment.steps_per_call
        periods = config.log.every, config.log.checkpoint_every
        cuts = calls(int(state.step), experiment.ends[task], most, periods)
        self._cuts = np.fromiter(cuts, np.dtype((np.int64, 2)))
        if experiment.streams:
            self._feed: Feed = Streamed(experiment, state, task, self._cuts)
        else:
            self._feed = Held(experiment, state, task, self._cuts)

    def __iter__(self) -> Iterator[tuple[int, int, Callable]]:
        """The first step of each, the one after, and `state -> (state, metrics)`, which donates."""
        with contextlib.closing(iter(self._feed)) as feed:
            for (start, end), given in zip(self._cuts.tolist(), feed, strict=True):
                yield start, end, functools.partial(self._call, start, end, given)

    def _call(
        self, start: int, end: int, given: Given, state: TrainState
    ) -> tuple[TrainState, Metrics]:
        experiment, whole = self._experiment, self._experiment.layout.whole
        with jax.transfer_guard("disallow"):
            pool, indices = given()
            numbers = self._num_pool, np.int32(end - start), self._rate(start)
            numbers = experiment.layout.place(numbers, whole)
            return experiment.train_steps(state, experiment.train_key, pool, indices, *numbers)

    def _rate(self, step: int) -> np.float32 | None:
        """As in `Batch`. A run that may need one has it from the start: that is one program."""
        if not (self._experiment.config.retries or self._record.retries):
            return None
        return np.float32(self._record.rate(self._experiment.names[self._task], step))


class MetricsWriter:
    """Checks the metrics of each call, and logs some, when the next is under way: no wait."""

    def __init__(self, session: Session, task: int, log: ScalarLog, progress: Progress):
        self._session, self._task, self._log, self._progress = session, task, log, progress
        self._held: tuple[int, Metrics, float] | None = None
        self._clock: tuple[int, float] | None = None  # step and time of the last line
        name = session.experiment.names[task]
        self._health, self._rise = Health(session, name), Rise(name)

    def hold(self, step: int, metrics: Metrics, lowered: float) -> None:
        """Keeps the metrics of a step until the next `write`. lowered: `Record.rate` of it."""
        self._held = step, metrics, lowered

    def write(self) -> None:
        """Checks what is held, and logs it where a line is due. Raises as `Health.check` does."""
        if self._held is None:
            return
        (step, metrics, lowered), self._held = self._held, None
        experiment = self._session.experiment
        scalars = self._health.check(step, jax.device_get(metrics))
        if step % experiment.config.log.every and step != experiment.ends[self._task]:
            return
        rates = {  # that the step itself used
            f"train/learning_rate/{phase}": lowered * float(rate(step - 1))
            for phase, rate in experiment.learner.rates.items()
        }
        speed = self._speed(step, experiment.config.batch_size)
        self._log.scalars(step, self._task, scalars | rates | speed)
        losses = {k.removeprefix(LOSS): v for k, v in scalars.items() if k.startswith(LOSS)}
        self._progress.show(experiment.names[self._task], losses)
        error = losses.get("reconstruction")
        sentence = None if error is None else self._rise.warning(step, error)
        if sentence:
            self._session.console.say(f"warning: {sentence}")

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
