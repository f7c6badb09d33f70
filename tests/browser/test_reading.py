"""Test what helps a reader find the way: letters, search, first and missing page."""

import json
import re
from itertools import pairwise

import pytest
from playwright.sync_api import expect

from flopbook.predict.axes import MEANING
from flopsite.course.map import all_needs
from flopsite.course.outline import read_course
from tests.conftest import ROOT
from tests.support.browser import IN_BROWSER

pytestmark = IN_BROWSER
LISTED = [page for part in read_course(ROOT).parts for page in part.pages]
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
        ("MFU", "lectures/seconds.html"),
        ("LoRA", "lectures/adapters.html"),
        ("attention backward", "lectures/attention.html#five-products-instead-of-four"),
        ("frozen weights", "lectures/backward.html#freeze-a-layer"),
        ("roofline", "lectures/seconds.html#the-roofline"),
        ("memory", "lectures/memory.html"),
        ("optimiser", "lectures/training-step.html"),
        ("audit", "lectures/audit.html"),
        ("FlopCount", "reference/api/measure.html#flopbook.measure.counting.count.FlopCount"),
        ("KV cache", "lectures/inference.html"),
        ("notation", "reference/notation.html"),
    ],
)
def test_search_finds_what_explains(page, address, query, first):
    if "/search.html" not in page.url:
        page.goto("/search.html")
    page.get_by_label("Search for").fill(query)
    expect(page.locator(".found a").first).to_have_attribute("href", f"{address}/{first}")


@pytest.mark.parametrize("query", ["Triton", "federated learning"])
def test_search_says_what_the_book_does_not_cover(page, query):
    page.goto(f"/search.html?q={query}")
    expect(page.locator(".search-status")).to_contain_text("is not in this book yet.")


def test_search_says_that_it_found_nothing(page):
    page.goto("/search.html?q=zzz")
    expect(page.locator(".search-status")).to_have_text("Nothing in this book has “zzz”.")


def test_a_key_opens_the_search_anywhere_and_arrows_reach_its_results(page):
    page.goto("/lectures/gradients.html")
    page.keyboard.press("/")
    page.keyboard.type("matrix product")
    first = page.locator("dialog .found a").first
    expect(first).to_have_text(re.compile("Count a matrix product"))
    expect(page.locator("dialog .found mark").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(first).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("/")  # in a field, it is a letter
    expect(page.locator("dialog input")).to_have_value("matrix product/")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    page.keyboard.press("/")
    page.locator("dialog input").fill("matrix product")
    page.locator("dialog .found a").first.click()
    page.wait_for_url("**/lectures/matrix-product.html")


def test_what_is_typed_in_the_sidebar_goes_on_in_the_dialog(page):
    page.goto("/lectures/gradients.html")
    page.get_by_role("searchbox", name="Search").press_sequentially("roof")
    expect(page.locator("dialog input")).to_have_value("roof")
    expect(page.locator("dialog .found a").first).to_be_visible()


def test_a_search_can_be_mended_where_it_was_made(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/search.html?q=roofing")
    field = page.get_by_label("Search for")
    expect(field).to_have_value("roofing")
    field.fill("roofline")
    field.press("Enter")
    expect(page.locator(".found a").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.set_viewport_size({"width": 1280, "height": 800})


def test_an_old_address_of_the_api_leads_to_the_page_of_its_name(page):
    page.goto("/reference/api.html#flopbook.predict.products.matmul")
    page.wait_for_url("**/reference/api/predict.html#flopbook.predict.products.matmul")


def test_a_handout_has_exercises_and_no_solutions(page):
    page.goto("/lectures/gradients.html")
    page.locator(".exercise input").first.fill("BK")
    page.locator(".exercise button").first.click()
    page.locator(".exercise.done").first.wait_for()
    page.goto("/lectures/gradients.html?handout")
    assert page.locator(".exercise.done").count() == 0
    assert page.locator(".exercise input").first.input_value() == ""
    page.evaluate("localStorage.clear()")
    assert page.locator("#exercises").is_visible()
    hidden = page.locator("details.dropdown, .question details")
    assert hidden.count() > 0
    for medium in ("screen", "print"):
        page.emulate_media(media=medium)
        assert not [one for one in hidden.all() if one.is_visible()]
    page.emulate_media(media="screen")


def test_formulas_are_filtered_by_letter(page):
    page.goto("/reference/formula-index.html")
    cards = page.locator(".formula-cards > li:visible")
    every = cards.count()
    page.get_by_role("button", name="V", exact=True).click()
    some = cards.count()
    assert 0 < some < every
    assert page.locator(".letter-filter").inner_text().endswith(f"{some} of {every} formulas")


def test_the_map_has_every_lecture_and_lights_what_one_needs(page):
    page.goto("/index.html")
    course = read_course(ROOT)
    lectures = page.locator(".map-pages > .lecture a").all_text_contents()
    assert lectures == [f"{lecture.number} {lecture.short}" for lecture in course.lectures]
    assert page.locator(".edges").is_visible()
    last = course.lectures[-1]
    page.locator(f"[data-page='{last.docname}'] a").focus()
    lit = page.locator(".map-pages > .needed").evaluate_all("all => all.map(one => one.dataset.page)")
    assert set(lit) == all_needs(course, last) > set()
    ends = page.locator(".edges .needed").evaluate_all("all => all.map(one => one.dataset.ends)")
    assert f"{last.needs[-1]} {last.docname}" in ends
    page.locator("h1").hover()
    page.locator(f"[data-page='{last.docname}'] a").blur()
    assert page.locator(".map .needed").count() == 0


def test_no_word_of_the_map_is_parted(page):
    page.goto("/index.html")
    for width in (1024, 1366, 1600, 390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert (width, page.evaluate(PARTED_WORDS)) == (width, [])


def test_what_comes_next_follows_the_path_until_the_reader_leaves_it(page):
    """Ask where the path leaves the book's order; test_pages.py has what comes next on every page of each path."""
    course = read_course(ROOT)
    engineer = next(path for path in course.paths if path.name == "engineer")
    start = engineer.docnames[0]
    page.goto(f"/{start}.html?path=engineer")
    leaps = [steps for steps in pairwise(engineer.docnames) if course.neighbours(steps[0])[1].docname != steps[1]]
    for docname, after in (leaps[0], leaps[-1]):
        page.goto(f"/{docname}.html")
        expect(page.locator(".step:visible")).to_contain_text(f"{engineer.title}'s path")
        assert page.locator("a.next-page").evaluate("link => link.href").endswith(f"/{after}.html")
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
    expect(page.locator(".found a").first).to_be_visible()
    page.go_back()
    expect(page.get_by_role("navigation").get_by_role("link")).to_have_count(len(LISTED))
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
