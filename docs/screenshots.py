"""Takes the pictures of reports that the documents show: light and dark side by side, as PNG.

    python docs/screenshots.py runs/quickstart/report.html docs/report

It writes docs/report_desktop.png and docs/report_phone.png. Chromium must be installed.
"""

import io
import pathlib
import shutil
import sys

from PIL import Image
from playwright.sync_api import sync_playwright

SIZES = {"desktop": (1280, 1500), "phone": (360, 1500)}  # pixels of the page that are shown
SCALE = {"desktop": 1, "phone": 1.5}
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
GAP = 24


def side_by_side(pictures: list[Image.Image]) -> Image.Image:
    """Pictures of one height with a white gap between them."""
    width = sum(p.width for p in pictures) + GAP * (len(pictures) - 1)
    joined = Image.new("RGB", (width, pictures[0].height), "white")
    x = 0
    for picture in pictures:
        joined.paste(picture, (x, 0))
        x += picture.width + GAP
    return joined


def main() -> None:
    """Takes and writes them."""
    report, target = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=OPTIONS)
        for device, (width, height) in SIZES.items():
            page = browser.new_page(
                viewport={"width": width, "height": height}, device_scale_factor=SCALE[device]
            )
            page.goto(report.as_uri())
            page.wait_for_function("document.documentElement.dataset.drawn")
            taken = []
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                taken.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
            side_by_side(taken).save(f"{target}_{device}.png", optimize=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
