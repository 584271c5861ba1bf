"""What a user calls from Python beside `load`: a run, and the export of its model."""

from pathlib import Path

import ml_collections

from lgaa_jax.files import PathLike, expand
from lgaa_jax.model import exporting
from lgaa_jax.model.loading import load, read_written
from lgaa_jax.model.model import Model
from lgaa_jax.run import driver

EXPORT = "export"  # folder in a workdir


def train(
    config: ml_collections.ConfigDict,
    workdir: PathLike,
    defaults: ml_collections.ConfigDict | None = None,
) -> Model:
    """Trains, or goes on, as `launch.py` does with the same config and workdir; then the model.

    config: as `get_config` of a config gives it; defaults: that of configs/default.py, from which
    the report marks what differs. Raises UserError where something is wrong with the config.
    """
    driver.run(config, workdir, defaults)
    return load(workdir)


def export(workdir: PathLike, folder: PathLike | None = None, step: int | None = None) -> Path:
    """Writes the model of a run, `load(workdir, step)`, as a folder that stands alone.

    folder: where; None: `export` in the workdir. What it holds: model/exporting.py. Returns it.
    """
    model = load(workdir, step)
    target = expand(workdir) / EXPORT if folder is None else expand(folder)
    exporting.export(model, read_written(expand(workdir)), target)
    return target
