"""Test ranks side by side: the largest over the mean, text, HTML and JSON."""

import json
import re

import pytest

from flopbook.counts.communication import Sent
from flopbook.counts.ranks import SCHEMA, Rank, Ranks

KEPT = dict(parameters=400, gradients=400, activations=96)


def a_rank(number, forward, kept=None, seconds=None, **sent):
    return Rank(number, {"forward": forward, "backward": 2 * forward}, 7, sent, kept, seconds)


@pytest.fixture
def ranks():
    sent = {"all-gather": Sent(2, 640, 320), "reduce-scatter": Sent(1, 320, 160)}
    return Ranks((
        a_rank(0, 100, KEPT, 0.001, **sent),
        a_rank(1, 200, KEPT | dict(activations=192), 0.003, **sent),
    ))  # fmt: skip


def test_text_has_a_row_for_each_rank_and_the_largest_over_the_mean(ranks):
    assert str(ranks) == ranks.table() == (
        "FLOPs of rank   forward  backward    all  pointwise  seconds\n"
        "0                   100       200    300          7  1.00 ms\n"
        "1                   200       400    600          7  3.00 ms\n"
        "largest / mean    1.333     1.333  1.333          1      1.5\n"
        "\n"
        "payload bytes of rank  all-gather  reduce-scatter  all\n"
        "0                             640             320  960\n"
        "1                             640             320  960\n"
        "largest / mean                  1               1    1\n"
        "\n"
        "ring bytes of rank  all-gather  reduce-scatter  all\n"
        "0                          320             160  480\n"
        "1                          320             160  480\n"
        "largest / mean               1               1    1\n"
        "\n"
        "bytes kept by rank  parameters  gradients  activations    all\n"
        "0                          400        400           96    896\n"
        "1                          400        400          192    992\n"
        "largest / mean               1          1        1.333  1.051\n"
        "\n"
        "largest / mean: 1 where all ranks take the same; the others wait for the one that takes most.\n"
        "payload: the whole tensor that is summed, gathered or exchanged; ring: what the rank sends.\n"
        "activations: what is kept for the backward pass, at its most."
    )  # fmt: skip


def test_the_imbalance_is_the_largest_over_the_mean(ranks):
    exact = {"forward": 200 / 150, "backward": 400 / 300, "all": 600 / 450, "pointwise": 1, "payload": 1, "ring": 1}
    assert ranks.imbalance == exact | {"kept": 992 / 944, "seconds": 1.5}


def test_one_rank_and_counts_alone_say_less():
    assert str(Ranks((a_rank(0, 100),))) == (
        "FLOPs of rank  forward  backward  all  pointwise\n"
        "0                  100       200  300          7"
    )  # fmt: skip


def test_a_rank_without_a_collective_or_a_time_has_none():
    uneven = Ranks((a_rank(0, 100, seconds=0.5, broadcast=Sent(1, 64, 64)), a_rank(1, 0)))
    assert uneven.imbalance == dict(forward=2, backward=2, all=2, pointwise=1, payload=2, ring=2)  # and no seconds
    assert [line.split() for line in str(uneven).splitlines()[:4]] == [
        ["FLOPs", "of", "rank", "forward", "backward", "all", "pointwise", "seconds"],
        ["0", "100", "200", "300", "7", "500", "ms"],
        ["1", "0", "0", "0", "7", "—"],
        ["largest", "/", "mean", "2", "2", "2", "1"],
    ]


def test_html_is_four_tables_with_captions_and_headings(ranks):
    html = ranks._repr_html_()
    assert re.findall("<caption>(.*?)</caption>", html) == [
        "FLOPs of each rank, and seconds of its step",
        "Bytes of each rank&#x27;s collectives",
        "Bytes that each rank sends in a ring",
        "Bytes that each rank keeps",
    ]
    assert html.count('<th scope="row">1</th>') == 4
    assert not re.search(r"<script|<style|style=", html)


def test_json_holds_every_number_under_a_schema(ranks, tmp_path):
    content = json.loads(ranks.to_json(tmp_path / "ranks.json"))
    assert content["schema"] == SCHEMA == "flopbook.ranks/1"
    assert content["ranks"][1] == {
        "rank": 1,
        "flops": {"forward": 200, "backward": 400, "total": 600},
        "pointwise": 7,
        "communication": [
            {"collective": "all-gather", "calls": 2, "payload": 640, "ring": 320},
            {"collective": "reduce-scatter", "calls": 1, "payload": 320, "ring": 160},
        ],
        "kept_bytes": {"parameters": 400, "gradients": 400, "activations": 192},
        "seconds": 0.003,
    }
    assert content["imbalance"] == ranks.imbalance
    assert json.loads((tmp_path / "ranks.json").read_text("utf-8")) == content
