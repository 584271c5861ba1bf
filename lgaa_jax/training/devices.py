"""The devices of a run, and how its arrays lie on them.

On several devices a run is data parallel: each holds the whole state and a part of the rows of
every batch. It is still one program, which XLA divides, by plain `jax.jit` with shardings: means
are over the whole batch, and each row has the random numbers that it has on one device. `jax.pmap`
is in maintenance, and would want a program of one device that knows of the others.

What XLA cannot divide without moving rows between devices is written apart here: rows of two
batches side by side, and replay that fills a part of a batch.
"""

import dataclasses
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

AXIS = "rows"  # of the mesh


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where arrays lie, and what inside of a program keeps them there.

    mesh: of several devices; None: one device, on which nothing here changes a program.
    """

    mesh: Mesh | None = None

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

    def round_up(self, n: int) -> int:
        """The least number of rows from n on that the devices divide."""
        return -(-n // self.num_devices) * self.num_devices

    def put(self, tree: Any) -> Any:
        """Arrays of the host, their rows divided among the devices; on one device as they are."""
        return tree if self.mesh is None else jax.device_put(tree, self.by_row())

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

    def _sharding(self, *axes: str | None) -> Sharding:
        if self.mesh is None:
            return SingleDeviceSharding(jax.devices()[0])
        return NamedSharding(self.mesh, PartitionSpec(*axes))


ONE_DEVICE = Layout()


def build_layout(config: ml_collections.ConfigDict) -> Layout:
    """The layout that `config.devices` asks for; raises UserError where it cannot be had."""
    devices = jax.devices()
    # Several devices of a CPU are no more cores: they are for trying this out.
    every = 1 if devices[0].platform == "cpu" else len(devices)
    n = config.devices or every
    if n > len(devices):
        raise UserError(
            f"devices={n}, but there are {len(devices)} here; lower it, or set it to 0."
        )
    if config.batch_size % n:
        raise UserError(
            f"batch_size={config.batch_size} cannot be divided evenly among {n} devices; change "
            f"it, or set devices to {_most(config.batch_size, n)}."
        )
    if n == 1:
        return ONE_DEVICE
    # Auto: XLA divides the program by itself.
    return Layout(Mesh(np.array(devices[:n]), (AXIS,), axis_types=(AxisType.Auto,)))


def _most(batch_size: int, devices: int) -> int:
    """The most of the devices that divide a batch."""
    return max(n for n in range(1, devices + 1) if batch_size % n == 0)
