"""Test the plan of weeks: no week is too long, and a lab comes when its needs are taught."""

from flopsite.course.outline import read_course
from flopsite.course.plan import WEEK, labs, minutes, weeks
from tests.conftest import ROOT


def test_every_lecture_has_a_week_that_holds_it():
    course = read_course(ROOT)
    planned = weeks(course)
    assert [lecture for week in planned for lecture in week] == course.lectures
    assert all(len(week) == 1 or sum(map(minutes, week)) <= WEEK for week in planned)


def test_two_short_lectures_share_a_week():
    course = read_course(ROOT)
    first, second = course.lectures[:2]
    assert minutes(first) == round(1.5 * first.minutes)
    assert (weeks(course)[0] == [first, second]) == (minutes(first) + minutes(second) <= WEEK)


def test_a_lab_comes_once_when_all_that_it_needs_is_taught():
    course, taught, given = read_course(ROOT), set(), []
    for week in weeks(course):
        before, taught = taught, taught | {lecture.docname for lecture in week}
        given += labs(course, taught, before)
    assert sorted(lab.docname for lab in given) == sorted(p.docname for p in course.pages.values() if p.kind == "lab")
