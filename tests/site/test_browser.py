"""The site in a browser: it works, loads fast, and everyone can read it."""

import pytest

from tests.browser import MISSING, chromium, find_chromium, served, weigh
from tests.conftest import ROOT

pytestmark = [
    pytest.mark.skipif(not find_chromium(), reason=MISSING),
    pytest.mark.filterwarnings("default"),  # the browser's driver has warnings of its own
]

WEIGHT_LIMIT = 450_000  # bytes
WIDTHS = [1280, 390]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(site):
    with served(site) as address:
        yield address


def axe_violations(page) -> list[str]:
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run().then(result => result.violations)")
    return [f"{v['id']}: {v['nodes'][0]['target']} {v['nodes'][0]['failureSummary']}" for v in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out(browser, address, pages, scheme):
    found = {}
    for name in pages:
        with browser.new_context(color_scheme=scheme) as context, context.new_page() as page:
            page.goto(f"{address}/{name}", wait_until="load")
            found[name] = axe_violations(page)
    assert found == {name: [] for name in pages}


def test_pages_load_without_complaint_and_from_here_alone(browser, address, pages):
    complaints = {}
    for name in pages:
        with browser.new_page() as page:
            complaints[name] = heard = []
            page.on(
                "console", lambda message, heard=heard: heard.append(message.text) if message.type == "error" else None
            )
            page.on("pageerror", lambda error, heard=heard: heard.append(str(error)))
            page.on(
                "request",
                lambda request, heard=heard: (
                    None if request.url.startswith((address, "data:")) else heard.append(request.url)
                ),
            )
            page.goto(f"{address}/{name}", wait_until="networkidle")
    assert complaints == {name: [] for name in pages}


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_scrolls_sideways(browser, address, pages, width):
    widths = {}
    for name in pages:
        with browser.new_page(viewport={"width": width, "height": 800}) as page:
            page.goto(f"{address}/{name}", wait_until="load")
            widths[name] = page.evaluate("document.documentElement.scrollWidth")
    assert {name: found for name, found in widths.items() if found > width} == {}


def test_math_is_set(browser, address, pages):
    heights = []
    for name in pages:
        with browser.new_page() as page:
            page.goto(f"{address}/{name}", wait_until="networkidle")
            heights += page.evaluate(
                "[...document.querySelectorAll('.math')].map(m => m.querySelector('.katex')?.offsetHeight ?? 0)"
            )
            loaded = page.evaluate("[...document.fonts].filter(f => f.status == 'error').map(f => f.family)")
            assert loaded == []
    assert heights
    assert min(heights) > 0


def test_focus_is_visible(browser, address, pages):
    for name in pages:
        with browser.new_page() as page:
            page.goto(f"{address}/{name}", wait_until="load")
            for _ in range(12):
                page.keyboard.press("Tab")
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none", (name, page.evaluate("document.activeElement.outerHTML.slice(0, 200)"))


def test_every_page_is_light(browser, address, pages):
    heavy = {name: size for name in pages if (size := weigh(browser, f"{address}/{name}")) > WEIGHT_LIMIT}
    assert heavy == {}
