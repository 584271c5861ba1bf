"""Puts the grids of a run's last task change side by side, with captions, as one PNG.

python docs/figure.py runs/quickstart docs/quickstart.png [ROWS]
"""

import pathlib
import sys

import matplotlib
from PIL import Image, ImageDraw, ImageFont

KINDS = ("real", "reconstructed", "generated")
CAPTION, MARGIN = 30, 12  # pixels
GRID_ROWS, GAP = 8, 2  # rows of a grid, and pixels between them


def caption_font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which Matplotlib brings along."""
    return ImageFont.truetype(
        str(pathlib.Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), 17
    )


def figure(run: pathlib.Path, rows: int) -> Image.Image:
    """A row of pictures per task, a column per kind; `rows` lines of each grid."""
    folders = sorted(run.glob("images/*_after_*"), key=lambda p: int(p.name.split("_")[0]))
    folder = folders[-1]
    tasks = [path.name.split("_after_", 1)[1] for path in folders]
    grids = {(t, k): Image.open(folder / f"{t}_{k}.png") for t in tasks for k in KINDS}
    first = next(iter(grids.values()))
    width = max(grid.width for grid in grids.values())
    height = rows * (first.height - GAP) // GRID_ROWS + GAP
    page = Image.new(
        first.mode,
        (len(KINDS) * (width + MARGIN) + MARGIN, len(tasks) * (height + CAPTION + MARGIN) + MARGIN),
        "white",
    )
    draw = ImageDraw.Draw(page)
    for y, task in enumerate(tasks):
        for x, kind in enumerate(KINDS):
            left, top = MARGIN + x * (width + MARGIN), MARGIN + y * (height + CAPTION + MARGIN)
            draw.text((left, top), f"{task}, {kind}", fill="black", font=caption_font())
            page.paste(grids[task, kind].crop((0, 0, width, height)), (left, top + CAPTION))
    return page


if __name__ == "__main__":
    source, target, *rest = sys.argv[1:]
    figure(pathlib.Path(source), int(rest[0]) if rest else 5).save(target, optimize=True)
