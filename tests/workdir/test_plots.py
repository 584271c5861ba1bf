"""Curves along the tasks: what is drawn where, and that a file is whole."""

import matplotlib.figure
import numpy as np
import PIL.Image
import pytest

from lgaa_jax.workdir import plots

NAN = float("nan")


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved."""
    saved, save = [], matplotlib.figure.Figure.savefig

    def savefig(self, *args, **options):
        saved.append(self)
        save(self, *args, **options)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", savefig)
    return saved


def test_curves_hold_the_means_of_each_series_under_the_task_names(tmp_path, figures):
    series = {"lgaa": (np.array([0.5, 0.25]), np.array([NAN, NAN]))}
    series["joint"] = (np.array([NAN, 0.75]), np.array([NAN, 0.125]))
    panels = {f"task {n}": series for n in range(4)}
    path = tmp_path / "new" / "curves.png"
    plots.curves(path, ["a", "b"], panels, "accuracy")
    with PIL.Image.open(path) as picture:
        assert picture.format == "PNG"
    assert [p.name for p in path.parent.iterdir()] == ["curves.png"]
    (figure,) = figures
    shown = [axis for axis in figure.axes if axis.axison]
    assert [axis.get_title() for axis in shown] == list(panels)
    assert [text.get_text() for text in shown[0].get_xticklabels()] == ["a", "b"]
    for line, (mean, _) in zip(shown[0].lines, series.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), mean)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["lgaa", "joint"]


def test_a_dollar_sign_in_a_name_begins_no_formula(tmp_path):
    names = ["folder:$a^$", "folder:$_{"]
    panels = {name: {"lgaa": (np.ones(2), np.zeros(2))} for name in names}
    plots.curves(tmp_path / "curves.png", names, panels, "accuracy")
    assert (tmp_path / "curves.png").exists()


def test_a_figure_that_cannot_be_drawn_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "curves.png"
    path.write_bytes(b"old")

    def savefig(self, file, **options):
        raise MemoryError

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", savefig)
    with pytest.raises(MemoryError):
        plots.curves(path, ["a"], {"a": {"lgaa": (np.ones(1), np.zeros(1))}}, "accuracy")
    assert path.read_bytes() == b"old"


def test_terms_of_the_risk_are_drawn_from_the_task_on_and_may_be_absent(tmp_path, figures):
    terms = {"target_risk": 0.25, "source_risk": 0.1, "labelling_error": 0.0, "bound": 0.5}
    entries = [
        {"after_task": "a", "task": "a", "discrepancy": 0.2, **terms},
        {"after_task": "b", "task": "a", **terms},
        {"after_task": "b", "task": "b", **terms},
    ]
    plots.risk(tmp_path / "risk.png", ["a", "b"], entries)
    drawn = {
        axis.get_title(): {line.get_label(): line.get_ydata().tolist() for line in axis.lines}
        for axis in figures[0].axes
    }
    assert drawn["a"]["bound"] == [0.5, 0.5]
    np.testing.assert_array_equal(drawn["a"]["discrepancy"], [0.2, NAN])
    np.testing.assert_array_equal(drawn["b"]["bound"], [NAN, 0.5])


@pytest.mark.parametrize("count", [3, 25])
def test_a_scatter_has_a_panel_for_each_set_and_a_colour_for_each_name(tmp_path, count):
    """Names in a legend; a name with dollar signs begins no formula."""
    rng = np.random.default_rng(0)
    names = [f"$a_{i % count}" for i in range(200)]
    points = {"PCA": rng.normal(size=(200, 2)), "t-SNE": rng.normal(size=(200, 2))}
    plots.scatter(tmp_path / "codes.png", points, {"class": names})
    picture = np.asarray(PIL.Image.open(tmp_path / "codes.png").convert("RGB"))
    assert picture.shape[0] > picture.shape[1]  # two panels above each other
    values, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    coloured = values[(counts > 20) & (np.ptp(values.astype(int), axis=1) > 40)]
    assert len(coloured) >= min(count, 20)
