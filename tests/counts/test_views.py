"""Test that a count has the same numbers as text, as HTML and as JSON."""

import json
import re
import sys

import pytest
import torch
from torch import nn

from flopbook.counts.breakdown import Cost, break_down
from flopbook.counts.communication import Transfer
from flopbook.counts.tally import Tally
from flopbook.counts.views import (
    SCHEMA,
    Views,
    as_dict,
    columns,
    communication_tables,
    html_of,
    notes,
    operator_table,
    phase_table,
)

PRODUCT, ADDED, RELU = 2 * 8 * 16 * 5, 8 * 5, 8 * 5


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 5), nn.ReLU())

    def forward(self, x):
        return self.body(x)


@pytest.fixture
def counted(count):
    model = Net()
    return count(lambda: model(torch.ones(8, 16)))


def test_text_has_phases_operators_and_modules(counted):
    assert counted.table() == (
        "FLOPs    contractions  pointwise  fused    all\n"
        "forward         1,280         40     40  1,360\n"
        "total           1,280         40     40  1,360\n"
        "\n"
        "operator     calls  contractions   share  pointwise  fused\n"
        "aten::addmm      1         1,280  100.0%                40\n"
        "aten::relu       1                               40\n"
        "\n"
        "module               parameters  MACs  forward   share  pointwise  fused\n"
        "step                         85   640    1,280  100.0%         40     40\n"
        "  Net                        85   640    1,280  100.0%         40     40\n"
        "    body Sequential          85   640    1,280  100.0%         40     40\n"
        "      0 Linear               85   640    1,280  100.0%                40\n"
        "      1 ReLU                                                   40\n"
        "\n"
        "fused: pointwise arithmetic that a contraction's operator does besides, such as adding a bias."
    )


def test_calls_of_an_operator_are_added_up_over_the_phases(count):
    w = torch.ones(3, 2, requires_grad=True)
    table = count(lambda: (torch.ones(4, 3) @ w).sum().backward()).table()
    assert ["aten::mm", "2", "96", "100.0%"] in [line.split() for line in table.splitlines()]


def test_backward_has_columns_of_its_own(count):
    layer = nn.Linear(3, 2)
    table = count(lambda: layer(torch.ones(4, 3)).sum().backward()).table()
    head = next(line for line in table.splitlines() if line.startswith("module"))
    assert head.split()[1:] == ["parameters", "MACs", "forward", "share", "backward", "share", "pointwise", "fused"]


@pytest.mark.parametrize(("depth", "modules"), [(0, 1), (1, 2), (2, 3), (None, 5)])
def test_text_goes_down_to_the_given_depth(counted, depth, modules):
    *_, tree, _note = counted.table(depth).split("\n\n")
    assert len(tree.splitlines()) == 1 + modules


@pytest.mark.parametrize("depth", [-1, 1.5, "2", True])
def test_a_depth_that_is_not_a_number_of_levels_is_refused(counted, depth):
    with pytest.raises(ValueError) as error:
        counted.table(depth)
    assert str(error.value) == f"depth={depth!r}: give how many levels to go down, 0 or more"


def test_json_holds_every_number_under_a_schema(counted):
    zero = dict.fromkeys(Cost._fields, 0)
    whole = zero | {"contractions": PRODUCT, "pointwise": RELU, "fused": ADDED}
    content = json.loads(counted.to_json())
    assert content["schema"] == SCHEMA == "flopbook.count/1"
    assert content["witness"] == "counted"
    assert content["flops"] == {
        "forward": whole,
        "backward": zero,
        "recomputed": zero,
        "optimizer": zero,
        "total": whole,
    }
    assert content["operators"] == [
        {"operator": "aten::addmm", "phase": "forward", "calls": 1, **whole, "pointwise": 0},
        {"operator": "aten::relu", "phase": "forward", "calls": 1, **zero, "pointwise": RELU},
    ]
    assert content["uncounted"] == {}
    net = content["modules"]["modules"][0]
    linear = net["modules"][0]["modules"][0]
    assert (net["path"], net["class"], net["parameters"]) == ("Net", "Net", 85)
    assert (linear["path"], linear["class"], linear["macs"]) == ("Net.body.0", "Linear", 640)


def test_json_is_written_to_a_file(counted, tmp_path):
    path = tmp_path / "count.json"
    assert counted.to_json(path) == path.read_text(encoding="utf-8")


def test_json_keeps_integers_that_floating_point_would_not():
    tally = Tally()
    tally.witness = "counted"
    tally.note("forward", "", "aten::mm", 2**60 + 1, 0)
    text = json.dumps(as_dict(break_down(tally, {}, {"": 0})))
    assert json.loads(text)["flops"]["total"]["contractions"] == 2**60 + 1


