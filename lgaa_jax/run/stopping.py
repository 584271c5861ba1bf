"""At which step a run stops for a signal: the same in all of its processes."""

from collections.abc import Callable

from lgaa_jax.run import interrupts
from lgaa_jax.run.interrupts import Stop, Terminated
from lgaa_jax.training import hosts
from lgaa_jax.training.state import TrainState

STOPS: tuple[Stop | None, ...] = (None, KeyboardInterrupt, Terminated)


Asked = Callable[[TrainState, bool], Stop | None]


def never(state: TrainState, last: bool) -> Stop | None:
    """What `agreed` gives, of no signal at all."""
    return None


def agreed(came: Callable[[], Stop | None]) -> Asked:
    """What has come to any of the processes, told to all alike.

    came: what has come to this one. The function that is returned must be asked by all equally
    often, with the state of the last call, and whether it is for the last time. With several
    processes it tells of what had come when it was asked before, so that none waits for the slowest
    in each step; the last time, of all.
    """
    if hosts.count() == 1:
        return lambda state, last: came()
    agree = hosts.Agreement()

    def asked(state: TrainState, last: bool) -> Stop | None:
        stop = STOPS[agree(STOPS.index(came()), state, last)]
        if stop is not None:
            interrupts.end()
        return stop

    return asked
