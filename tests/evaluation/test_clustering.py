"""The metrics of a run without labels, against brute force and on codes whose worth is known."""

import itertools

import numpy as np
import pytest

from lgaa_jax.evaluation import clustering


@pytest.mark.parametrize(("found", "true"), [(3, 3), (5, 3), (2, 4), (1, 3), (4, 1)])
def test_clustering_accuracy_is_the_best_over_all_assignments(found, true):
    rng = np.random.default_rng(found)
    size = max(found, true)
    for _ in range(5):
        u, truth = rng.integers(0, found, 30), rng.integers(0, true, 30)
        # A class that stands for one past the true ones stands for none.
        assigned = itertools.permutations(range(size), found)
        best = max(np.mean(np.array(named)[u] == truth) for named in assigned)
        assert clustering.accuracy(u, truth) == pytest.approx(best)


def test_clusters_may_have_any_numbers_and_gaps():
    truth = np.repeat([0, 2, 9], 10)
    assert clustering.accuracy(np.repeat([7, 0, 3], 10), truth) == 1.0
    assert clustering.accuracy(np.zeros(30, np.int32), truth) == pytest.approx(1 / 3)


def test_a_linear_probe_reads_separable_codes_and_nothing_off_shuffled_labels():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 400)
    # Scales apart by a factor of a million: the probe does not depend on them.
    codes = (np.eye(4)[labels] * 8 + rng.normal(size=(400, 4))) * [1e-3, 1, 1e3, 1]
    assert clustering.linear_probe(codes[:200], labels[:200], codes[200:], labels[200:]) == 1.0
    chance = clustering.linear_probe(
        codes[:200], rng.permutation(labels[:200]), codes[200:], labels[200:]
    )
    assert chance < 0.45


def test_one_class_has_no_linear_probe_and_one_cluster_for_all():
    codes, labels = np.random.default_rng(0).normal(size=(20, 4)), np.full(20, 7)
    assert clustering.linear_probe(codes, labels, codes[:1], labels[:1]) is None
    assert clustering.accuracy(np.zeros(1, np.int32), labels[:1]) == 1.0
    # Of all test images being of one class there is a figure: the probe may still be wrong.
    both = np.arange(20) % 2
    assert clustering.linear_probe(both[:, None], both, both[:1, None], both[:1]) == 1.0
