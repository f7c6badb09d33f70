"""Test the map of the course: where its pages stand, and which needs are drawn."""

import pytest

from flopsite.course.map import COLUMNS, _edges, all_needs, positions
from flopsite.course.outline import Course, Page, Part


@pytest.fixture
def course() -> Course:
    """Make two parts, in which c needs b, b needs a, and d needs all three."""
    first = [_page("a"), _page("b", "a"), _page("c", "b"), _page("x"), _page("y")]
    return Course((Part("One", "I", tuple(first)), Part("Two", "II", (_page("d", "a", "b", "c"),))), ())


def _page(name: str, *needs: str) -> Page:
    return Page("lecture", name, name, name, number=1, needs=needs)


def test_a_part_begins_a_new_row(course):
    assert COLUMNS == 4
    assert positions(course) == {"a": (0, 0), "b": (0, 1), "c": (0, 2), "x": (0, 3), "y": (1, 0), "d": (2, 0)}


def test_a_page_needs_what_its_needs_need(course):
    assert all_needs(course, course.pages["c"]) == {"a", "b"}
    assert all_needs(course, course.pages["a"]) == set()


def test_a_need_that_follows_from_another_is_not_drawn(course):
    assert [edge["ends"] for edge in _edges(course, positions(course))] == ["a b", "b c", "c d"]


def test_a_curve_goes_around_the_pages_between(course):
    between = Course((Part("One", "I", (_page("a"), _page("b"), _page("c", "a"))),), ())
    (edge,) = _edges(between, positions(between))
    assert edge["path"] == "M0.5 0.5C0.5 -0.2 2.5 -0.2 2.5 0.5"
