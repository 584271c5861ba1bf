"""Signs of collapse: of images that are sound, and of each kind that is not."""

import numpy as np
import pytest

from lgaa_jax.evaluation.collapse import signs, warning

RNG = np.random.default_rng(0)
REAL = RNG.integers(0, 256, (300, 4, 4, 1), np.uint8)
CLASSES = (0, 1, 2, 3)


def probabilities(labels, sure=0.97):
    """Of four classes: `sure` for the label of each image, the rest shared out."""
    rest = np.full((len(labels), 4), (1 - sure) / 3)
    rest[np.arange(len(labels)), labels] = sure
    return rest


EVEN = probabilities(np.arange(200) % 4)


def test_sound_replay_is_not_warned_of():
    found = signs(REAL[:200], REAL, EVEN, CLASSES)
    assert found["balance"] == pytest.approx(1.0)
    assert found["sure"] == 1.0
    assert found["diversity"] == pytest.approx(1.0, abs=0.05)
    assert warning("digits", found) is None


@pytest.mark.parametrize(
    ("drawn", "given", "says"),
    [
        (REAL[:200] // 4, EVEN, "its images vary 0.06 times as much as the real ones"),
        (REAL[:200], probabilities(np.zeros(200, int)), "it has few of its classes (balance 0.00,"),
        (REAL[:200], probabilities(np.arange(200) % 4, 0.8), "sure of 0% of its images only"),
    ],
)
def test_each_kind_of_collapse_is_told_in_one_sentence(drawn, given, says):
    said = warning("digits", signs(drawn, REAL, given, CLASSES))
    assert said.startswith("replay of digits may have collapsed: ")
    assert says in said
    assert ";" not in said  # nothing else is low


def test_all_of_them_stand_in_one_sentence():
    found = signs(np.zeros_like(REAL), REAL, np.full((300, 4), 0.25), CLASSES)
    assert warning("a", found).count(";") == 2


def test_without_classes_or_without_variance_less_is_told():
    assert signs(REAL, REAL, np.zeros((300, 0)), ()) == {"diversity": 1.0}
    assert signs(REAL, np.zeros_like(REAL), np.zeros((300, 0)), ()) == {}
    assert warning("a", {}) is None
