"""The processes of a run, each with devices of its own: what one of them makes, and all know.

They run the same program in step. What could come out differently on each, such as what lies on a
disk, is asked of the first process alone, which is the one that writes; `shared` tells the others.
With one process all of it is plain calls. That JAX knows of the others is the business of
run/cluster.py.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import flax.serialization
import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from lgaa_jax.errors import UserError

Made = TypeVar("Made")


def count() -> int:
    """Processes of the run."""
    return jax.process_count()


def number() -> int:
    """Which of them this is, from 0 on."""
    return jax.process_index()


def first() -> bool:
    """Whether this process is the one that writes, and that speaks to the user."""
    return number() == 0


def shared(make: Callable[[], Made]) -> Made:
    """What `make` returns in the first process, in all of them; it must be called by all.

    It is made of dicts, lists, arrays, strings and numbers, and of tuples, which come as lists: no
    process unpickles what another says.
    What it raises there is raised by all: in the others as a UserError of the same words.
    """
    if count() == 1:
        return make()
    if not first():
        made, error = _unpacked(_of_first(b""))
        if error is not None:
            raise UserError(error)
        return made
    try:
        made = make()
    except Exception as error:
        _of_first(_packed([None, str(error) or type(error).__name__]))
        raise
    _of_first(_packed([made, None]))
    return made


def gathered(own: Any) -> list[Any]:
    """What each process gives, as `shared` takes it, in their order; it must be called by all."""
    if count() == 1:
        return [own]
    content = _packed(own)
    sizes = multihost_utils.process_allgather(np.int32(len(content)))
    every = multihost_utils.process_allgather(_padded(content, int(sizes.max())))
    return [_unpacked(row[:size].tobytes()) for row, size in zip(every, sizes, strict=True)]


def spread(tree: Any, abstract: Any) -> Any:
    """The arrays of a tree of the first process, in all of them, on the host.

    tree: of arrays, in the first process; abstract: their shapes and dtypes, as jax.eval_shape
    gives them, in the tree of the result.
    """
    given = tree if first() else jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), abstract)
    return multihost_utils.broadcast_one_to_all(given)


def together() -> None:
    """Returns when all processes have come here."""
    if count() > 1:
        multihost_utils.sync_global_devices("together")


class Agreement:
    """The greatest of the numbers that the processes give in each round: the same for all.

    It is told a round late, so that no process waits for the slowest in each round; but on CPUs,
    where of two programs that a process has begun either may come first to ask the others. A GPU or
    a TPU takes them in their order.
    """

    def __init__(self) -> None:
        mesh = Mesh(np.array(jax.devices()), ("all",), axis_types=(AxisType.Auto,))
        self._rows = NamedSharding(mesh, PartitionSpec("all"))
        whole = NamedSharding(mesh, PartitionSpec())
        self._greatest = jax.jit(lambda numbers: numbers.max(), out_shardings=whole)
        self._before: jax.Array | None = None
        self._on_cpu = jax.local_devices()[0].platform == "cpu"

    def __call__(self, number: int, after: Any, last: bool = False) -> int:
        """The result of the round before, 0 in the first; in the last round that of both.

        number: 0 or more; after: arrays of the programs begun before, whose collectives come first.
        """
        if self._on_cpu:
            jax.block_until_ready(after)
        given = jax.make_array_from_callback(
            (len(jax.devices()),), self._rows, lambda index: np.array([number], np.int32)
        )
        before, self._before = self._before, self._greatest(given)
        if self._on_cpu:
            self._before.block_until_ready()
        known = [before, self._before] if last else [before]
        return max(int(result) if result is not None else 0 for result in known)


def _packed(value: Any) -> bytes:
    return flax.serialization.msgpack_serialize(_without_tuples(value))


def _without_tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_tuples(held) for key, held in value.items()}
    return [*map(_without_tuples, value)] if isinstance(value, list | tuple) else value


def _unpacked(content: bytes) -> Any:
    return flax.serialization.msgpack_restore(content)


def _of_first(content: bytes) -> bytes:
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(content))))
    return multihost_utils.broadcast_one_to_all(_padded(content, size)).tobytes()[:size]


def _padded(content: bytes, size: int) -> np.ndarray:
    """The content in an array of one of few sizes, at least `size`: each size is compiled."""
    padded = np.zeros(1 << max(size - 1, 1).bit_length(), np.uint8)
    padded[: len(content)] = np.frombuffer(content, np.uint8)
    return padded
