"""What follows a number that is not finite where `retries` allows it: back, and on more slowly."""

import dataclasses
from collections.abc import Sequence

from lgaa_jax.run.health import NotFiniteError
from lgaa_jax.run.session import Session
from lgaa_jax.training.state import TrainState
from lgaa_jax.workdir.record import Record, Retry


def back(
    session: Session, failure: NotFiniteError, retries: Sequence[Retry]
) -> tuple[TrainState, Record]:
    """State and record of the newest sound checkpoint before a failure, or those of the start.

    The record has the failure beside the `retries` before it, and is on disk: a run that is killed
    from here on goes on in the same way. One that is killed before comes to the failure again.
    Raises `failure` where its task has no retry left.
    """
    config = session.experiment.config
    before = [retry["rate"] for retry in retries if retry["task"] == failure.task]
    if len(before) >= config.retries:
        raise failure
    session.checkpoints.wait()
    found = session.before(failure.step)
    state, record = found or (session.fresh(), Record())
    step, rate = int(state.step), [1.0, *before][-1] * config.retry_rate
    retry = {"task": failure.task, "step": failure.step, "back_to": step, "rate": rate}
    record = dataclasses.replace(record, retries=(*retries, retry))
    session.keep(record)
    session.console.say(
        f"{failure.what}: going back to step {step}, and on to the end of the task with the "
        f"learning rates times {rate:g}"
    )
    return state, record
