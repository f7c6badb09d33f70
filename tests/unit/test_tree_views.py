"""One count as text, HTML and JSON, and files that are whole or not there."""

import json
import re

import pytest
import torch
from torch import nn

from flopbook.counting import FlopCount
from flopbook.files import write_whole
from flopbook.tally import Tally
from flopbook.tree import break_down
from flopbook.views import Views, as_dict, html_of, notes, text_table


@pytest.fixture
def counted():
    model = nn.Sequential(nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5), nn.ReLU()).eval()
    with FlopCount() as count:
        model(torch.ones(8, 16))
    return count


def test_text_by_phase_operator_and_module(counted):
    assert counted.table() == (
        "FLOPs    contractions  pointwise  fused    all\n"
        "forward         1,280        424     40  1,744\n"
        "total           1,280        424     40  1,744\n"
        "\n"
        "operator                 calls  contractions   share  pointwise  fused\n"
        "aten::addmm                  1         1,280  100.0%                40\n"
        "aten::native_batch_norm      1                              256\n"
        "aten::relu                   2                              168\n"
        "\n"
        "module             parameters  MACs  forward   share  pointwise  fused\n"
        "step                      117   640    1,280  100.0%        424     40\n"
        "  Sequential              117   640    1,280  100.0%        424     40\n"
        "    0 BatchNorm1d          32                               256\n"
        "    1 ReLU                                                  128\n"
        "    2 Linear               85   640    1,280  100.0%                40\n"
        "    3 ReLU                                                   40\n"
        "\n"
        "fused: pointwise arithmetic that a contraction's operator does besides, such as adding a bias."
    )


def test_text_down_to_a_depth(counted):
    assert "Sequential" in counted.table(depth=1)
    assert "Linear" not in counted.table(depth=1)


def test_backward_has_columns_of_its_own():
    layer = nn.Linear(3, 2)
    with FlopCount() as counted:
        layer(torch.ones(4, 3)).sum().backward()
    head = next(line for line in counted.table().splitlines() if line.startswith("module"))
    assert head.split() == [
        "module",
        "parameters",
        "MACs",
        "forward",
        "share",
        "backward",
        "share",
        "pointwise",
        "fused",
    ]


def test_a_count_of_nothing_is_a_table_of_zeros():
    with FlopCount() as counted:
        pass
    assert counted.table().splitlines()[:2] == [
        "FLOPs  contractions  pointwise  fused  all",
        "total             0          0      0    0",
    ]


def test_html_folds_without_a_script_and_without_colors(counted):
    html = counted._repr_html_()
    assert html.count("<details") == html.count("<summary") == html.count("</details>") == 4
    assert not re.search(r"<script|<style|style=|color|onclick", html)
    assert "<strong>2 Linear</strong> · parameters 85 · MACs 640 · forward 1,280 (100.0%) · fused 40" in html
    assert '<th scope="row">aten::relu</th><td class="number">2</td>' in html


def test_html_escapes_names():
    tally = Tally()
    tally.witness = "counted"
    tally.note("forward", "<Net>", "<op>", 2, 0)
    html = html_of(break_down(tally, {"<Net>": "<Net>"}, {"": 0, "<Net>": 0}))
    assert "&lt;Net&gt;" in html and "&lt;op&gt;" in html
    assert "<Net>" not in html and "<op>" not in html


def test_there_is_no_view_of_nothing():
    with pytest.raises(TypeError, match="breakdown"):
        Views()


def test_what_has_no_rule_is_named():
    tally = Tally()
    tally.witness = "counted"
    tally._uncounted.update({"mylib::fused": 3, "mylib::once": 1})
    counted = break_down(tally, {}, {"": 0})
    assert notes(counted) == ["Not counted, for want of a rule: mylib::fused (3 calls), mylib::once (1 call)."]
    assert "mylib::fused (3 calls)" in html_of(counted)


def test_json_says_the_same(counted):
    said = json.loads(counted.to_json())
    assert said["schema"] == "flopbook.count/1"
    assert said["flops"]["forward"] == said["flops"]["total"] == {"contractions": 1280, "pointwise": 424, "fused": 40}
    assert said["operators"][0] == {
        "operator": "aten::addmm", "phase": "forward", "calls": 1, "contractions": 1280, "pointwise": 0, "fused": 40,
    }  # fmt: skip
    (model,) = said["modules"]["modules"]
    assert (model["path"], model["class"], model["parameters"], model["macs"]) == ("Sequential", "Sequential", 117, 640)
    assert [part["class"] for part in model["modules"]] == ["BatchNorm1d", "ReLU", "Linear", "ReLU"]
    assert said["uncounted"] == {}


def test_json_keeps_integers_that_floating_point_would_not():
    tally = Tally()
    tally.witness = "counted"
    tally.note("forward", "", "aten::mm", 2**60 + 1, 0)
    text = json.dumps(as_dict(break_down(tally, {}, {"": 0})))
    assert json.loads(text)["flops"]["total"]["contractions"] == 2**60 + 1


def test_json_in_a_file(counted, tmp_path):
    text = counted.to_json(tmp_path / "count.json")
    assert (tmp_path / "count.json").read_text() == text
    assert list(tmp_path.iterdir()) == [tmp_path / "count.json"]


def test_a_path_that_leads_nowhere_is_quoted(tmp_path):
    path = str(tmp_path / "missing" / "count.json")
    with pytest.raises(FileNotFoundError) as error:
        write_whole(path, "text")
    assert str(error.value) == f"{path!r}: there is no folder {str(tmp_path / 'missing')!r}; make it first"


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(IsADirectoryError) as error:
        write_whole(tmp_path, "text")
    assert str(error.value) == f"{str(tmp_path)!r} is a folder: name a file in it"


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(tmp_path):
    path = tmp_path / "count.json"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half \udcff")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_has_its_numbers_to_the_right():
    assert text_table([("a", "bb"), ("ccc", "1")]) == "a    bb\nccc   1"
