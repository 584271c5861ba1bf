"""What samples gain where the codes of a class are drawn from several normals.

    python benchmarks/code_modes.py WORKDIR --modes=1,16,64 [--task=0]

Takes the last checkpoint of a run and encodes the training images of one of its tasks. To the codes
of each class it fits so many normals, by k-means, and draws and judges images as the evaluation of
the run does. The first line is of the codes as the run draws them. The last, `real`, has normals at
the codes of `MOST` training images of each class, as wide as the noise of the class: what a density
of these codes could come to, and no model may keep.
"""

import argparse
import pathlib
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from sklearn.cluster import MiniBatchKMeans

# `benchmarks` lies beside this file's folder and is not installed.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import lgaa_jax
from lgaa_jax.data.images import to_unit
from lgaa_jax.run.experiment import Experiment, build
from lgaa_jax.run.measurement import generation
from lgaa_jax.training.state import TrainState

SHOWN = "precision", "recall", "fitting_capacity", "label_agreement", "frechet_distance"
Fit = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, ...]]
BATCH = 250
MOST = 500


def encoded(experiment: Experiment, state: TrainState, index: int) -> tuple[np.ndarray, ...]:
    """Means and deviations of q(z|x) of a task's training images, [n, Z] each, and classes [n]."""
    train = experiment.tasks[index].train
    encode = jax.jit(lambda x: experiment.nets.apply("encoder", state.evaluated, to_unit(x)))
    n = len(train.images) // BATCH * BATCH  # the few left over are left out
    parts = [encode(train.images[np.arange(i, i + BATCH)]) for i in range(0, n, BATCH)]
    mean, deviation = (np.concatenate(part).astype(np.float64) for part in zip(*parts, strict=True))
    return mean, deviation, np.asarray(train.truth[:n])


def clustered(mean: np.ndarray, variance: np.ndarray, modes: int) -> tuple[np.ndarray, ...]:
    """Centres [M, Z], shares [M] and covariances [M, Z, Z] about the centres. mean: [n, Z]."""
    noise = np.tile(np.diag(variance), (modes, 1, 1))
    mode = MiniBatchKMeans(modes, random_state=0, n_init=2, batch_size=512).fit(mean).labels_
    shares = np.bincount(mode, minlength=modes) / len(mode)
    # A mode without a code has no share, whatever its centre.
    own = [mean[mode == m] if shares[m] else mean[:1] for m in range(modes)]
    spread = np.stack([np.cov(codes.T, bias=True) for codes in own])
    return np.stack([codes.mean(0) for codes in own]), shares, spread + noise


def at_codes(mean: np.ndarray, variance: np.ndarray, modes: int) -> tuple[np.ndarray, ...]:
    """The same of normals at some of the codes."""
    some = np.random.default_rng(0).permutation(mean)[:modes]
    return some, np.full(len(some), 1 / len(some)), np.tile(np.diag(variance), (len(some), 1, 1))


def density(
    experiment: Experiment, codes: tuple[np.ndarray, ...], index: int, modes: int, fit: Fit
) -> dict[str, jax.Array]:
    """Moments of codes (training/codes.py) whose cells of a task have so many modes.

    codes: as `encoded` has them; fit: `clustered` or `at_codes`.
    """
    mean, deviation, labels = codes
    nets, noise = experiment.nets, experiment.config.code_noise
    cells, size = (nets.num_tasks, nets.num_classes), nets.code_size
    eye = np.eye(size, dtype=np.float32)
    found = {"mean": np.zeros((*cells, size)), "factor": np.tile(eye, (*cells, 1, 1))}
    found["inner_factor"] = np.tile(eye, (*cells, modes, 1, 1))
    found["centres"] = np.zeros((*cells, modes, size))
    found["shares"] = np.zeros((*cells, modes))
    for label in np.unique(labels[labels >= 0]):
        own, cell = labels == label, (index, label)
        variance = np.square(noise * deviation[own]).mean(0)
        centres, shares, inner = fit(mean[own], variance, modes)
        found["mean"][cell] = mean[own].mean(0)
        found["centres"][cell][: len(centres)] = centres
        found["shares"][cell][: len(shares)] = shares
        found["inner_factor"][cell][: len(inner)] = np.linalg.cholesky(inner)
    return {name: jnp.asarray(a, jnp.float32) for name, a in found.items()}


def main() -> None:
    """Prints a line for each number of modes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", type=pathlib.Path)
    parser.add_argument("--modes", default="1,4,16,64")
    parser.add_argument("--task", type=int, default=0, help="its place in the sequence")
    options = parser.parse_args()
    model = lgaa_jax.load(options.workdir)
    experiment, state = build(ml_collections.ConfigDict(model.card["config"])), model.state
    codes = encoded(experiment, state, options.task)
    modes = {"as drawn": None, **{m: int(m) for m in options.modes.split(",")}, "real": MOST}
    print(f"{'modes':10}" + "".join(f"{name:>18}" for name in SHOWN))
    for name, count in modes.items():
        if count:
            fit = at_codes if name == "real" else clustered
            found = state.replace(codes=density(experiment, codes, options.task, count, fit))
        else:
            found = state
        judged = generation(experiment, found, options.task, options.workdir)
        print(f"{name:10}" + "".join(f"{judged[m]:18.3f}" for m in SHOWN), flush=True)


if __name__ == "__main__":
    main()
