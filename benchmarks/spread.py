"""What samples trade of precision for recall, and what real images come to.

    python benchmarks/spread.py WORKDIR --spreads=1,1.1,1.2

Takes the last checkpoint of a run and judges, for each of its tasks that has classes, images that
are drawn with each of these values of `code_spread`, all else as the evaluation of the run does it.
Runs can be compared at one precision so. The last row, `real`, is of as many training images, with
their true labels as the classes asked for: samples as good and as varied as real images have it.
"""

import argparse
import dataclasses
import pathlib
import sys
from collections.abc import Mapping

import ml_collections
import numpy as np

# `benchmarks` lies beside this file's folder and is not installed.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import lgaa_jax
from lgaa_jax.run.experiment import Experiment, build
from lgaa_jax.run.measurement import generation, judged, some_of

SHOWN = "precision", "recall", "fitting_capacity", "label_agreement", "frechet_distance"


def real(experiment: Experiment, index: int, workdir: pathlib.Path) -> dict[str, float]:
    """The same metrics of training images of the task `index` whose class is known."""
    task = experiment.tasks[index]
    known = task.train.take(task.train.truth >= 0)
    drawn, against = some_of(experiment, known), some_of(experiment, task.test).read()
    return judged(experiment, task, against, drawn.read(), drawn.truth.astype(np.int32), workdir)


def row(task: str, what: str, values: Mapping[str, float]) -> str:
    """Of a table in Markdown."""
    return f"| {task} | {what} | " + " | ".join(f"{values[name]:.3f}" for name in SHOWN) + " |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("workdir", type=pathlib.Path, help="of a run")
    parser.add_argument("--spreads", default="1,1.1,1.2", help="values of code_spread")
    given = parser.parse_args()
    model = lgaa_jax.load(given.workdir)
    config = ml_collections.ConfigDict(model.card["config"])
    experiment = build(config)
    print("| task | spread |", " | ".join(name.replace("_", " ") for name in SHOWN), "|")
    print("|---" * (2 + len(SHOWN)) + "|")
    for index, task in enumerate(experiment.tasks):
        if not task.classes:
            continue
        for spread in map(float, given.spreads.split(",")):
            changed = ml_collections.ConfigDict({**config.to_dict(), "code_spread": spread})
            one = dataclasses.replace(experiment, config=changed)
            found = generation(one, model.state, index, given.workdir)
            print(row(task.name, f"{spread:g}", found), flush=True)
        print(row(task.name, "real", real(experiment, index, given.workdir)), flush=True)


if __name__ == "__main__":
    main()
