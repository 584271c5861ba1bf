"""Notes on the images and classes of a task that may not be what its user expects."""

from collections.abc import Sequence

import numpy as np

from lgaa_jax.data.stored import Images

NAMED = 10  # classes that a note names


def task_notes(
    images: Images, train: np.ndarray, test: np.ndarray, class_names: Sequence[str]
) -> list[str]:
    """Sentences on classes without test images and on images that are all the same.

    images: training images uint8 [n, H, W, C]. train, test: int [n], labels of the training and the
    test images, -1 where there are none.
    """
    labels = [int(label) for label in np.unique(train) if label >= 0]
    untested = [label for label in labels if not (test == label).any()]
    same = [label for label in labels if _identical(images, np.flatnonzero(train == label))]
    notes = []
    if untested:
        notes.append(f"no test image of {_named(untested, class_names)}")
    if _identical(images, np.arange(len(images))):
        notes.append(f"all {len(images)} training images are identical")
    elif same:
        notes.append(f"all training images are identical in {_named(same, class_names)}")
    return notes


def _identical(images: Images, indices: np.ndarray) -> bool:
    """Whether these are two images or more, and all the same; ends at the first that differs."""
    return len(indices) > 1 and all((images[indices[0]] == images[i]).all() for i in indices[1:])


def _named(labels: Sequence[int], class_names: Sequence[str]) -> str:
    """`class cat`, or `the classes cat, dog`."""
    some = ", ".join(class_names[label] for label in labels[:NAMED])
    more = f" and {len(labels) - NAMED} more" if len(labels) > NAMED else ""
    return f"class {some}" if len(labels) == 1 else f"the classes {some}{more}"
