"""Rows that are read ahead, on the devices."""

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from lgaa_jax.run.feeding import local_columns, placed
from lgaa_jax.training.devices import AXIS, ONE_DEVICE, Layout


def test_each_device_has_the_rows_that_it_computes():
    two = Layout(Mesh(np.array(jax.devices()[:2]), (AXIS,), axis_types=(AxisType.Auto,)))
    rows = np.arange(3 * 8 * 5).reshape(3, 8, 5).astype(np.uint8)
    for layout, parts in ((ONE_DEVICE, [rows]), (two, [rows[:, :4], rows[:, 4:]])):
        assert local_columns(layout, 8) == slice(0, 8)
        found = placed(rows, layout, 8)
        assert found.sharding == layout.by_row(axis=1)
        for shard, part in zip(found.addressable_shards, parts, strict=True):
            np.testing.assert_array_equal(shard.data, part)


class SecondProcess(Layout):
    """As the second of two processes sees it, whose devices have the rows from 4 on."""

    def by_row(self, axis=0):
        class Sharding:
            def addressable_devices_indices_map(self, shape):
                return {"its device": (slice(4, 8),)}

        return Sharding()


def test_a_process_reads_the_rows_of_its_own_devices():
    assert local_columns(SecondProcess(), 8) == slice(4, 8)
