"""A run from Python."""

import ml_collections

from lgaa_jax.files import PathLike
from lgaa_jax.model.loading import load
from lgaa_jax.model.model import Model
from lgaa_jax.run import driver


def train(config: ml_collections.ConfigDict, workdir: PathLike) -> Model:
    """Trains, or goes on, as `launch.py` does with the same config and workdir; then the model.

    config: as `get_config` of a config gives it. Raises UserError where something is wrong with it.
    """
    driver.run(config, workdir)
    return load(workdir)
