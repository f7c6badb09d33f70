"""Test printed pages: folded parts are shown, controls are not, nothing is cut off."""

import pytest
from playwright.sync_api import Page

from tests.browser.test_pdf import sheets_of, squeezed
from tests.support.browser import IN_BROWSER, PAPER_WIDTH

pytestmark = IN_BROWSER

SHOWN = "all => all.filter(one => one.checkVisibility({ visibilityProperty: true })).length"


@pytest.fixture
def printed(page, address):
    """Open a page as it is printed: on paper, from a window that is dark."""

    def open_page(name: str) -> Page:
        page.set_viewport_size({"width": PAPER_WIDTH, "height": 900})
        page.goto(f"{address}/{name}")
        page.emulate_media(media="print", color_scheme="dark")
        return page

    return open_page


def test_solutions_and_answers_are_open(printed):
    page = printed("lectures/backward.html")
    for folded in ("details.dropdown > summary ~ *", ".question details li"):
        assert page.locator(folded).evaluate_all(SHOWN) == page.locator(folded).count() > 4
    paper = "".join(sheets_of(page.pdf()))
    assert squeezed("Exactly 1, at any depth and width: each layer has one backward product") in paper
    assert squeezed("The answers, and why they tempt") in paper
    assert squeezed("Skip to content") not in paper


def test_controls_leave_their_values(printed):
    page = printed("reference/calculator.html")
    assert page.locator("button, input[type=range]").evaluate_all(SHOWN) == 0
    fields = page.locator(".calculator .size input[type=text]")
    assert fields.evaluate_all(SHOWN) == fields.count() > 20
    styles = fields.or_(page.locator(".calculator select")).evaluate_all(
        "all => all.map(one => getComputedStyle(one)).map(style => style.borderStyle + style.appearance)"
    )
    assert set(styles) == {"nonenone"}


def test_code_that_is_folded_is_left_out_and_what_was_unfolded_stays(printed):
    page = printed("lectures/backward.html")
    assert page.locator("details.hide").evaluate_all(SHOWN) == 0
    page.locator("details.hide").first.evaluate("fold => { fold.open = true; }")
    assert page.locator("details.hide").evaluate_all(SHOWN) == 1
