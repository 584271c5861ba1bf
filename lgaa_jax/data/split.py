"""Images with their labels."""

import dataclasses

import numpy as np

from lgaa_jax.data.stored import Images, Stored, taken


@dataclasses.dataclass(frozen=True)
class Split:
    """Images with their labels."""

    images: Images  # uint8 [n, H, W, C], in memory or on disk
    labels: np.ndarray  # int32 [n], what training may know; -1 where there is none
    truth: np.ndarray  # int32 [n], the source's own labels, read by evaluation alone
    # int32 [n, K], which value each known factor of the images has, read by exploring alone; None:
    # their factors are not known.
    factors: np.ndarray | None = None

    def take(self, chosen: np.ndarray) -> "Split":
        """The examples that are chosen, by indices or a mask; of those on disk none is read."""
        factors = None if self.factors is None else self.factors[chosen]
        return Split(taken(self.images, chosen), self.labels[chosen], self.truth[chosen], factors)

    def held(self) -> "Split":
        """The same with its images in memory."""
        return dataclasses.replace(self, images=self.read())

    def read(self) -> np.ndarray:
        """All images, in memory: uint8 [n, H, W, C]."""
        return self.images[:] if isinstance(self.images, Stored) else self.images
