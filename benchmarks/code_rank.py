"""What samples lose where the covariance of the codes is held as components and a diagonal.

    python benchmarks/code_rank.py WORKDIR --ranks=0,8,32

Takes the last checkpoint of a run with whole covariances and draws images of each task as its
evaluation does, with the best covariance of each rank in its place: the first principal components,
and of the diagonal what they leave. A cell then takes (rank + 2) Z numbers in place of Z^2 + Z. The
last line of each task is of the covariance itself.
"""

import argparse
import pathlib
import sys

import jax.numpy as jnp
import ml_collections
import numpy as np

# `benchmarks` lies beside this file's folder and is not installed.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import lgaa_jax
from lgaa_jax.run.experiment import build
from lgaa_jax.run.measurement import generation
from lgaa_jax.training.covariances import covariance

SHOWN = "precision", "recall", "fitting_capacity", "label_agreement", "frechet_distance"


def of_rank(whole: np.ndarray, rank: int) -> np.ndarray:
    """Covariances of the cheaper form. [..., Z, Z] -> [..., Z, Z]."""
    values, vectors = np.linalg.eigh(whole)  # the smallest come first
    left = whole.shape[-1] - rank
    loadings = vectors[..., left:] * np.sqrt(values[..., None, left:])
    taken = loadings @ np.swapaxes(loadings, -1, -2)
    variances = np.diagonal(whole - taken, axis1=-2, axis2=-1)
    return taken + variances[..., None] * np.eye(whole.shape[-1])


def main() -> None:
    """Prints a line for each task and rank."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", type=pathlib.Path)
    parser.add_argument("--ranks", default="0,4,8,16,32")
    options = parser.parse_args()
    model = lgaa_jax.load(options.workdir)
    experiment = build(ml_collections.ConfigDict(model.card["config"]))
    codes = model.state.codes
    if "factor" not in codes:
        parser.error(f"{options.workdir} has components already; train with a larger code_rank")
    every = slice(None)
    whole = covariance({"factor": np.asarray(codes["factor"], np.float64)}, every, every)
    size = whole.shape[-1]
    forms = {rank: of_rank(whole, rank) for rank in map(int, options.ranks.split(","))}
    forms[size] = whole
    print(f"{'task':24}{'rank':>6}{'numbers':>9}" + "".join(f"{name:>18}" for name in SHOWN))
    for index, task in enumerate(experiment.names):
        for rank, form in forms.items():
            moved = {**codes, "factor": jnp.asarray(np.linalg.cholesky(form), jnp.float32)}
            state = model.state.replace(codes=moved)
            found = generation(experiment, state, index, options.workdir)
            numbers = size * (size + 1 if rank == size else rank + 2)
            figures = "".join(f"{found[name]:18.3f}" for name in SHOWN)
            print(f"{task:24}{rank:6}{numbers:9}{figures}", flush=True)


if __name__ == "__main__":
    main()
