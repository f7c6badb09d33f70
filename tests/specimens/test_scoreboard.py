"""Test the heat map of counters: a sign for each verdict, and what a counter has missed."""

import pytest
from bs4 import BeautifulSoup

from flopbook.specimens import SPECIMENS
from flopbook.specimens.scoreboard import Standings, off_by, verdict

FAMILIES = ("Products", "Attention")
MODELS = [model for model in SPECIMENS if model.family in FAMILIES]


@pytest.fixture(scope="module")
def shown():
    counts = {
        "all": {model.name: model.forward for model in MODELS},
        "half": {model.name: model.forward // 2 for model in MODELS},
        "none": {model.name: 0 for model in MODELS},
        "crashing": {model.name: None for model in MODELS},
    }
    words = {
        counter: {
            model.name: "crashes" if column[model.name] is None else verdict(column[model.name], model.forward)
            for model in MODELS
        }
        for counter, column in counts.items()
    }
    return BeautifulSoup(Standings("FLOPs forward", MODELS, words, counts)._repr_html_(), "html.parser")


def test_each_verdict_has_a_sign_and_its_words(shown):
    cells = shown.select("tbody td:has([title])")
    assert len(cells) == 4 * len(MODELS)
    signs = [[cell.select_one("[aria-hidden]").string for cell in cells[n::4]] for n in range(4)]
    assert list(map(set, signs)) == [{"✓"}, {"◣"}, {"○"}, {"×"}]
    assert [cell.select_one(".visually-hidden").string for cell in cells[:4]] == [
        "exact",
        "× 0.5",
        "counts 0",
        "crashes",
    ]


def test_there_is_a_tick_for_each_family_of_rows(shown):
    assert [label.get_text().strip() for label in shown.select("fieldset label")] == list(FAMILIES)
    assert [body.th.string for body in shown.select("tbody")] == list(FAMILIES)


def test_a_name_opens_what_its_counters_say(shown):
    button = shown.select_one("tbody button")
    said = shown.find(id=button["popovertarget"])
    assert said.p.get_text() == button.get_text() == MODELS[0].name
    assert [item.strong.string for item in said.select("li")] == ["half", "none", "crashing"]
    assert "0 of 1,386 FLOPs" in said.get_text()


def test_the_sums_are_those_of_all_models(shown):
    total = shown.select_one("tr.total")
    assert [cell.get_text() for cell in total] == [f"Exact, of all {len(MODELS)}", str(len(MODELS)), "0", "0", "0"]


def test_a_missed_product_is_named_and_an_unknown_lack_is_not_explained():
    products = {"a": 2, "b": 3, "c": 7}
    assert off_by(9, products).endswith("these take: b")
    assert off_by(7, products).endswith("these take: a; b")
    assert off_by(1, products) == "1 of 12 FLOPs"
