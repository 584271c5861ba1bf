"""Which grids of a task are shown from one stop to another."""

import types

import pytest

from lgaa_jax.report import samples, sequence


@pytest.mark.parametrize(
    ("drawn", "shown"),
    [
        ([], [(0, 4, False)]),  # not learned yet
        ([1, 2, 3, 4], [(0, 0, False), (1, 1, True), (2, 2, True), (3, 3, True), (4, 4, True)]),
        ([1, 3], [(0, 0, False), (1, 2, True), (3, 4, True)]),  # a grid stays until the next one
        ([0], [(0, 4, True)]),
    ],
)
def test_a_grid_is_shown_until_the_task_is_drawn_again(tmp_path, monkeypatch, drawn, shown):
    for t in drawn:
        (tmp_path / str(t)).touch()
    monkeypatch.setattr(samples, "described", lambda *args: "")
    monkeypatch.setattr(samples, "headings", lambda *args: [])
    monkeypatch.setattr(samples, "picture", lambda path, *args: path.name)
    run = types.SimpleNamespace(
        stops=5, short="abcde", image_shape=(8, 8, 1), grid=lambda t, i, kind: tmp_path / str(t)
    )
    strip = sequence._strip("", run, 0, None, lambda *args: "")
    found = [(m.first, m.last, m.picture is not None) for m in strip.moments]
    assert found == shown