def test_html_folds_and_holds_the_same_numbers(counted):
    html = counted._repr_html_()
    assert html.count("<details") == html.count("</details>") == 5  # operators, modules; the step, Net and its body
    assert not re.search(r"<script|<style|style=|color|onclick", html)
    assert "<caption>FLOPs, counted</caption>" in html
    assert "<summary><strong>Net</strong><span><i> · </i><small>parameters</small> 85</span>" in html
    assert (
        "<span><i> · </i><small>MACs</small> 640</span><span><i> · </i><small>forward</small> 1,280 (100.0%)</span>"
        in html
    )
    assert '<th scope="row">aten::addmm</th><td class="number">1</td><td class="number">1,280</td>' in html


def test_html_is_well_formed(counted):
    html = counted._repr_html_()
    opened = re.findall(r"<(\w+)", html)
    closed = re.findall(r"</(\w+)", html)
    assert sorted(opened) == sorted(closed)


def test_every_view_names_what_is_not_counted(count, counted):
    counted._uncounted["mylib::fused"] = 2
    assert "Not counted, for want of a rule: mylib::fused (2 calls)." in counted.table()
    assert "Not counted, for want of a rule: mylib::fused (2 calls)." in counted._repr_html_()
    assert json.loads(counted.to_json())["uncounted"] == {"mylib::fused": 2}


@pytest.fixture
def rare():
    """Make a count with all that only few counts have."""
    tally = Tally()
    tally.witness = "counted"
    tally.note("forward", "", "aten::_int_mm", 0, 0, 0, 4321)
    tally.note("forward", "", "aten::sdpa", 1000, 60, 10)
    tally.note_masked("forward", "aten::sdpa", 300)
    tally.note_masked("forward", "mylib::attention", None)
    tally._remade["forward"] += 200
    return break_down(tally, {}, {"": 0})


def test_integers_and_transcendental_functions_have_columns_in_every_table(rare):
    assert phase_table(rare).text.splitlines()[1].split() == [
        "forward", "1,000", "0", "60", "1,060", "10", "4,321",
    ]  # fmt: skip
    assert phase_table(rare).head[-2:] == operator_table(rare).head[-2:] == ("transcendental", "integer")
    assert operator_table(rare).rows[1] == ("aten::_int_mm", "1", "", "", "", "", "", "4,321")
    assert [column.heading for column in columns(rare)][-2:] == ["transcendental", "integer"]
    assert "<small>integer</small> 4,321" in html_of(rare)
    assert as_dict(rare)["flops"]["forward"] == {
        "contractions": 1000, "pointwise": 0, "fused": 60, "transcendental": 10, "integer": 4321,
    }  # fmt: skip


def test_every_view_names_what_is_masked_made_again_or_unknown(rare):
    said = "\n".join(notes(rare))
    assert "masked: 300 FLOPs of the contractions; needed without them: 700." in said
    assert "made again: 200 FLOPs of the contractions" in said
    assert "for the mask is unknown: mylib::attention (1 call)." in said
    content = as_dict(rare)
    assert (content["masked"]["forward"], content["remade"]["forward"]) == (300, 200)
    assert content["masked_unknown"] == {"mylib::attention": 1}


def test_a_single_call_is_one_call():
    tally = Tally()
    tally.witness = "counted"
    tally._uncounted.update({"mylib::fused": 3, "mylib::once": 1})
    said = notes(break_down(tally, {}, {"": 0}))
    assert said == ["Not counted, for want of a rule: mylib::fused (3 calls), mylib::once (1 call)."]


def test_names_are_escaped_in_html(count):
    odd = type("A<b>", (nn.Linear,), {})(2, 3)
    assert "A&lt;b&gt;" in count(lambda: odd(torch.ones(1, 2)))._repr_html_()


def test_the_parts_of_the_tree_add_up(count):
    model = nn.Sequential(nn.Linear(3, 4), Net().body[1], nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5)))
    counted = count(lambda: model(torch.ones(7, 3)).sum().backward())
    (root,) = counted.breakdown.step.children
    for _, node in root.walk():
        if node.children:
            assert node.cost == Cost.sum(child.cost for child in node.children)
            assert node.parameters == sum(child.parameters for child in node.children)


def test_an_empty_count_has_its_views(count):
    nothing = count(lambda: None)
    assert nothing.table().splitlines()[:2] == [
        "FLOPs  contractions  pointwise  fused  all",
        "total             0          0      0    0",
    ]
    assert json.loads(nothing.to_json())["modules"]["modules"] == []
    assert "<table" in nothing._repr_html_()


def test_views_need_a_breakdown():
    with pytest.raises(TypeError, match="breakdown"):
        Views()


