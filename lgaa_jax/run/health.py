"""Whether what a step computes is finite: told after each call, and with what the step is found."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lgaa_jax.errors import UserError
from lgaa_jax.files import read_json
from lgaa_jax.run.session import Session

FAILURE = "failure.json"
PHASES = ("critic", "generator", "autoencoder", "inference")  # in the order of a step
SHOWN = ("train/loss/critic", "train/loss/reconstruction", "train/loss/class")  # of the step before


class NotFiniteError(UserError):
    """A number that is not finite; what, task, step: in half a sentence, where."""

    def __init__(self, what: str, task: str, step: int, then: str):
        super().__init__(f"{what}{then}")
        self.what, self.task, self.step = what, task, step


class Health:
    """What the steps of one task have computed, from one call to the next."""

    def __init__(self, session: Session, task: str):
        self._session, self._task = session, task
        self._last: tuple[int, dict[str, float]] | None = None

    def check(self, step: int, metrics: Mapping[str, Any]) -> dict[str, float]:
        """The metrics of a step as floats.

        Raises NotFiniteError, and writes `FAILURE`, where a loss or the norm of a phase's gradients
        is not finite. One that was not in an earlier step of the same call has spoilt this one.
        """
        values = {name: float(value) for name, value in metrics.items()}
        bad = [name for name, value in values.items() if not np.isfinite(value)]
        if bad:
            raise self._failure(step, values, bad)
        self._last = step, values
        return values

    def _failure(self, step: int, values: dict[str, float], bad: list[str]) -> NotFiniteError:
        phase = next((p for p in PHASES if f"train/grad_norm/{p}" in bad), None)
        own = [name for name in bad if name.endswith(f"/{phase}")]
        name = (own or bad)[0]
        found = {"step": step, "task": self._task, "metric": name, "value": str(values[name])}
        found |= {"phase": phase} if phase else {}
        found |= {"last": {"step": self._last[0], **self._last[1]}} if self._last else {}
        with contextlib.suppress(OSError):  # the sentence says it, too
            self._session.write(FAILURE, found)
        where = f"task {self._task}, phase {phase}" if phase else f"task {self._task}"
        saved = self._session.sound_steps()
        kept = f"the checkpoint of step {saved[-1]} is kept" if saved else "nothing was saved"
        more = self._session.experiment.config.retries + 3
        return NotFiniteError(
            f"{name} became {values[name]} in step {step} ({where}){self._before()}",
            self._task,
            step,
            f", so training stopped; {kept}. The same command with --mode=rerun takes that step "
            f"again and tells what is not finite. With --config.retries={more} it goes back and "
            "on with lower learning rates; or start anew with another seed, in another --workdir.",
        )

    def _before(self) -> str:
        if self._last is None:
            return ""
        step, values = self._last
        shown = ", ".join(f"{name} {values[name]:.4g}" for name in SHOWN if name in values)
        return f" after {shown} in step {step}"


def failed_step(workdir: Path) -> int | None:
    """The step that `FAILURE` tells of; None where there is none."""
    found = read_json(workdir / FAILURE)
    step = found.get("step") if isinstance(found, dict) else None
    return step if isinstance(step, int) else None
