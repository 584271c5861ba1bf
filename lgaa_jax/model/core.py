"""How a trained model computes: in batches of few sizes, on the device one at a time.

Sizes: n images, H x W x C their form, Z content code, U classes, N tasks. One image in gives one
result out, without the leading axis. Which images can be given: images.py.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from lgaa_jax.data.images import Form
from lgaa_jax.errors import UserError
from lgaa_jax.evaluation import inference
from lgaa_jax.evaluation.batches import batch_size, collected, filled, in_batches
from lgaa_jax.model import programs
from lgaa_jax.model.images import batches, is_one
from lgaa_jax.model.tasks import LearnedTask, find
from lgaa_jax.networks.nets import Nets, Params
from lgaa_jax.training.batch import Array
from lgaa_jax.training.sampling import turned
from lgaa_jax.training.settings import fixed_settings
from lgaa_jax.training.state import TrainState

Label = int | str


@dataclasses.dataclass(frozen=True)
class Core:
    """A trained model, and what its methods are made of."""

    nets: Nets
    state: TrainState  # without optimisers and replay
    class_mask: np.ndarray  # [N, U] bool, the classes that each task has
    learned: tuple[LearnedTask, ...]
    form: Form  # of its images; `crop` is that of each task
    spread: float  # of the codes of generated images, over that of their moments
    confidence: float  # the least that the class model has in them, see evaluation/confidence.py
    encodes: bool  # False: the strategy trains no encoder
    batch_size: int
    card: dict[str, Any]  # what it is, and what was measured of it

    def __repr__(self) -> str:
        form = "x".join(map(str, self.nets.image_shape))
        return f"<lgaa_jax model of {', '.join(self.tasks)}: {form}, step {self.card['step']}>"

    @functools.cached_property
    def params(self) -> Params:
        """The parameters by network."""
        return self.state.evaluated

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

        def program(nets: Nets, params: Params, batch: np.ndarray) -> tuple[jax.Array, ...]:
            z, u, d = inference.infer(nets, params, batch)
            return z, *inference.codes(nets, self.class_mask, u, d)

        return self.run(program, [images] if is_one(images) else images, task)

    @fixed_settings()
    def images_of(self, z: np.ndarray, u: np.ndarray, d: np.ndarray) -> np.ndarray:
        """G of whole codes, which may be mixtures. z: [n, Z]; u: [n, U]; d: [n, N] -> uint8."""
        codes = (c.astype(np.float32) for c in (z, u, d))
        return in_batches(self.decoded, self.batch_size, *codes)

    def decoded(self, z: Array, u: Array, d: Array) -> jax.Array:
        """`images_of` one batch, on the device."""
        return programs.eight_bits(inference.decode(self.nets, self.params, z, u, d))

    def drawn(self, key: jax.Array, u: np.ndarray, index: int, turn: int) -> np.ndarray:
        """Images of classes u [n] of a task, uint8; turn: 1, 2 ... are others of the same."""
        n, size = len(u), batch_size(len(u), self.batch_size)

        def chunk(i: int) -> jax.Array:
            chosen = np.resize(u[i * size : (i + 1) * size], size)
            own, d = turned(jax.random.fold_in(key, i), turn), np.full(size, index, np.int32)
            codes = programs.sample(self.nets, self.state.codes, own, chosen, d, self.spread)
            return self.decoded(*codes)

        return collected(map(chunk, range(-(-n // size))), n)

    @fixed_settings()
    def carry(
        self, z: np.ndarray, u: np.ndarray, d: np.ndarray, to_u: np.ndarray, to_d: np.ndarray
    ) -> np.ndarray:
        """Codes [n, Z] brought from their class and task to others, see `programs.carried`.

        u, d, to_u, to_d: [n], u = 0 where a task has no classes.
        """
        carried = functools.partial(programs.carried, self.state.codes)
        cells = (c.astype(np.int32) for c in (u, d, to_u, to_d))
        return in_batches(carried, self.batch_size, z, *cells)

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

    def labels_there(self, task: LearnedTask, u: np.ndarray) -> np.ndarray:
        """For classes u [n, U] one-hot, their labels in another task: its first where it has not.

        -1 where it has no classes.
        """
        own = np.where(u.any(-1), u.argmax(-1), -1)
        first = task.labels[0] if task.labels else -1
        return np.where(np.isin(own, task.labels), own, first)

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

    @fixed_settings()
    def run(
        self,
        program: Callable[[Nets, Params, np.ndarray], Any],
        images: Any,
        task: str | int | None,
    ) -> Any:
        """What a program makes of the images; one batch of them is on the device at a time.

        program: from networks, parameters and images [B, H, W, C] uint8 to an array [B, ...], or to
        several.
        """
        one = is_one(images)
        n = 1 if one else len(images)
        size = batch_size(n, self.batch_size)
        formed = (filled(batch, size) for batch in batches(images, self._form(task), size))
        result = collected((program(self.nets, self.params, batch) for batch in formed), n)
        return jax.tree.map(lambda rows: rows[0], result) if one else result


def checked_steps(steps: int) -> int:
    """The number of images on a way. Raises UserError where there are no two."""
    if not isinstance(steps, int | np.integer) or steps < 2:
        raise UserError(f"steps={steps!r} cannot be used; give a number above 1.")
    return int(steps)


def one_hot(index: np.ndarray, size: int) -> np.ndarray:
    """[n] -> float32 [n, size]; an index below 0 gives zeros."""
    return (index[:, None] == np.arange(size)).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, over the last axis."""
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)
