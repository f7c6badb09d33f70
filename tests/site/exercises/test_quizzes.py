"""Test the quiz of each lecture, as HTML."""

from tests.support.html import read_from


def lectures(pages: list[str]) -> list[str]:
    return [name for name in pages if name.startswith("lectures/")]


def test_every_lecture_ends_with_a_quiz(site, pages):
    for name in lectures(pages):
        html = read_from(site / name, "quiz")
        questions = html.select("#quiz .question")
        assert 3 <= len(questions) <= 5, name
        assert len({question["id"] for question in questions}) == len(questions)
        for question in questions:
            assert len(question.select("input[data-right]")) == 1
            assert len(question.select("input")) == len(question.select(".reason")) >= 2


def test_the_right_answer_is_not_always_at_the_same_place(site, pages):
    places = set()
    for name in lectures(pages):
        html = read_from(site / name, "quiz")
        places |= {right["value"] for right in html.select("#quiz input[data-right]")}
    assert places >= {"0", "1", "2"}
