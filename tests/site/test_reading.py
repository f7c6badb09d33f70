"""What helps a reader find the way: letters, links, search, the first page, and what the site tells others."""

import json
import re
import subprocess

import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from playwright.sync_api import expect
from sphinx.errors import ExtensionError

from flopbook.axes import MEANING
from flopsite.typesetting import NODE, SCRIPT, Typesetter
from tests.browser import MISSING, chromium, find_chromium, served
from tests.conftest import ROOT

in_browser = [
    pytest.mark.skipif(not find_chromium(), reason=MISSING),
    pytest.mark.filterwarnings("default"),  # the browser's driver has warnings of its own
]


def read(path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


def marked(latex: str) -> str:
    """The letters that are marked in a formula, in the order of the HTML."""
    question = json.dumps({"latex": latex, "display": True, "letters": "".join(MEANING)})
    katex = ROOT / "node_modules" / "katex" / "dist"
    answer = subprocess.run([NODE, SCRIPT, katex], input=question, capture_output=True, text=True, check=True).stdout
    return "".join(re.findall(r' letter"[^>]*>(\w)<', json.loads(answer)["html"]))


def test_a_typesetter_that_ended_says_so(tmp_path, capfd):
    typesetter = Typesetter(tmp_path)  # there is no KaTeX
    for _ in range(2):
        with pytest.raises(ExtensionError, match="node ended while it set '2BDK': what it said stands above"):
            typesetter.html("2BDK", True, "", nodes.math())
    typesetter.close()
    assert "katex.js" in capfd.readouterr().err


@pytest.mark.parametrize(
    "latex, letters",
    [
        ("2BDK", "BDK"),
        ("2 B D^{2}", "BD"),
        ("H_1", "H"),
        (r"\sum_{d=1}^{D} x_{[B,D]}", "DBD"),
        (r"\frac{B}{2}", "B"),
        ("16 ADD + 24 MUL", ""),
        ("2 B n + Vb", "B"),
        ("x^T", ""),
        (r"\mathcal{L} + \text{a B c} + \mathrm{D}", ""),
        (r"\frac BD", ""),  # KaTeX takes no mark for an argument without braces
    ],
)
def test_letters_are_marked_where_they_stand_for_an_axis(latex, letters):
    assert marked(latex) == letters


def test_a_page_explains_each_letter_that_it_marks(site, pages):
    for name in pages:
        page = read(site / name)
        listed = {entry.get_text() for entry in page.select("details.letters dt")}
        assert listed == {letter.get_text() for letter in page.select(".letter")}, name


def test_a_page_has_its_own_meanings(site):
    seconds = read(site / "lectures" / "05-seconds.html").select_one("details.letters").get_text()
    assert "the work, in FLOPs" in seconds
    assert MEANING["F"] not in seconds


def test_each_page_says_where_it_stands(site):
    course = sorted((ROOT / "lectures").glob("*.md"))
    for number, path in enumerate(course, 1):
        line = read(site / "lectures" / f"{path.stem}.html").select_one(".page-line").get_text(" ", strip=True)
        assert line.startswith(f"Lecture {number} of {len(course)} ")
        assert 5 <= int(re.search(r"(\d+) min to read", line)[1]) <= 90


def test_numbered_equations_can_be_linked_to_and_are_numbered_through_the_book(site):
    numbers = []
    for path in sorted((site / "lectures").glob("*.html")):
        for equation in read(path).select(".eqno"):
            numbers.append(int(re.match(r"\((\d+)\)", equation.get_text())[1]))
            assert equation.select_one("a.headerlink[href^='#equation-']")
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 9


def test_others_are_told_what_the_site_holds(site):
    listed = (site / "llms.txt").read_text("utf-8")
    whole = (site / "llms-full.txt").read_text("utf-8")
    sources = [path for folder in ("lectures", "notebooks", "reference") for path in (ROOT / folder).glob("*.md")]
    for path in [ROOT / "index.md", *sources]:
        source = f"_sources/{path.relative_to(ROOT)}"
        assert f"]({source})" in listed
        assert (site / source).read_bytes() == path.read_bytes()
        assert path.read_text("utf-8") in whole
        page = read(site / path.relative_to(ROOT).with_suffix(".html"))
        assert len(page.select_one('meta[name="description"]')["content"]) > 20
        assert page.select_one('meta[property="og:title"]')["content"]


@pytest.fixture(scope="module")
def page(site):
    with chromium() as browser, served(site) as address, browser.new_page(base_url=address) as page:
        page.set_viewport_size({"width": 1280, "height": 800})
        yield page


class TestInBrowser:
    pytestmark = in_browser

    def test_a_letter_tells_its_meaning(self, page):
        page.goto("/lectures/01-matmul.html")
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
            ("2BDK", "lectures/01-matmul.html#formula-matmul"),
            ("4BDK", "lectures/03-backward.html#formula-matmul-backward"),
            ("backward", "lectures/03-backward.html"),
            ("matrix product", "lectures/01-matmul.html"),
            ("MFU", "lectures/05-seconds.html"),
            ("utilization", "lectures/05-seconds.html#utilization"),
            ("roofline", "lectures/05-seconds.html"),
            ("memory", "lectures/06-memory.html"),
            ("audit", "lectures/08-audit.html"),
            ("FlopCount", "reference/api.html#flopbook.counting.FlopCount"),
            ("notation", "reference/notation.html"),
        ],
    )
    def test_search_finds_what_explains(self, page, query, first):
        page.goto(f"/search.html?q={query}")
        page.wait_for_selector("ul.search li a")
        assert page.locator("ul.search li a").first.get_attribute("href") == first

    def test_an_excerpt_is_of_the_text(self, page):
        page.goto("/search.html?q=backward")
        page.wait_for_selector("ul.search p.context")
        page.wait_for_load_state("networkidle")
        assert not [text for text in page.locator("p.context").all_inner_texts() if "min to read" in text]

    @pytest.mark.parametrize(
        "query, excerpt", [("2BDK", "(2)2BDK Holds when"), ("roofline", "You will derive the roofline")]
    )
    def test_an_excerpt_reads_as_the_page_does(self, page, query, excerpt):
        page.goto(f"/search.html?q={query}")
        page.wait_for_load_state("networkidle")
        expect(page.locator("p.context").first).to_contain_text(excerpt)

    def test_a_search_can_be_mended_where_it_was_made(self, page):
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
    def test_the_first_screen_shows_what_the_book_does(self, page, width):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto("/index.html")
        for shown in [".math", ".flopbook-comparison", ".start a"]:
            assert page.locator(shown).first.bounding_box()["y"] < 800, shown
        top = page.locator(".course-map > li").first.bounding_box()
        assert width < 1000 or top["y"] + top["height"] < 800
        titles = page.locator(".course-map a").all_text_contents()
        page.set_viewport_size({"width": 1280, "height": 800})
        assert len(titles) == len(list((ROOT / "lectures").glob("*.md")))

    def test_the_missing_page_works_at_any_depth(self, page, site):
        page.route("**/a/b/c.html", lambda route: route.fulfill(path=site / "404.html", status=404))
        page.goto("/a/b/c.html")
        page.get_by_label("Search").fill("MFU")
        page.get_by_role("button", name="Search").click()
        page.wait_for_selector("ul.search li a")
        page.go_back()
        page.get_by_role("link", name="the first page").click()
        assert page.title() == "The FLOP Book"

    def test_the_drawers_of_a_narrow_window_open_by_keyboard(self, page):
        page.set_viewport_size({"width": 390, "height": 800})
        page.goto("/lectures/01-matmul.html")
        link = page.locator(".sidebar-tree a").first
        assert not link.is_visible()
        page.get_by_role("button", name="All pages").press("Enter")
        assert link.is_visible()
        page.set_viewport_size({"width": 1280, "height": 800})
