"""Test what helps a reader find the way: letters, search, first and missing page."""

import pytest
from playwright.sync_api import expect

from flopbook.predict.axes import MEANING
from flopsite.course.outline import read_course
from tests.conftest import ROOT
from tests.support.browser import IN_BROWSER

pytestmark = IN_BROWSER


@pytest.fixture(scope="module")
def page(browser, address):
    with browser.new_page(base_url=address) as page:
        page.set_viewport_size({"width": 1280, "height": 800})
        yield page


def test_a_letter_tells_its_meaning(page):
    page.goto("/lectures/matrix-product.html")
    tooltip = page.locator(".tooltip")
    page.locator("p .letter", has_text="K").first.hover()
    assert tooltip.text_content() == f"K: {MEANING['K']}"
    page.keyboard.press("Escape")
    assert tooltip.is_hidden()
    page.locator("p .letter", has_text="B").first.click()
    assert tooltip.text_content() == f"B: {MEANING['B']}"
    page.locator("h1").click()
    assert tooltip.is_hidden()


@pytest.mark.parametrize(
    "query, first",
    [
        ("2BDK", "lectures/matrix-product.html#formula-matmul"),
        ("4BDK", "lectures/backward.html#formula-matmul-backward"),
        ("backward", "lectures/backward.html"),
        ("matrix product", "lectures/matrix-product.html"),
        ("MFU", "lectures/seconds.html#from-flops-to-seconds"),
        ("LoRA", "lectures/matrix-product.html#count-a-matrix-product"),
        ("utilization", "lectures/seconds.html#utilization"),
        ("roofline", "lectures/seconds.html"),
        ("memory", "lectures/memory.html"),
        ("audit", "lectures/audit.html"),
        ("FlopCount", "reference/api.html#flopbook.measure.counting.count.FlopCount"),
        ("notation", "reference/notation.html"),
    ],
)
def test_search_finds_what_explains(page, query, first):
    page.goto(f"/search.html?q={query}")
    page.wait_for_selector("ul.search li a")
    assert page.locator("ul.search li a").first.get_attribute("href") == first


def test_an_excerpt_is_of_the_text(page):
    page.goto("/search.html?q=backward")
    page.wait_for_selector("ul.search p.context")
    page.wait_for_load_state("networkidle")
    assert not [text for text in page.locator("p.context").all_inner_texts() if "min to read" in text]


@pytest.mark.parametrize(
    "query, excerpt", [("2BDK", "(2.1)2BDK Holds when"), ("roofline", "You will derive the roofline")]
)
def test_an_excerpt_reads_as_the_page_does(page, query, excerpt):
    page.goto(f"/search.html?q={query}")
    page.wait_for_load_state("networkidle")
    expect(page.locator("p.context").first).to_contain_text(excerpt)


def test_a_search_can_be_mended_where_it_was_made(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/search.html?q=roofing")
    field = page.get_by_label("Search for")
    expect(field).to_have_value("roofing")
    field.fill("roofline")
    field.press("Enter")
    page.wait_for_selector("ul.search li a")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.set_viewport_size({"width": 1280, "height": 800})


@pytest.mark.parametrize("width", [1280, 390])
def test_the_first_screen_shows_what_the_book_does(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/index.html")
    for shown in [".math", ".flopbook-table", ".start a"]:
        assert page.locator(shown).first.bounding_box()["y"] < 800, shown
    top = page.locator(".course-map > li").first.bounding_box()
    assert width < 1000 or top["y"] + top["height"] < 800
    lectures = page.locator(".course-map > .lecture a").all_text_contents()
    page.set_viewport_size({"width": 1280, "height": 800})
    assert lectures == [lecture.heading for lecture in read_course(ROOT).lectures]


def test_the_missing_page_works_at_any_depth(page, site):
    page.route("**/a/b/c.html", lambda route: route.fulfill(path=site / "404.html", status=404))
    page.goto("/a/b/c.html")
    page.get_by_label("Search").fill("MFU")
    page.get_by_role("button", name="Search").click()
    page.wait_for_selector("ul.search li a")
    page.go_back()
    page.get_by_role("link", name="the first page").click()
    assert page.title() == "The FLOP Book"


def test_the_drawers_of_a_narrow_window_open_by_keyboard(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/lectures/matrix-product.html")
    link = page.locator(".sidebar-tree a").first
    assert not link.is_visible()
    page.get_by_role("button", name="All pages").press("Enter")
    assert link.is_visible()
    page.set_viewport_size({"width": 1280, "height": 800})


@pytest.mark.parametrize(
    "name", ["lectures/matrix-product.html", "notebooks/module-tree.html", "reference/conventions.html"]
)
def test_the_sections_of_a_page_stand_below_its_name_in_the_sidebar(page, address, name):
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{address}/{name}")
    shown = page.locator(".sidebar-tree .current-page")
    title, sections = shown.locator("> a").bounding_box(), shown.locator("> ul").bounding_box()
    assert title["y"] + title["height"] <= sections["y"] + 1
    assert sections["width"] > 0.7 * title["width"]
