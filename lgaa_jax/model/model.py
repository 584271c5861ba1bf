"""A trained model as its users have it: images and codes in, images and codes out, as NumPy.

Sizes: n images, H x W x C their form, Z content code, U classes, N tasks. One image in gives one
result out, without the leading axis. Which images can be given: images.py.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from lgaa_jax.data.images import to_unsigned
from lgaa_jax.errors import UserError
from lgaa_jax.evaluation import inference
from lgaa_jax.evaluation.confidence import confident
from lgaa_jax.model import programs
from lgaa_jax.model.core import Core, Label, checked_steps, one_hot, softmax
from lgaa_jax.model.images import is_one
from lgaa_jax.model.tasks import find
from lgaa_jax.networks.nets import Nets, Params
from lgaa_jax.training.settings import fixed_settings


class Model(Core):
    """A trained model. `lgaa_jax.load` makes one."""

    @fixed_settings()
    def generate(
        self,
        n: int,
        task: str | int,
        label: Label | Sequence[Label] | None = None,
        seed: int = 0,
        confidence: float | None = None,
    ) -> np.ndarray:
        """New images of a task: uint8 [n, H, W, C], the same for the same seed.

        label: the class of all, by label or name, or one for each; None: classes in turn, from the
        task's first. confidence: the least probability that the class model gives to it, see
        evaluation/confidence.py; None: as the run was evaluated.
        """
        if not isinstance(n, int | np.integer) or n < 1:
            raise UserError(f"n={n!r} images cannot be generated; give a number above 0.")
        index = find(self.learned, task)
        u = self.labels_of(self.learned[index], label, n)
        least = self.confidence if confidence is None else confidence
        if not isinstance(least, int | float) or not 0 <= least < 1:
            raise UserError(f"confidence={least!r} cannot be used; give 0 or more, below 1.")
        drawn = functools.partial(self.drawn, jax.random.key(seed), u, index)
        return confident(drawn(0), drawn, self.nets, self.state, u, least, self.batch_size)

    def encode(self, images: Any, task: str | int | None = None) -> np.ndarray:
        """Content codes, the means of q(z given x): float32 [n, Z].

        task: whose images they are; needed only where tasks are cropped in different ways.
        """
        self.need_encoder("encode")
        return self.run(inference.encode, images, task)

    def classify(
        self, images: Any, task: str | int | None = None, probabilities: bool = False
    ) -> np.ndarray:
        """The most probable label of each image, int32 [n], or all probabilities, [n, U].

        task: as in `encode`. The model chooses among all classes, whatever the task.
        """
        if self.nets.class_model is None:
            raise UserError("the model has no classes: it was trained without labels.")
        logits = self.run(inference.class_logits, images, task)
        return softmax(logits) if probabilities else logits.argmax(-1).astype(np.int32)

    def task_of(
        self, images: Any, task: str | int | None = None, probabilities: bool = False
    ) -> Any:
        """The name of the most probable task of each image, or probabilities, [n, tasks].

        task: as in `encode`.
        """
        self.need_encoder("tell the tasks of")
        logits = self.run(inference.task_logits, images, task)[..., : len(self.learned)]
        if probabilities:
            return softmax(logits)
        found = logits.argmax(-1)
        return self.tasks[found] if found.ndim == 0 else [self.tasks[d] for d in found]

    def reconstruct(
        self, images: Any, task: str | int | None = None, floats: bool = False
    ) -> np.ndarray:
        """The images again, from their own codes: uint8 [n, H, W, C]; task: as in `encode`.

        floats: as float32 from 0 to 1, not rounded. The metrics of a run are measured on these.
        """
        self.need_encoder("reconstruct")

        def program(nets: Nets, params: Params, batch: np.ndarray) -> jax.Array:
            x, _, _ = inference.reconstruct(nets, params, self.class_mask, batch)
            return to_unsigned(x) if floats else programs.eight_bits(x)

        return self.run(program, images, task)

    @fixed_settings()
    def decode(
        self, codes: np.ndarray, task: str | int, label: Label | Sequence[Label] | None = None
    ) -> np.ndarray:
        """Images of content codes in a task and class: [n, Z] -> uint8 [n, H, W, C].

        label: as in `generate`, None only where the task has no classes.
        """
        codes = np.asarray(codes, np.float32)
        z, index = np.atleast_2d(codes), find(self.learned, task)
        if z.shape[1:] != (self.nets.code_size,):
            raise UserError(
                f"codes cannot have the shape {codes.shape}; give [n, {self.nets.code_size}]."
            )
        found = self.learned[index]
        if label is None and found.labels:
            raise UserError(f"task {found.name!r} has classes; name the label of the codes.")
        u = one_hot(self.labels_of(found, label, len(z)), self.nets.num_classes)
        d = one_hot(np.full(len(z), index), self.nets.num_tasks)
        x = self.images_of(z, u, d)
        return x if codes.ndim == 2 else x[0]

    def interpolate(
        self,
        first: Any,
        last: Any,
        steps: int = 9,
        task: str | int | None = None,
        codes: str = "all",
    ) -> np.ndarray:
        """Images on the way from one image to another: uint8 [steps, H, W, C], ends included.

        codes: "all" moves z, u and d in a line, so that between two classes or tasks u and d are
        mixtures; "z" moves z alone, and the class and task stay the first image's. task: as in
        `encode`.
        """
        self.need_encoder("interpolate")
        if not is_one(first) or not is_one(last):
            raise UserError("interpolate goes from one image to one other; give two images.")
        if codes not in ("all", "z"):
            raise UserError(f"codes={codes!r} cannot be used; give 'all' or 'z'.")
        weight = np.linspace(0, 1, checked_steps(steps), dtype=np.float32)[:, None]
        begin, end = self.codes_of(first, task), self.codes_of(last, task)
        end = end if codes == "all" else (end[0], *begin[1:])
        ends = zip(begin, end, strict=True)
        return self.images_of(*((1 - weight) * a + weight * b for a, b in ends))

    def translate(
        self,
        images: Any,
        task: str | int,
        label: Label | Sequence[Label] | None = None,
        carried: bool = True,
        source: str | int | None = None,
    ) -> np.ndarray:
        """The content of images in another task: uint8 [n, H, W, C].

        label: the classes there, as in `generate`; None: the images' own where the task has it,
        else its first. carried: whether z is brought to the same place among the codes of that
        class and task (programs.carried); otherwise it stays. source: the task of the images, as
        `task` in `encode`.
        """
        self.need_encoder("translate")
        index, one = find(self.learned, task), is_one(images)
        z, u, d = self.codes_of(images, source)
        target = self.learned[index]
        if label is None:
            new = self.labels_there(target, u)
        else:
            new = self.labels_of(target, label, len(z))
        if carried and self.state.codes:
            there = np.maximum(new, 0), np.full(len(z), index)
            z = self.carry(z, u.argmax(-1), d.argmax(-1), *there)
        d = one_hot(np.full(len(z), index), self.nets.num_tasks)
        x = self.images_of(z, one_hot(new, self.nets.num_classes), d)
        return x[0] if one else x

    def traverse(
        self,
        image: Any,
        dim: int,
        steps: int = 9,
        span: float = 3.0,
        task: str | int | None = None,
    ) -> np.ndarray:
        """An image with one dimension of its z moved: uint8 [steps, H, W, C].

        From its own value by -span to +span deviations of N(0, I), the prior. task: as in `encode`.
        """
        self.need_encoder("traverse")
        if not is_one(image):
            raise UserError("traverse takes one image.")
        if not isinstance(dim, int | np.integer) or not 0 <= dim < self.nets.code_size:
            raise UserError(f"dim={dim!r} is none of z; it has 0 to {self.nets.code_size - 1}.")
        z, u, d = (np.repeat(c, checked_steps(steps), axis=0) for c in self.codes_of(image, task))
        z[:, dim] += np.linspace(-span, span, steps)
        return self.images_of(z, u, d)
