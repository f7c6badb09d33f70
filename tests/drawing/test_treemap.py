"""Test a model as areas: proportional, numbers as counted, and sums that are right at each level."""

import re

import pytest

from flopbook.counts.breakdown import Node, break_down
from flopbook.counts.tally import Tally
from flopbook.drawing import module_areas

COLUMNS = ["parameters", "FLOPs of contractions", "pointwise FLOPs", "seconds forward"]
KINDS = {
    "Net": "Net",
    "Net.words": "Embedding",
    "Net.body": "Sequential",
    "Net.body.0": "Linear",
    "Net.body.1": "ReLU",
    "Net.out": "Linear",
}
PARAMETERS = {"": 500, "Net": 500, "Net.words": 400, "Net.body": 85, "Net.body.0": 85, "Net.body.1": 0, "Net.out": 10}
SECONDS = {"Net": 9e-3, "Net.words": 1e-3, "Net.body.0": 2e-3, "Net.body.1": 3e-3, "Net.out": 1e-3}


def silent():
    tally = Tally()
    tally.witness = "counted"
    return tally


def tree(**changed):
    tally = silent()
    tally.note("forward", "Net.body.0", "aten::addmm", 1280, 40)
    tally.note("backward", "Net.body.0", "aten::mm", 2560, 0)
    tally.note("forward", "Net.body.1", "aten::relu", 0, 40)
    tally.note("forward", "Net", "aten::mm", 640, 0)
    tally.note("forward", "", "aten::mean", 0, 7)
    return break_down(tally, KINDS, PARAMETERS | changed).step


@pytest.fixture(scope="module")
def picture():
    return module_areas(tree(), SECONDS)


def nodes():
    return {node.path or node.title: node for _, node in tree().walk()}


def areas(frame):
    """Return what each rectangle below the first covers: itself, then each module."""
    found = [re.search(r'width="([\d.]+)" height="([\d.]+)"', shape) for shape in frame.shapes if "<rect" in shape]
    return [float(each[1]) * float(each[2]) for each in found][1:]


def amounts(frame, column):
    """Return the amounts of the modules, of the module itself, and of all."""
    number = COLUMNS.index(column) + 1
    cells = [row[number] for row in frame.table.rows]
    return [float(cell.removesuffix(" ms").replace("0 s", "0")) if isinstance(cell, str) else cell for cell in cells]


def test_the_numbers_of_every_state_are_those_of_the_tree_and_add_up(picture, states):
    for state, frame in states(picture):
        node = nodes()[state["opened"]]
        *modules, _, total = frame.table.rows
        assert [row[:4] for row in modules] == [
            (child.title, child.parameters, child.flops, child.cost.pointwise) for child in node.children
        ]
        assert total[1:4] == (node.parameters, node.flops, node.cost.pointwise)
        for column in COLUMNS:
            *parts, whole = amounts(frame, column)
            assert sum(parts) == pytest.approx(whole)


def test_the_areas_of_every_state_are_in_proportion(picture, states):
    for state, frame in states(picture):
        *modules, itself, _ = amounts(frame, state["measure"])
        parts = [max(itself, 0), *modules]
        for area, amount in zip(areas(frame), parts, strict=True):
            share = amount / sum(parts) if sum(parts) else 0
            assert area == pytest.approx(share * 438.8 * 250, abs=4)


def test_areas_do_not_overlap_and_stay_inside(picture, states):
    for _, frame in states(picture):
        found = [re.findall(r' (?:x|y|width|height)="([\d.]+)"', shape) for shape in frame.shapes if "<rect" in shape]
        boxes = [tuple(map(float, each)) for each in found[1:] if float(each[2]) > 0]
        for n, (x, y, width, height) in enumerate(boxes):
            assert x + width <= 440 and y >= 26 and y + height <= 276.1
            for left, top, wide, high in boxes[:n]:
                apart = (
                    x + 0.05 > left + wide
                    or left + 0.05 > x + width
                    or y + 0.05 > top + high
                    or top + 0.05 > y + height
                )
                assert apart


def test_a_container_that_was_not_called_has_the_seconds_of_its_modules(picture):
    assert amounts(picture.frame(opened="Net"), "seconds forward")[1] == 5
    assert picture.frame(opened="step").table.rows[-1][-1] == "9.00 ms"


def test_the_sentence_says_what_is_largest_and_what_else_it_has(picture):
    assert picture.frame().sentence == (
        "Of the parameters of Net, words Embedding has most: 80.0%. "
        "It has 0.0% of the FLOPs of contractions, 0.0% of the pointwise FLOPs and 11.1% of the seconds forward. "
        "And which module has most FLOPs? Guess, then change what areas mean."
    )
    itself = picture.frame(opened="step", measure="pointwise FLOPs").sentence
    assert itself.startswith("Of the pointwise FLOPs of step, Net has most: 85.1%")


def test_a_click_opens_a_module_and_leads_back_up(picture):
    inside = picture.frame(opened="Net").shapes
    assert [shape for shape in inside if "<rect" in shape and "opened=Net.body" in shape]
    assert "opened=step" in inside[0]
    assert "data-set" not in picture.frame(opened="step").shapes[0]


def test_a_module_keeps_its_colour(picture):
    colours = {
        measure: re.findall('fill="(#[0-9a-f]{6})"', "".join(picture.frame(measure=measure).shapes))
        for measure in COLUMNS
    }
    assert len(set(map(tuple, colours.values()))) == 1
    assert len(set(colours["parameters"])) == 3


def test_parameters_that_modules_share_are_said_and_taken_off():
    frame = module_areas(tree(**{"Net.out": 410})).frame()
    assert "Its modules share 395 parameters, which it counts once." in frame.sentence
    assert frame.table.rows[-2][:2] == ("Net itself", -395)


def test_a_part_of_a_tree_is_drawn_alone_and_says_what_it_has_nothing_of():
    picture = module_areas(nodes()["Net.body"])
    assert [control.name for control in picture.controls] == ["measure"]
    assert picture.frame(measure="pointwise FLOPs").table.rows[-1] == ("body Sequential", 85, 3840, 40)
    quiet = break_down(silent(), {"Net": "Net"}, {"": 3, "Net": 3}).step
    assert module_areas(quiet).frame(measure="pointwise FLOPs").sentence == "step has no pointwise FLOPs."


def test_what_is_not_a_tree_of_modules_is_refused():
    with pytest.raises(TypeError, match=r"'GPT' is not a tree of modules: give one, such as report\.counted\.step"):
        module_areas("GPT")
    leaf = nodes()["Net.out"]
    assert isinstance(leaf, Node)
    with pytest.raises(ValueError, match="out Linear holds no module"):
        module_areas(leaf)
