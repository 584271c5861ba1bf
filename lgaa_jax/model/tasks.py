"""The tasks that a model has learned, and how a user names them and their classes."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from lgaa_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class LearnedTask:
    """One task of a model."""

    name: str
    labels: tuple[int, ...]  # that it has; () where it has no classes
    class_names: tuple[str, ...]  # of the labels 0 to U - 1; () where it has none
    crop: int = 0  # data.crop of its images

    def label(self, asked: int | str) -> int:
        """The label of a class, named by itself or by its label. Raises UserError."""
        if isinstance(asked, str) and asked in self.class_names:
            asked = self.class_names.index(asked)
        if isinstance(asked, int | np.integer) and asked in self.labels:
            return int(asked)
        if not self.labels:
            raise UserError(f"task {self.name!r} has no classes; leave the label out.")
        known = ", ".join(map(str, self.labels))
        names = [self.class_names[label] for label in self.labels if self.class_names]
        named = f" or {', '.join(names)}" if names and names != known.split(", ") else ""
        raise UserError(f"task {self.name!r} has no class {asked!r}; it has {known}{named}.")


def find(tasks: Sequence[LearnedTask], asked: str | int) -> int:
    """The index of a task, named by its name or its index. Raises UserError."""
    names = [task.name for task in tasks]
    if isinstance(asked, str) and asked in names:
        return names.index(asked)
    if isinstance(asked, int | np.integer) and 0 <= asked < len(tasks):
        return int(asked)
    raise UserError(f"the model has learned no task {asked!r}; it has {', '.join(names)}.")
