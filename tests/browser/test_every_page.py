"""Test in a browser that every page works, loads fast, is accessible, and answers its reader as it should."""

import random

import pytest

from flopsite.course.outline import read_course
from tests.conftest import ROOT
from tests.support.browser import IN_BROWSER
from tests.support.controls import Used, use_controls
from tests.support.visit import Reader, Visit

pytestmark = IN_BROWSER

WEIGHT_LIMIT = 450_000  # bytes
PICTURE_LIMIT = 1_350  # pixels: a screen and a half


@pytest.fixture(scope="module")
def seen_and_used(browser, address, pages) -> tuple[dict[str, Visit], Used]:
    """Open each page once, look at it, and use its controls."""
    visits, used = {}, Used()
    reader, draw = Reader(browser, address), random.Random(1)
    for name in pages:
        visits[name] = reader.visit(name)
        use_controls(reader.page, name, draw, used)
    return visits, used


@pytest.fixture(scope="module")
def visits(seen_and_used) -> dict[str, Visit]:
    return seen_and_used[0]


@pytest.fixture(scope="module")
def used(seen_and_used) -> Used:
    return seen_and_used[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible(visits, scheme):
    assert {name: visit.violations[scheme] for name, visit in visits.items() if visit.violations[scheme]} == {}


def test_formulas_have_the_colour_of_their_text(visits):
    assert {name: visit.coloured for name, visit in visits.items() if visit.coloured} == {}


def test_pages_load_without_complaint(visits):
    assert {name: visit.errors for name, visit in visits.items() if visit.errors} == {}


def test_everything_comes_from_the_site(visits):
    requests = {request for visit in visits.values() for request in visit.requests}
    assert [request for request in requests if not request.startswith(("http://127.0.0.1:", "data:"))] == []


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_scrolls_sideways(visits, width):
    assert {name: visit.width[width] for name, visit in visits.items() if visit.width[width] > width} == {}


def test_no_formula_overlaps_its_number(visits):
    overlaps = {name: visit.overlaps for name, visit in visits.items() if visit.overlaps}
    assert overlaps == {}


def test_no_line_begins_with_a_mark(visits):
    assert {name: visit.parted for name, visit in visits.items() if visit.parted} == {}


def test_what_scrolls_shows_that_it_does(visits):
    assert {name: visit.unhinted for name, visit in visits.items() if visit.unhinted} == {}


def test_math_is_set(visits):
    assert {name: visit.broken_fonts for name, visit in visits.items() if visit.broken_fonts} == {}
    heights = [height for visit in visits.values() for height in visit.math]
    assert heights
    assert min(heights) > 0


def test_focus_is_visible(visits):
    assert {name: visit.unfocused for name, visit in visits.items() if visit.unfocused} == {}


def test_every_page_is_light(visits):
    assert {name: visit.weight for name, visit in visits.items() if visit.weight > WEIGHT_LIMIT} == {}


def test_no_page_is_wider_than_the_paper(visits):
    assert {name: visit.wider_than_paper for name, visit in visits.items() if visit.wider_than_paper} == {}


def test_no_table_is_cut_off_in_its_column(visits):
    assert {name: visit.cut_tables for name, visit in visits.items() if visit.cut_tables} == {}


def test_every_lecture_opens_with_a_picture(visits):
    tops = {one.docname: visits[f"{one.docname}.html"].picture_top for one in read_course(ROOT).lectures}
    assert {name: top for name, top in tops.items() if top is None or top > PICTURE_LIMIT} == {}


def test_every_calculator_agrees_with_its_formula(used):
    assert used.wrong["calculators"] == {}
    assert sum(used.number["calculators"].values()) >= 12
    assert max(used.lengths) > len(f"{2**53:,}")  # node is asked about any expression at many sizes: test_javascript.py


def test_every_picture_turns_to_the_frames_that_were_drawn(used):
    assert used.wrong["pictures"] == {}
    assert sum(used.number["pictures"].values()) > 0


def test_every_exercise_takes_its_right_answer_and_knows_its_wrong_ones(used):
    assert used.wrong["exercises"] == {}
    assert sum(used.number["exercises"].values()) >= 33


def test_every_answer_to_a_question_gets_its_reason(used):
    assert used.wrong["questions"] == {}
    assert sum(used.number["questions"].values()) > 0
