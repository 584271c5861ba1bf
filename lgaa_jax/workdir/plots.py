"""Points in a plane, as PNG files. The only module that draws with Matplotlib."""

import io
from collections.abc import Mapping, Sequence

import numpy as np

from lgaa_jax.files import PathLike, write_bytes

MOST_NAMES = 40  # of colours in a legend


def scatter(
    path: PathLike, points: Mapping[str, np.ndarray], names: Mapping[str, Sequence[str]]
) -> None:
    """A panel for each set of points and each way to colour them.

    points: {title: [n, 2]}; names: {title: the name of each point, which gives its colour}.
    """
    # Here, because it takes a second and most commands have no use for it.
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure((5.8 * len(names), 4.2 * len(points)), dpi=110, layout="constrained")
    axes = figure.subplots(len(points), len(names), squeeze=False)
    for line, (method, places) in zip(axes, points.items(), strict=True):
        for axis, (title, of) in zip(line, names.items(), strict=True):
            known = sorted(set(of))
            for i, name in enumerate(known):
                own = places[[other == name for other in of]]
                color = (
                    colormaps["tab20"](i) if len(known) <= 20 else colormaps["hsv"](i / len(known))
                )
                axis.scatter(*own.T, s=7, label=name, color=color, linewidths=0)
            axis.set_title(f"{method}, by {title}", fontsize=10)
            axis.set_xticks([])
            axis.set_yticks([])
            if len(known) <= MOST_NAMES:
                legend = axis.legend(fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5))
                for text in legend.texts:
                    text.set_parse_math(False)
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png")
    write_bytes(path, encoded.getvalue())
