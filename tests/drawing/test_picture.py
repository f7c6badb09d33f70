"""Test what every picture has: its states, and the data that its script exchanges."""

import itertools

import pytest

from flopbook.drawing.controls import Choice, Slider, Steps, Tick
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import rect, words
from flopbook.tables import Table
from tests.support.pictures import parts_in


def draw(B, wide, name):
    shapes = [rect(0, 0, B, 10), words(5, 5, name), *([rect(0, 20, 10, 10)] if wide else [])]
    rows = [(name, B)] * (2 if wide else 1)
    return Frame(shapes, f"{B} rows of {name}.", Table(["name", "B"], rows))


CONTROLS = [Slider("B", "B, rows", [1, 2, 4], start=2), Tick("wide", "wide"), Choice("name", "Name", ["x", "<w>"])]


@pytest.fixture
def picture():
    return Picture("rows", "Some rows", 30, draw, CONTROLS)


def test_the_script_is_given_every_state_as_it_was_drawn(picture):
    data = picture.data
    states = itertools.product(range(3), range(2), range(2))
    for state, frame in zip(states, picture.frames, strict=True):
        found = parts_in(data, state)
        assert found["said", 0] == frame.sentence
        shapes = [found["svg", 0], found["svg", 1], found["svg", 2]]
        assert shapes[: len(frame.shapes)] == frame.shapes
        assert shapes[len(frame.shapes) :] == ["<g/>"] * (3 - len(frame.shapes))
        assert found["rows", 0] == frame.table.html_rows[0]


def axes_of(data):
    """Return the controls that each changing part depends on, piece by piece."""
    return {
        (place, number): [data["pieces"][piece][0] for piece in made if isinstance(piece, int)]
        for place, number, made in data["parts"]
    }


def test_a_part_is_kept_over_the_controls_that_it_depends_on_alone(picture):
    axes = axes_of(picture.data)
    assert axes["svg", 0] == [[0]]
    assert axes["svg", 1] == [[2]]
    assert axes["svg", 2] == [[1]]
    assert axes["rows", 1] == [[0, 1, 2]]
    assert axes["said", 0] == [[0], [2]]


def test_numbers_of_one_text_depend_on_a_control_each():
    def sides(B, D):
        return Frame([rect(0, 0, B, D)], f"There are {B} rows. Each has {D}.", Table(["B"], [("all",)], labels=1))

    data = Picture("sides", "Sides", 10, sides, [Slider("B", "B", [1, 2]), Slider("D", "D", [3, 4, 5])]).data
    assert axes_of(data) == {("svg", 0): [[0], [1]], ("said", 0): [[0], [1]]}
    assert [texts for _, texts, _ in data["pieces"]] == [["1", "2"], ["3", "4", "5"]]  # each is kept once


def test_what_ends_as_it_began_is_sent():
    def parity(B):
        return Frame([], f"{B} is {'odd' if B % 2 else 'even'}.", Table(["B"], [(B,)], labels=0))

    data = Picture("parity", "Parity", 10, parity, [Slider("B", "B", [1, 2, 3])]).data
    assert [" is odd.", " is even."] in [texts for _, texts, _ in data["pieces"]]


def test_what_never_changes_is_not_sent():
    still = Picture(
        "still", "Still", 10, lambda B: Frame([rect(0, 0, 1, 1)], f"{B}", Table(["B"], [("all",)])), CONTROLS[:1]
    )
    assert [part[:2] for part in still.data["parts"]] == [["said", 0]]


def test_a_picture_starts_at_the_first_state(picture):
    assert picture.frame() == draw(2, False, "x")
    assert "2 rows of x." in picture.html()


def test_the_reader_s_words_are_not_markup(picture):
    assert "<w>" not in picture.html()


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"C": 1}, "control='C' is not known"),
        ({"B": 3}, r"B=3 cannot be set: give one of \[1, 2, 4\]"),
    ],
)
def test_a_state_that_does_not_exist_is_refused(picture, state, says):
    with pytest.raises(ValueError, match=says):
        picture.frame(**state)


def test_faults_in_a_picture_are_named():
    with pytest.raises(ValueError, match="two controls are called alike: B, B"):
        Picture("rows", "Some rows", 30, draw, [CONTROLS[0], CONTROLS[0]])
    with pytest.raises(ValueError, match="rows has 10,000 states, and at most 4,096 fit"):
        Picture("rows", "Some rows", 30, draw, [Steps(name, name, range(100)) for name in "BD"])
    with pytest.raises(TypeError, match="3 cannot be called"):
        Picture("rows", "Some rows", 30, 3)
    with pytest.raises(ValueError, match=r"B starts at 3: start at one of \[1, 2\]"):
        Slider("B", "B", [1, 2], start=3)
    with pytest.raises(ValueError, match="give at least two"):
        Choice("name", "Name", ["one"])


def test_a_notebook_gets_a_picture_that_needs_no_other_file(picture):
    html = picture._repr_mimebundle_()["text/html"]
    assert "flopbook.mountPictures" in html
    assert "data-address" not in html.partition("<script>")[0]
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "")
