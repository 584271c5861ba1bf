"""Clustering accuracy of k-means on the pixels of each task: what classes found must be above.

    python benchmarks/kmeans.py --config=configs/quickstart.py [--config.data.data_dir=DIR]

The best of ten starts by the distance within clusters, on at most 10,000 training images; the
accuracy is that on the test images.
"""

from absl import app
from ml_collections import config_flags
from sklearn.cluster import KMeans

from lgaa_jax.data import loading
from lgaa_jax.data.images import to_unit
from lgaa_jax.data.loading import Task
from lgaa_jax.evaluation import clustering

CONFIG = config_flags.DEFINE_config_file("config", lock_config=True)
IMAGES = 10_000  # most training images that are clustered


def accuracy(task: Task) -> float:
    """Clustering accuracy on the test images; as many clusters as the task has classes."""
    train, test = (
        to_unit(split.images).reshape(len(split.images), -1) for split in (task.train, task.test)
    )
    every = -(-len(train) // IMAGES)
    found = KMeans(len(task.classes), n_init=10, random_state=0).fit(train[::every])
    return clustering.accuracy(found.predict(test), task.test.truth)


def main(_) -> None:
    """Prints a line for each task that has labels."""
    for task in loading.load(CONFIG.value):
        if task.classes:
            print(f"{task.name}: {accuracy(task):.1%}")


if __name__ == "__main__":
    app.run(main)
