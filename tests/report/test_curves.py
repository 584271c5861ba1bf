"""Curves of training, against values computed by hand."""

import numpy as np
import pytest

from lgaa_jax.report import curves


def line(step, task=0, **values):
    return {"step": step, "task": task} | {f"train/{name}": v for name, v in values.items()}


def test_there_is_a_panel_for_each_term_and_one_for_the_norms_of_all_phases():
    lines = [
        line(n, **{"loss/critic": 1.0, "loss/class": 2.0, "kl/z": 3.0, "steps_per_second": 9.0})
        | {"train/grad_norm/critic": 1.0, "train/grad_norm/generator": 2.0, "eval/a/accuracy": 1.0}
        for n in (1, 2)
    ]
    losses = curves.loss_panels(lines)
    assert [p.title for p in losses] == ["loss class", "loss critic"]
    assert losses[0].points[1] == {"step": 2, "task": 0, "loss class": 2.0}
    others = curves.other_panels(lines)
    assert [(p.title, p.curves) for p in others] == [
        ("kl z", ("kl z",)),
        ("grad norm", ("critic", "generator")),
    ]


def test_long_curves_are_thinned_within_tasks_to_means():
    points = [{"step": n, "task": int(n > 50), "a": float(n)} for n in range(1, 101)]
    thin = curves.thinned(points, 30)
    assert len(thin) == 26  # 13 windows of at most 4 in each task
    assert thin[0] == {"step": 4, "task": 0, "a": 2.5}
    assert thin[12] == {"step": 50, "task": 0, "a": 49.5}
    assert thin[13] == {"step": 54, "task": 1, "a": 52.5}
    assert curves.thinned(points, 100) == points


def test_a_term_that_some_lines_lack_is_averaged_over_those_that_have_it():
    points = [{"step": 1, "task": 0, "a": 1.0}, {"step": 2, "task": 0, "a": 3.0, "b": 5.0}]
    assert curves.thinned(points, 1) == [{"step": 2, "task": 0, "a": 2.0, "b": 5.0}]


def test_tasks_end_at_their_last_lines():
    lines = [line(5), line(10), line(15, 1), line(20, 1), line(25, 2)]
    assert curves.boundaries(lines) == [10, 20]
    assert curves.boundaries([]) == []


@pytest.mark.parametrize(
    ("values", "logarithmic"), [((1, 100), True), ((1, 10), False), ((-1, 100), False)]
)
def test_steep_curves_of_positive_values_have_a_logarithmic_axis(values, logarithmic):
    lines = [line(n, **{"loss/a": float(v)}) for n, v in enumerate(values)]
    assert curves.loss_panels(lines)[0].logarithmic is logarithmic


def test_seeds_are_averaged_where_all_have_a_line_and_strategies_share_a_panel():
    runs = [[line(1, **{"loss/a": 1.0}), line(2, **{"loss/a": 2.0})], [line(1, **{"loss/a": 4.0})]]
    lgaa = curves.over_seeds(runs)
    assert lgaa == [line(1, **{"loss/a": 2.5})]
    joint = [line(1, **{"loss/a": 0.5, "loss/b": 7.0}), line(2, **{"loss/a": 0.25, "loss/b": 7.0})]
    a, b = curves.compared_panels({"lgaa": lgaa, "joint": joint})
    assert a.curves == ("lgaa", "joint")
    assert a.points == [
        {"step": 1, "task": 0, "lgaa": 2.5, "joint": 0.5},
        {"step": 2, "task": 0, "joint": 0.25},
    ]
    assert (b.title, b.curves) == ("loss b", ("joint",))
    np.testing.assert_array_equal([p["joint"] for p in b.points], [7.0, 7.0])
