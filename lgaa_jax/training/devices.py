"""The devices of a run, and how its arrays lie on them.

On several devices a run is data parallel: each holds the whole state and a part of the rows of
every batch. It is still one program, which XLA divides, by plain `jax.jit` with shardings: means
are over the whole batch, and each row has the random numbers that it has on one device. `jax.pmap`
is in maintenance, and would want a program of one device that knows of the others.

What XLA cannot divide without moving rows between devices is written apart here: rows of two
batches side by side, and replay that fills a part of a batch.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.sharding import (
    AxisType,
    Mesh,
    NamedSharding,
    PartitionSpec,
    Sharding,
    SingleDeviceSharding,
)

from lgaa_jax.errors import UserError
from lgaa_jax.training import hosts
from lgaa_jax.training.placing import gathered, placed

AXIS = "rows"  # of the mesh
LARGE = 1 << 12  # numbers of an array from which on it is divided where a state is


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where arrays lie, and what inside of a program keeps them there.

    mesh: of several devices; None: one device, on which nothing here changes a program; divides:
    whether large arrays of a state are divided among the devices.
    """

    mesh: Mesh | None = None
    divides: bool = False

    @property
    def num_devices(self) -> int:
        """Devices of the run."""
        return 1 if self.mesh is None else self.mesh.size

    @property
    def whole(self) -> Sharding:
        """Of arrays that each device has."""
        return self._sharding()

    def by_row(self, axis: int = 0) -> Sharding:
        """Of arrays whose `axis` is divided among the devices."""
        return self._sharding(*[None] * axis, AXIS)

    def of(self, tree: Any) -> Any:
        """The sharding of each array of parameters or of what goes with them.

        Large ones are divided along their longest axis that the devices divide evenly, where the
        layout divides any; every device has all of the others.
        """
        return jax.tree.map(lambda a: self._of_shape(a.shape), tree)

    def round_up(self, n: int) -> int:
        """The least number of rows from n on that the devices divide."""
        return -(-n // self.num_devices) * self.num_devices

    def place(self, tree: Any, where: Any) -> Any:
        """Arrays of the host, on the devices. where: their shardings, in a tree or a part of it."""
        return placed(tree, where) if self._spans else jax.device_put(tree, where)

    def put(self, tree: Any) -> Any:
        """Arrays of the host, their rows divided among the devices; on one device as they are."""
        return tree if self.mesh is None else self.place(tree, self.by_row())

    def fetch(self, tree: Any) -> Any:
        """Arrays of the devices, on the host, whole; with several processes in each of them."""
        return jax.device_get(self.whole_of(tree) if self._spans else tree)

    def whole_of(self, tree: Any) -> Any:
        """Arrays of the devices, all of them on each device."""
        return gathered(tree, self.whole)

    def local(self, tree: Any) -> Any:
        """Arrays of which every device has all, for programs of this process alone.

        With one process they stay as they are.
        """
        return jax.tree.map(lambda a: a.addressable_data(0), tree) if self._spans else tree

    def split(self, tree: Any) -> Any:
        """Within a program: the arrays, their rows divided among the devices."""
        if self.mesh is None:
            return tree
        return jax.lax.with_sharding_constraint(tree, self.by_row())

    def gather(self, tree: Any) -> Any:
        """Within a program: the arrays, all of them on each device."""
        if self.mesh is None:
            return tree
        return jax.lax.with_sharding_constraint(tree, self.whole)

    def assemble(self, params: Any) -> Any:
        """Within a program: parameters, all of them on each device, to compute with."""
        return self.gather(params) if self.divides else params

    def disperse(self, tree: Any) -> Any:
        """Within a program: what goes with parameters, divided as they are."""
        if not self.divides:
            return tree
        return jax.lax.with_sharding_constraint(tree, self.of(tree))

    def split_padded(self, tree: Any, before: int = 0) -> Any:
        """`split` of arrays with `before` rows of zeros before them and as many after as it takes.

        On one device they stay as they are.
        """
        if self.mesh is None:
            return tree

        def padded(rows: jax.Array) -> jax.Array:
            n = before + len(rows)
            rest = [(0, 0)] * (rows.ndim - 1)
            return jnp.pad(rows, [(before, self.round_up(n) - n), *rest])

        # Divided before, rows would move to their places. So each device has all of them first.
        return self.split(jax.tree.map(padded, self.gather(tree)))

    def join(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """The rows of two arrays of one shape together; on several devices by turns: none moves."""
        if self.mesh is None:
            return jnp.concatenate([a, b])
        return self.split(jnp.stack([a, b], axis=1).reshape(-1, *a.shape[1:]))

    def part(self, joined: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Undoes `join`."""
        if self.mesh is None:
            a, b = jnp.split(joined, 2)
        else:
            a, b = jnp.moveaxis(joined.reshape(-1, 2, *joined.shape[1:]), 1, 0)
        return a, b

    def _of_shape(self, shape: tuple[int, ...]) -> Sharding:
        axes = [axis for axis, size in enumerate(shape) if size % self.num_devices == 0]
        if not self.divides or not axes or math.prod(shape) < LARGE:
            return self.whole
        return self.by_row(max(axes, key=lambda axis: shape[axis]))

    @property
    def _spans(self) -> bool:
        """Whether some of the devices are another process's."""
        return self.mesh is not None and self.mesh.is_multi_process

    def _sharding(self, *axes: str | None) -> Sharding:
        if self.mesh is None:
            return SingleDeviceSharding(jax.devices()[0])
        return NamedSharding(self.mesh, PartitionSpec(*axes))


ONE_DEVICE = Layout()


def build_layout(config: ml_collections.ConfigDict) -> Layout:
    """The layout that `config.devices` asks for; raises UserError where it cannot be had."""
    there = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
    hosted = hosts.count()
    # Several devices of a CPU are no more cores: they are for trying this out.
    every = hosted if there[0].platform == "cpu" else len(there)
    n = config.devices or every
    if n > len(there):
        raise UserError(f"devices={n}, but there are {len(there)} here; lower it, or set it to 0.")
    if n % hosted:
        raise UserError(
            f"devices={n} cannot be divided evenly among {hosted} processes; set it to a multiple "
            "of their number, or to 0."
        )
    if config.batch_size % n:
        fewer = [m for m in range(hosted, n, hosted) if config.batch_size % m == 0]
        raise UserError(
            f"batch_size={config.batch_size} cannot be divided evenly among {n} devices; change it"
            + (f", or set devices to {fewer[-1]}." if fewer else ".")
        )
    if n == 1:
        return ONE_DEVICE
    taken = [d for k in range(hosted) for d in _of(k, there)[: n // hosted]]
    # Auto: XLA divides the program by itself.
    mesh = Mesh(np.array(taken), (AXIS,), axis_types=(AxisType.Auto,))
    return Layout(mesh, divides=bool(config.shard_state))


def _of(process: int, devices: Sequence[jax.Device]) -> list[jax.Device]:
    return [device for device in devices if device.process_index == process]
