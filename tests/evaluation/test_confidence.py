"""Images that the class model reads as asked for, against what is chosen by loops."""

import types

import numpy as np
import pytest

from lgaa_jax.evaluation import confidence

SIZE = 4  # of the batches
RNG = np.random.default_rng(0)
DRAWS = RNG.integers(0, 256, (confidence.TRIES, 7, 2, 2, 1), np.uint8)
ASKED = np.array([0, 1, 2, 0, 1, 2, -1])


class Reading:
    """A class model whose logits are numbers of the pixels."""

    class_model = "there is one"

    def apply(self, name, params, x):
        assert name == "class"
        return params["class"] * x.reshape(len(x), 4)[:, :3]


NETS, STATE = Reading(), types.SimpleNamespace(evaluated={"class": np.float32(3.0)})


def certainty(images):
    """The probability of the class that was asked for, by its definition."""
    logits = 3.0 * (np.float64(images).reshape(len(images), 4)[:, :3] / 127.5 - 1)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return np.array([1.0 if u < 0 else row[u] for row, u in zip(p, ASKED, strict=True)])


@pytest.mark.parametrize("least", [0.3, 0.6, 0.999])
def test_each_place_has_the_first_draw_that_is_sure_enough_or_else_the_surest(least):
    sure = np.stack([certainty(draw) for draw in DRAWS])
    enough = sure >= least
    assert not enough[0].all()
    chosen = np.where(enough.any(0), enough.argmax(0), sure.argmax(0))
    expected = DRAWS[chosen, np.arange(7)]
    turns = []

    def again(turn):
        turns.append(turn)
        return DRAWS[turn]

    first = DRAWS[0].copy()
    found = confidence.confident(first, again, NETS, STATE, ASKED, least, SIZE)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(first, DRAWS[0])
    assert turns == [1, 2, 3][: len(turns)]
    assert len(turns) == 3 or enough[: len(turns) + 1].any(0).all()


def test_nothing_is_drawn_again_where_nothing_asks_for_it():
    """Without a least probability, without a class model, of a task without classes."""
    without, first = types.SimpleNamespace(class_model=None), DRAWS[0]
    for nets, u, least in ((NETS, ASKED, 0.0), (without, ASKED, 0.5), (NETS, ASKED * 0 - 1, 0.5)):
        assert confidence.confident(first, None, nets, STATE, u, least, SIZE) is first
    sure = confidence.confident(first, None, NETS, STATE, ASKED, 1e-9, SIZE)
    np.testing.assert_array_equal(sure, first)
