"""Times the report of a run: to write it, and until Chromium answers and has drawn its charts.

    python benchmarks/report.py WORKDIR [--repeats=7]

Chromium must be installed (`chromium` in the PATH), and Playwright (`pip install -e '.[dev]'`).
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time

from playwright.sync_api import sync_playwright

from lgaa_jax.report import run_report

OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZES = ((1440, 900), (360, 760))
# Milliseconds since the page was asked for: when it answers, as all but its charts is there, and
# when the last chart that is seen is drawn.
TIMES = """() => [performance.getEntriesByType("navigation")[0].domInteractive,
                  Number(document.documentElement.dataset.drawn)]"""


def main() -> None:
    """Parses the flags, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir")
    parser.add_argument("--repeats", type=int, default=7)
    flags = parser.parse_args()
    seconds = []
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache  # where the script of the charts is not kept yet
        for _ in range(flags.repeats + 1):
            begin = time.perf_counter()
            path = run_report.write(flags.workdir)
            seconds.append(time.perf_counter() - begin)
    first, *others = seconds
    print(f"size     {path.stat().st_size / 1e6:.2f} MB")
    print(f"written  {first:.2f} s at first, then {statistics.median(others):.2f} s")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=OPTIONS)
        for width, height in SIZES:
            found = []
            for _ in range(flags.repeats):
                page = browser.new_page(viewport={"width": width, "height": height})
                page.goto(path.resolve().as_uri())
                page.wait_for_function("document.documentElement.dataset.drawn")
                found.append(page.evaluate(TIMES))
                page.close()
            answers, drawn = (statistics.median(times) for times in zip(*found, strict=True))
            print(f"{width} px  answers after {answers:.0f} ms, all drawn after {drawn:.0f} ms")
        browser.close()


if __name__ == "__main__":
    main()