class Two(nn.Module):
    """Holds a small layer and a large one, in this order."""

    def __init__(self):
        super().__init__()
        self.small, self.large = nn.Linear(16, 3), Net()

    def forward(self, x):
        return self.small(x).sum() + self.large(x).sum()


@pytest.fixture
def two(count):
    model = Two()
    return count(lambda: model(torch.ones(8, 16)).backward())


def modules_in(table):
    """Return the first cell of each module's row."""
    tree = next(part for part in table.split("\n\n") if part.startswith("module"))
    return [re.split(r"\s{2,}", line.strip())[0] for line in tree.splitlines()[1:]]


def test_only_modules_of_a_pattern_are_shown_with_all_that_they_hold(two):
    assert modules_in(two.table(where="*.body")) == ["body Sequential", "0 Linear", "1 ReLU"]
    assert modules_in(two.table(where="Two.large", depth=2)) == ["large Net"]


def test_modules_are_listed_by_a_column_the_largest_first(two):
    listed = modules_in(two.table(sort="parameters"))
    assert listed[:2] == ["step", "Two"] and listed.index("Two.large.body.0") < listed.index("Two.small")


def test_no_more_operators_and_modules_are_shown_than_wanted(two):
    _, operators, modules, *_ = two.table(top=2, sort="backward").split("\n\n")
    assert len(operators.splitlines()) == len(modules.splitlines()) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(where="*.tail"), "where='*.tail' fits no module: give a pattern for one of 'Two', 'Two.small', "),
        (dict(where=3), "where=3 is not text: write a word or more in quotation marks"),
        (dict(sort="flops"), "sort='flops' is not a column: give one of 'parameters', 'MACs', 'forward', 'share', "),
        (dict(top=0), "top=0 is not a size: write a whole number of at least 1"),
    ],
)
def test_what_a_table_cannot_choose_by_is_quoted(two, given, message):
    with pytest.raises((TypeError, ValueError)) as error:
        two.table(**given)
    assert str(error.value).startswith(message)


def test_of_many_modules_the_first_are_named(count):
    model = nn.Sequential(*(nn.ReLU() for _ in range(99)))
    with pytest.raises(ValueError, match=r"one of 'Sequential', 'Sequential.0', .*'Sequential.3', \.\.\.$"):
        count(lambda: model(torch.ones(1))).table(where="tail")


def test_csv_has_a_line_for_each_module_with_whole_numbers(two, tmp_path):
    path = tmp_path / "count.csv"
    lines = two.to_csv(path).splitlines()
    assert two.to_csv() == path.read_text(encoding="utf-8")
    assert lines[0] == "path,class,parameters,MACs,forward,backward,pointwise,fused"
    assert lines[1].startswith(",,136,") and lines[3] == "Two.small,Linear,51,768,768,768,24,24"
    assert len(lines) == 1 + 7


def test_a_data_frame_has_the_rows_of_the_csv(two):
    pandas = pytest.importorskip("pandas")
    frame = two.to_pandas()
    assert isinstance(frame, pandas.DataFrame) and frame.to_csv(index=False) == two.to_csv()


def test_without_pandas_the_error_says_what_else_there_is(two, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"to_pandas needs pandas: pip install pandas, or write to_csv\(\)"):
        two.to_pandas()


def communicating():
    tally = Tally()
    tally.witness = "counted"
    tally.note_communication(Transfer("all-reduce", "forward", "Net.0", 8), 2048, 3584)
    return tally


def test_communication_is_shown_as_text_html_and_json():
    tally = communicating()
    counted = break_down(tally, {}, {"": 0})
    (table,) = communication_tables(counted)
    assert table.text.splitlines()[1].split() == ["all-reduce", "forward", "Net.0", "8", "1", "2,048", "3,584"]
    assert table.html in html_of(counted) and any(line.startswith("payload: ") for line in notes(counted))
    assert as_dict(counted)["communication"] == [
        {
            "collective": "all-reduce", "phase": "forward", "module": "Net.0", "ranks": 8, "calls": 1, "payload": 2048,
            "ring": 3584,
        }
    ]  # fmt: skip
    tally.note_communication(Transfer("send", "backward", "", 8), 5, 5)
    (table,) = communication_tables(break_down(tally, {}, {"": 0}))
    assert [line.split()[-3:] for line in table.text.splitlines()[2:]] == [["1", "5", "5"], ["2", "2,053", "3,589"]]
    assert table.text.splitlines()[2].split()[:3] == ["send", "backward", "step"]


def test_what_sends_nothing_has_no_table_of_communication(counted):
    assert communication_tables(counted.breakdown) == [] and "payload" not in counted.table()
