"""Puts the grids of a run's last task change side by side, with captions, as one PNG.

python docs/figure.py runs/quickstart docs/quickstart.png [ROWS]
"""

import pathlib
import sys

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

KINDS = ("real", "reconstructed", "generated")
CAPTION, MARGIN = 30, 12  # pixels
GRID_ROWS, GAP, GREY = 8, 2, 128  # rows of a grid, pixels between them, and their colour


def caption_font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which Matplotlib brings along."""
    return ImageFont.truetype(
        str(pathlib.Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), 17
    )


def first_rows(grid: Image.Image, rows: int) -> Image.Image:
    """The first rows of a grid with the names above them, which end where its lines begin."""
    names = int((np.asarray(grid.convert("L")) == GREY).all(axis=1).argmax())
    row = (grid.height - names - GAP) // GRID_ROWS
    return grid.crop((0, 0, grid.width, names + rows * row + GAP))


def figure(run: pathlib.Path, rows: int) -> Image.Image:
    """A row of pictures per task, a column per kind; `rows` lines of each grid."""
    folders = sorted(run.glob("images/*_after_*"), key=lambda p: int(p.name.split("_")[0]))
    folder = folders[-1]
    tasks = [path.name.split("_after_", 1)[1] for path in folders]
    grids = {
        (t, k): first_rows(Image.open(folder / f"{t}_{k}.png"), rows) for t in tasks for k in KINDS
    }
    width = max(grid.width for grid in grids.values())
    heights = [grids[task, "real"].height + CAPTION + MARGIN for task in tasks]
    size = len(KINDS) * (width + MARGIN) + MARGIN, sum(heights) + MARGIN
    page = Image.new(next(iter(grids.values())).mode, size, "white")
    draw = ImageDraw.Draw(page)
    for y, task in enumerate(tasks):
        for x, kind in enumerate(KINDS):
            left, top = MARGIN + x * (width + MARGIN), MARGIN + sum(heights[:y])
            draw.text((left, top), f"{task}, {kind}", fill="black", font=caption_font())
            page.paste(grids[task, kind], (left, top + CAPTION))
    return page


if __name__ == "__main__":
    source, target, *rest = sys.argv[1:]
    figure(pathlib.Path(source), int(rest[0]) if rest else 5).save(target, optimize=True)
