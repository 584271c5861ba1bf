"""Whether the squared error of a task has risen while it is trained: its pictures may be lost.

Of 39 runs of four sequences that went well, no logged error was more than 1.7 times the least one
of its task before; of one whose generator had saturated, all were 15 times as large
(docs/networks.md, "Learning rates at a task's beginning").
"""

import math

RISE = 4.0  # times the least error logged in the task before, above which
STEPS = 100  # it has risen, for as long as this


class Rise:
    """The squared error along the logged steps of one task."""

    def __init__(self, task: str):
        self._task = task
        self._least, self._told = math.inf, False
        self._risen: tuple[int, float] | None = None  # step and error of the rise

    def warning(self, step: int, error: float) -> str | None:
        """A sentence, once, where the error has been too large for `STEPS` steps.

        step: of the log's line, after that of the call before; error: its loss of reconstruction.
        """
        least, self._least = self._least, min(self._least, error)
        if error <= RISE * least:
            self._risen = None
            return None
        self._risen = since, risen = self._risen or (step, error)
        if self._told or step - since < STEPS:
            return None
        self._told = True
        return (
            f"the squared error of {self._task} rose from {least:.4g} to {risen:.4g} by step "
            f"{since} and stays there, so its pictures are probably lost; begin anew with a "
            "smaller optim.autoencoder.learning_rate or optim.autoencoder.b2, in another --workdir."
        )
