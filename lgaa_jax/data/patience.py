"""A function of many items, in threads, each of which is waited for so long and no longer."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class TooLongError(TimeoutError):
    """What stands in place of a result that did not come in time."""


@dataclasses.dataclass
class Threads(Generic[Item, Result]):
    """`function` of each item, in the order of the items.

    seconds: for each, from when it was begun. No thread can be ended: one that is given up goes on
    until it is done, or the program ends, and another one takes its place. Iterated over once.
    """

    function: Callable[[Item], Result]
    items: Sequence[Item]
    seconds: float
    count: int  # of threads at work

    def __post_init__(self) -> None:
        self._left = iter(range(len(self.items)))
        self._begun: dict[int, float] = {}
        self._done: dict[int, Any] = {}
        self._changed = threading.Condition()

    def __iter__(self) -> Iterator[Result | TooLongError]:
        """Raises what `function` raises, when the turn of that item has come."""
        for _ in range(min(self.count, len(self.items))):
            self._start()
        try:
            for i in range(len(self.items)):
                value, error = self._wait(i)
                if error is not None:
                    raise error
                yield value
        finally:
            self._left = iter(())

    def _start(self) -> None:
        # A daemon: Python does not wait for it when it ends.
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._changed:
                i = next(self._left, None)
                if i is None:
                    return
                self._begun[i] = time.monotonic()
                self._changed.notify()
            result: tuple[Any, BaseException | None]
            try:
                result = self.function(self.items[i]), None
            except BaseException as error:  # is raised where the results are read
                result = None, error
            with self._changed:
                if self._begun.pop(i, None) is None:
                    return  # given up
                self._done[i] = result
                self._changed.notify()

    def _wait(self, i: int) -> tuple[Any, BaseException | None]:
        with self._changed:
            # Items are begun in their order: this one is, or will be as soon as a thread runs.
            while i not in self._done:
                left = self._begun.get(i, time.monotonic()) + self.seconds - time.monotonic()
                if left <= 0:
                    del self._begun[i]
                    self._start()
                    return TooLongError(f"it takes more than {self.seconds:g} s"), None
                self._changed.wait(left)
            return self._done.pop(i)
