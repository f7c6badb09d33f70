"""Hold published models on paper to the record of what the library's models have and run."""

import json
from pathlib import Path

import pytest

from flopbook.published import named, names
from flopbook.published.in_library.witness import witness

RECORD = json.loads(Path("reference/data/published.json").read_text(encoding="utf-8"))["models"]


def test_the_record_has_every_named_model():
    assert list(RECORD) == names()


@pytest.mark.parametrize("name", RECORD)
def test_a_model_on_paper_is_what_was_counted(name):
    network, counted = named(name).network, RECORD[name]
    assert network.parameters == counted["parameters"]
    assert network.forward(**counted["sizes"]) == counted["forward"]
    assert network.backward(**counted["sizes"]) == counted["backward"]


@pytest.mark.parametrize("name", ["Llama 3 8B", "gpt-oss 20b", "Whisper small"])
def test_whole_models_are_counted_again(name):
    counted = dict(RECORD[name])
    assert witness(named(name).config, **counted.pop("sizes"))._asdict() == counted
