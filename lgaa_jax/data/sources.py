"""Where the images of tasks come from: the known sets, folders, and TFDS sets.

Labels: a TFDS set outside `SOURCES` has those of its ClassLabel feature `label`, if that counts at
most 100. Omniglot is unlabelled because its train and test splits share no character, CelebA
because it has no class label.
"""

import dataclasses
import difflib
from collections.abc import Callable

import numpy as np

from lgaa_jax.data import embedded, folders, letter_factors, lettering, tfds_sets
from lgaa_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Factors:
    """The factors that determine the images of a source."""

    names: tuple[str, ...]
    # Returns (train, test): int32 [n, K], which value each factor has, from 0.
    read: Callable[[], tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a task's images come from."""

    num_classes: int  # 0: unlabelled
    # Returns (train, test); None: a TFDS set or a folder.
    read: Callable[[], tuple[embedded.Arrays, embedded.Arrays]] | None = None
    # In the order of their labels; (): their numbers, or what TFDS calls them.
    class_names: tuple[str, ...] = ()
    factors: Factors | None = None  # None: they are not known


SOURCES = {
    "digits": Source(10, embedded.digits),
    "letters": Source(10, embedded.letters, tuple(lettering.LETTERS)),
    "letter_factors": Source(
        10,
        letter_factors.letter_factors,
        tuple(lettering.LETTERS),
        Factors(letter_factors.NAMES, letter_factors.values),
    ),
    "mnist": Source(10),
    "fashion_mnist": Source(10),
    "svhn_cropped": Source(10),
    "cifar10": Source(10),
    "omniglot": Source(0),
    "celeb_a": Source(0),
}


def lookup(name: str, data_dir: str) -> Source:
    """Returns the Source called `name`: one of SOURCES, a folder, or a TFDS set in data_dir."""
    if name in SOURCES:
        return SOURCES[name]
    if folders.is_folder(name):
        names = folders.scan(name).class_names
        return Source(len(names), class_names=names)
    builder = tfds_sets.find(name, data_dir)
    if builder is not None and tfds_sets.is_prepared(builder):
        names = tfds_sets.class_names(builder, data_dir)
        return Source(len(names), class_names=names)
    close = difflib.get_close_matches(name.lower(), SOURCES, n=1)
    end = f"; did you mean {close[0]!r}?" if close else "."
    raise UserError(
        f"unknown task {name!r}: there are {', '.join(SOURCES)}, folder:PATH for a folder of "
        "images, and every TFDS image set that is prepared in "
        f"{data_dir or 'the default TFDS folder'} (data.data_dir){end}"
    )
