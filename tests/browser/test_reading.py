"""Test what helps a reader find the way: letters, search, first and missing page."""

import json

import pytest
from playwright.sync_api import expect

from flopbook.predict.axes import MEANING
from flopsite.course.map import all_needs
from flopsite.course.outline import read_course
from tests.conftest import ROOT
from tests.support.browser import IN_BROWSER

pytestmark = IN_BROWSER
# Words of the map that stand on two lines.
PARTED_WORDS = """[...document.querySelectorAll(".map a, .map p")].flatMap((one) => {
  const texts = [...one.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
  return texts.flatMap((text) => [...text.data.matchAll(/[\\p{L}]+/gu)].filter(({ index, 0: word }) => {
    const range = document.createRange();
    range.setStart(text, index);
    range.setEnd(text, index + word.length);
    return new Set([...range.getClientRects()].map((box) => box.top)).size > 1;
  }).map(([word]) => word));
})"""


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


def test_the_map_has_every_lecture_and_lights_what_one_needs(page):
    page.goto("/index.html")
    course = read_course(ROOT)
    lectures = page.locator(".map-pages > .lecture a").all_text_contents()
    assert lectures == [f"{lecture.number} {lecture.short}" for lecture in course.lectures]
    last = course.lectures[-1]
    page.locator(f"[data-page='{last.docname}'] a").focus()
    lit = page.locator(".map-pages > .needed").evaluate_all("all => all.map(one => one.dataset.page)")
    assert set(lit) == all_needs(course, last) > set()
    ends = page.locator(".edges .needed").evaluate_all("all => all.map(one => one.dataset.ends)")
    assert f"{last.needs[-1]} {last.docname}" in ends
    page.locator("h1").hover()
    page.locator(f"[data-page='{last.docname}'] a").blur()
    assert page.locator(".map .needed").count() == 0


@pytest.mark.parametrize("width", [1024, 1280, 1366, 1600, 390])
def test_no_word_of_the_map_is_parted(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/index.html")
    assert page.evaluate(PARTED_WORDS) == []
    page.set_viewport_size({"width": 1280, "height": 800})


def test_what_comes_next_follows_the_path_until_the_reader_leaves_it(page):
    engineer = next(path for path in read_course(ROOT).paths if path.name == "engineer")
    start = engineer.docnames[0]
    page.goto(f"/{start}.html?path=engineer")
    following = page.locator("a.next-page")
    for docname in engineer.docnames[1:]:
        assert following.evaluate("link => link.href").endswith(f"/{docname}.html")
        page.goto(f"/{docname}.html")
        expect(page.locator(".step:visible")).to_contain_text(f"{engineer.title}'s path")
    page.goto("/index.html")
    assert page.locator(".paths [aria-current]").all_text_contents() == [engineer.title]
    marked = page.locator(".map-pages > .on-path").evaluate_all("all => all.map(one => one.dataset.page)")
    assert set(marked) == {docname for docname in engineer.docnames if not docname.startswith("reference/")}
    page.goto(f"/{start}.html")
    page.get_by_role("button", name="Leave the path").click()
    page.wait_for_url("**?path=")
    assert page.locator(".step:visible").count() == 0


def test_a_need_says_whether_it_is_done(page):
    page.goto("/lectures/gradients.html")
    chip = page.locator(".needs summary").first
    expect(chip).to_contain_text("not yet")
    chip.press("Enter")
    assert page.locator(".needs .katex").first.is_visible()
    done = {"version": 1, "pages": {"lectures/matrix-product": {"total": 1, "done": {"one": "1"}}}}
    page.evaluate("kept => localStorage.setItem('flopbook', kept)", json.dumps(done))
    page.reload()
    expect(chip).to_contain_text("done: 2 Matrix product")
    page.evaluate("localStorage.clear()")


def test_the_sidebar_marks_the_section_in_view(page):
    page.goto("/lectures/gradients.html#exercises")
    expect(page.locator(".sidebar-tree [aria-current=location]")).to_have_text("Exercises")


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
