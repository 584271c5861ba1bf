"""How a trained model computes: in batches of few sizes, on the device one at a time.

Sizes: n images, H x W x C their form, Z content code, U classes, N tasks. One image in gives one
result out, without the leading axis. Which images can be given: images.py.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np

from lgaa_jax.data.images import Form
from lgaa_jax.errors import UserError
from lgaa_jax.model import programs
from lgaa_jax.model.images import batches, is_one
from lgaa_jax.model.tasks import LearnedTask, find
from lgaa_jax.networks.nets import Nets
from lgaa_jax.training.settings import fixed_settings
from lgaa_jax.training.state import TrainState

FEW = 16  # up to so many images, batches are of this size
Label = int | str


@dataclasses.dataclass(frozen=True)
class Core:
    """A trained model, and what its methods are made of."""

    nets: Nets
    state: TrainState  # without optimisers and replay
    class_mask: np.ndarray  # [N, U] bool, the classes that each task has
    learned: tuple[LearnedTask, ...]
    form: Form  # of its images; `crop` is that of each task
    encodes: bool  # False: the strategy trains no encoder
    batch_size: int
    card: dict[str, Any]  # what it is, and what was measured of it

    def __repr__(self) -> str:
        form = "x".join(map(str, self.nets.image_shape))
        return f"<lgaa_jax model of {', '.join(self.tasks)}: {form}, step {self.card['step']}>"

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks that it has learned, in their order."""
        return [task.name for task in self.learned]

    def classes(self, task: str | int) -> dict[int, str]:
        """Label and name of each class of a task; nothing where it has none."""
        found = self.learned[find(self.learned, task)]
        return {u: found.class_names[u] if found.class_names else str(u) for u in found.labels}

    def codes_of(
        self, images: Any, task: str | int | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """z, and the most probable u and d as one-hot rows, u zero for a task without classes.

        Float32 [n, Z], [n, U] and [n, N], also of one image. They are what `reconstruct` decodes.
        """
        images = [images] if is_one(images) else images
        z, of_class, of_domain = np.split(
            self.run(programs.infer, images, task),
            np.cumsum([self.nets.code_size, self.nets.num_classes]),
            axis=-1,
        )
        d = one_hot(of_domain.argmax(-1), self.nets.num_tasks)
        u = np.zeros_like(of_class)
        if self.nets.num_classes:
            classed = (d @ self.class_mask > 0).any(-1)
            u = one_hot(np.where(classed, of_class.argmax(-1), -1), self.nets.num_classes)
        return z, u, d

    @fixed_settings()
    def images_of(self, z: np.ndarray, u: np.ndarray, d: np.ndarray) -> np.ndarray:
        """G of whole codes, which may be mixtures. z: [n, Z]; u: [n, U]; d: [n, N] -> uint8."""
        decode = functools.partial(programs.decode, self.nets, self.state)
        return self._in_batches(decode, *(c.astype(np.float32) for c in (z, u, d)))

    @fixed_settings()
    def carry(
        self, z: np.ndarray, u: np.ndarray, d: np.ndarray, to_u: np.ndarray, to_d: np.ndarray
    ) -> np.ndarray:
        """Codes [n, Z] brought from their class and task to others, see `programs.carried`.

        u, d, to_u, to_d: [n], u = 0 where a task has no classes.
        """
        carried = functools.partial(programs.carried, self.state.codes)
        return self._in_batches(carried, z, *(c.astype(np.int32) for c in (u, d, to_u, to_d)))

    def _in_batches(self, program: Callable[..., jax.Array], *columns: np.ndarray) -> np.ndarray:
        """What a program makes of columns [n, ...], a batch of their rows at a time."""
        n = len(columns[0])
        size = self.size_of(n)
        parts = ([c[i : i + size] for c in columns] for i in range(0, n, size))
        results = (
            np.asarray(program(*(padded(c, size) for c in part)))[: len(part[0])] for part in parts
        )
        return np.concatenate(list(results))

    def need_encoder(self, what: str) -> None:
        """Raises UserError where the encoder was not trained; what: that is to be done."""
        if not self.encodes:
            raise UserError(
                f"the model cannot {what} images: its strategy, {self.card['strategy']}, trains no "
                "encoder."
            )

    def labels_of(
        self, task: LearnedTask, label: Label | Sequence[Label] | None, n: int
    ) -> np.ndarray:
        """A label for each of n images, -1 where the task has none."""
        if label is None:
            return np.resize(np.array(task.labels or [-1], np.int32), n)
        if isinstance(label, int | str | np.integer):
            return np.full(n, task.label(label), np.int32)
        if len(label) != n:
            raise UserError(f"there are {len(label)} labels for {n} images; give one for each.")
        return np.array([task.label(each) for each in label], np.int32)

    def _form(self, task: str | int | None) -> Form:
        """What images are brought to, with the crop of their task."""
        if task is not None:
            return dataclasses.replace(self.form, crop=self.learned[find(self.learned, task)].crop)
        crops = {each.crop for each in self.learned}
        if len(crops) > 1:
            raise UserError(
                "tasks of this model are cropped in different ways; say whose images these are, "
                f"as in task={self.learned[0].name!r}."
            )
        return dataclasses.replace(self.form, crop=crops.pop())

    def size_of(self, n: int) -> int:
        """The size of the batches in which n images are taken."""
        return FEW if n <= FEW else self.batch_size

    @fixed_settings()
    def run(
        self, program: Callable[..., jax.Array], images: Any, task: str | int | None
    ) -> np.ndarray:
        """What a program makes of the images; one batch of them is on the device at a time."""
        one = is_one(images)
        size = self.size_of(1 if one else len(images))
        parts: Iterable[np.ndarray] = (
            np.asarray(program(self.nets, self.state, padded(batch, size)))[: len(batch)]
            for batch in batches(images, self._form(task), size)
        )
        result = np.concatenate(list(parts))
        return result[0] if one else result


def padded(batch: np.ndarray, size: int) -> np.ndarray:
    """The batch filled up with copies of its first row."""
    return np.concatenate([batch, np.repeat(batch[:1], size - len(batch), axis=0)])


def one_hot(index: np.ndarray, size: int) -> np.ndarray:
    """[n] -> float32 [n, size]; an index below 0 gives zeros."""
    return (index[:, None] == np.arange(size)).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, over the last axis."""
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)
