"""Points in a plane: that names are told apart by colour, and that a file is whole."""

import matplotlib.figure
import numpy as np
import PIL.Image
import pytest

from lgaa_jax.workdir import plots


def test_a_figure_that_cannot_be_drawn_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "codes.png"
    path.write_bytes(b"old")

    def savefig(self, file, **options):
        raise MemoryError

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", savefig)
    with pytest.raises(MemoryError):
        plots.scatter(path, {"PCA": np.zeros((1, 2))}, {"class": ["a"]})
    assert path.read_bytes() == b"old"


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
