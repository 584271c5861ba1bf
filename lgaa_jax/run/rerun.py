"""`--mode=rerun`: takes a step again, and tells which numbers of it are not finite.

A step is a function of the state and of its number, so that the last checkpoint before it and the
config are all that it takes. On a CPU it comes to the same bits.
"""

from collections.abc import Iterator
from typing import Any

import jax
import ml_collections
import numpy as np

from lgaa_jax.errors import UserError
from lgaa_jax.files import PathLike
from lgaa_jax.run.health import failed_step
from lgaa_jax.run.session import Session, open_session
from lgaa_jax.run.training import Calls
from lgaa_jax.training.settings import fixed_settings, keep_compiled
from lgaa_jax.training.state import TrainState, begin_task
from lgaa_jax.workdir.forms import by_path
from lgaa_jax.workdir.record import Record


@fixed_settings()
def rerun(config: ml_collections.ConfigDict, workdir: PathLike, step: int | None = None) -> None:
    """Takes a step again, the one that failed or `step`, and tells of it. Nothing is written.

    Where several steps make a call, it tells of the last step of that call.

    Raises UserError where there is no such step, or no state to begin from.
    """
    keep_compiled()
    session = open_session(config, workdir)
    step = failed_step(session.workdir) if step is None else step
    if step is None:
        raise UserError(f"no step of the run in {workdir} failed; name one, as --step=100.")
    ends = session.experiment.ends
    if not 0 < step <= ends[-1]:
        raise UserError(f"--step={step} is no step of this run; it has those from 1 to {ends[-1]}.")
    with session.checkpoints:
        for line in _told(session, step, sum(end < step for end in ends)):
            session.console.say(line)


def _told(session: Session, step: int, task: int) -> Iterator[str]:
    state, record = _start(session, step, task)
    name = session.experiment.names[task]
    yield f"step {step} ({name}) again, from step {int(state.step)}"
    for _, end, call in Calls(session.experiment, state, task, record):
        # A real copy: the call may write its results where the state lies.
        before = jax.tree.map(np.array, state) if end >= step else None
        state, metrics = call(state)
        if before is not None:
            break
    for metric, value in sorted(jax.device_get(metrics).items()):
        yield f"{metric} {float(value):.6g} in step {end}"
    yield f"not finite before: {_not_finite(before)}"
    yield f"not finite after: {_not_finite(jax.device_get(state))}"


def _start(session: Session, step: int, task: int) -> tuple[TrainState, Record]:
    """State and record of the newest sound checkpoint before a step, which belongs to `task`."""
    found = session.before(step)
    state, record = found or (session.fresh(), Record())
    begin = session.experiment.ends[task - 1] if task else 0
    if int(state.step) < begin:
        raise UserError(
            f"step {step} begins from the checkpoint of step {begin}, which is not there or "
            "damaged; train to that step again, in another --workdir."
        )
    return begin_task(state) if int(state.task) < task else state, record


def _not_finite(state: Any) -> str:
    """Those arrays of a state by path, and how many of their numbers."""
    bad = {
        path: int(np.sum(~np.isfinite(np.asarray(leaf, np.float32))))
        for path, leaf in by_path(state).items()
    }
    return ", ".join(f"{path} ({n})" for path, n in bad.items() if n) or "none"
