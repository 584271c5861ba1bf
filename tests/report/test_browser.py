"""Reports in a real browser: they draw, answer to keys and fingers, and ask nobody for anything."""

import os
import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from fake_run import write_run
from playwright.sync_api import sync_playwright

from lgaa_jax.report import comparison_report, run_report

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
OPTIONS += ["--disable-background-networking", "--disable-component-update"]
HOSTILE = "folder:/x/a<b>&\"'<img src=x onerror=alert(1)>"  # in a path its last names count
MARKUP = "<img src=x onerror=alert(1)>"
TASKS = {HOSTILE: [MARKUP, "long name"], "letters": list("ABCDEFGHIJ"), "plain": []}
DRAWN = "document.documentElement.dataset.drawn"


@pytest.fixture(scope="module")
def browser():
    """One browser for all tests; CI must have one."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        message = f"none of {', '.join(NAMES)} is installed"
        if os.environ.get("LGAA_NEEDS_CHROMIUM"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The reports of a run and of a comparison."""
    root = tmp_path_factory.mktemp("reports")
    write_run(root / "run", TASKS)
    folders = {s: [root / f"{s}-{seed}" for seed in (0, 1)] for s in ("lgaa", "joint")}
    for strategy, own in folders.items():
        for seed, folder in enumerate(own):
            write_run(folder, TASKS, seed=seed, strategy=strategy)
    return {
        "run": run_report.write(root / "run"),
        "comparison": comparison_report.write(root, folders),
    }


@pytest.fixture
def opened(browser, reports):
    """Opens a report: opened("run", width=360); in the end, all of them were quiet."""
    heard, contexts = [], []

    def open_(name, width=1440, scheme="light", charts=True):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("dialog", lambda dialog: heard.append(dialog.message))
        page.on("request", lambda request: asked(request.url))
        page.goto(reports[name].as_uri())
        if charts:
            page.wait_for_function(DRAWN)
        return page

    def asked(url):
        if not url.startswith(("data:", "blob:")) and url not in map(str, uris):
            heard.append(url)

    uris = [path.as_uri() for path in reports.values()]
    yield open_
    for context in contexts:
        context.close()
    assert heard == []


def brightness(page):
    """Of the page's ground, from 0 to 255."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in colour.strip("rgb()").split(",")) / 3


# The size of each chart in a page, but those in what is closed.
SIZES = """[...document.querySelectorAll("figure.chart")].filter(f => f.checkVisibility()).map(
    f => (r => [r.width, r.height])(f.querySelector(".plot svg").getBoundingClientRect()))"""


@pytest.mark.parametrize("name", ["run", "comparison"])
def test_it_is_whole_at_each_width_in_both_themes(opened, name):
    """Charts drawn, nothing wider than the page, nothing that axe-core finds fault with."""
    page = opened(name)
    assert page.locator("caption").count() == page.locator("table").count() > 2
    for width, scheme in ((1440, "dark"), (1440, "light"), (360, "light"), (360, "dark")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"{SIZES}.every(([wide]) => wide <= {width})")
        assert (brightness(page) > 128) == (scheme == "light")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = page.evaluate(SIZES)
        assert len(sizes) > 3
        assert all(wide > 100 and high > 100 for wide, high in sizes)
        if (width, scheme) in ((1440, "light"), (360, "dark")):
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()


def test_the_slider_answers_to_keys_and_shows_each_stop(opened):
    page = opened("run", charts=False)
    slider = page.get_by_role("slider")
    assert page.get_by_label("after task 3 of 3").count() == 1
    assert slider.get_attribute("aria-valuetext") == "after plain"
    card = page.locator("#samples .card", has_text="letters").first
    shown = card.locator(".moment:visible")
    first = shown.locator("img").get_attribute("src")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert shown.count() == 1
    assert shown.locator("img").get_attribute("src") != first
    assert (
        shown.locator("img")
        .get_attribute("alt")
        .startswith("generated images of letters, after letters")
    )
    page.keyboard.press("Home")
    assert shown.inner_text() == "not learned yet"
    assert slider.get_attribute("aria-valuetext") == page.locator("output").inner_text()
    assert page.locator(".slider label").inner_text() == "after task 1 of 3"
    page.keyboard.press("End")
    assert shown.locator("img").get_attribute("src") == first


def test_in_a_comparison_the_slider_moves_all_strategies(opened):
    page = opened("comparison", 360, charts=False)
    card = page.locator("#samples .card", has_text="letters").first
    assert card.locator(".moment:visible img").count() == 3  # real, and two strategies
    page.locator("#stop").focus()
    page.keyboard.press("Home")
    assert card.locator(".moment:visible img").count() == 1
    assert card.get_by_text("not learned yet").filter(visible=True).count() == 2


def test_the_theme_is_switched_by_keys_and_kept(opened):
    page = opened("run", scheme="dark")
    dark = brightness(page)
    page.get_by_label("Theme").focus()
    page.keyboard.press("l")
    assert brightness(page) > 200 > dark
    ink = "getComputedStyle(document.querySelector('.plot svg text')).fill"
    assert page.evaluate(ink) == page.evaluate("getComputedStyle(document.body).color")
    page.reload()
    assert brightness(page) > 200
    page.get_by_label("Theme").select_option("")
    assert brightness(page) == dark


def test_values_are_read_off_a_chart_and_a_name_in_them_stays_text(opened):
    page = opened("run")
    tooltip = page.locator("#vg-tooltip-element")
    page.locator("#training .plot").first.hover()
    tooltip.wait_for(state="visible")
    assert "step" in tooltip.inner_text()
    assert "loss class" in tooltip.inner_text()
    assert any(name in tooltip.inner_text() for name in ("letters", "plain", "onerror"))
    page.locator("#accuracy .plot svg .mark-symbol path").first.hover(force=True)
    page.wait_for_function(
        "document.querySelector('#vg-tooltip-element').innerText.includes('task')"
    )
    assert "a_b_img_src_x_onerror_alert_1" in tooltip.inner_text()
    assert page.locator("img[src='x'], b").count() == 0
    assert page.get_by_text(MARKUP).first.is_visible()


def test_it_is_used_without_a_mouse(opened):
    """The skip link, what is closed and opens, and a chart as a file."""
    page = opened("run")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    inner = page.locator("#training details").last
    assert inner.locator("svg").count() == 0
    inner.locator("summary").focus()
    page.keyboard.press("Enter")
    inner.locator(".plot svg").first.wait_for()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the chart loss class").focus()
        page.keyboard.press("Enter")
    assert saved.value.suggested_filename == "loss class along the training steps.svg"
    assert saved.value.path().read_text().startswith("<svg")


def test_on_paper_it_is_light_and_every_key_of_the_config_is_there(opened):
    page = opened("run", 794, "dark", charts=False)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert brightness(page) == 255
    assert not page.locator("nav").is_visible()
    assert page.get_by_role("cell", name="residual").last.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 794
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.get_by_text("Every key of the config").is_visible()
