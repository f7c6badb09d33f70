"""Test the configurations of the named models: each file says what it is, where it comes from, and which format."""

import json
import re
from pathlib import Path

import pytest

import flopbook

FILES = sorted((Path(flopbook.__file__).parent / "published" / "configs").glob("*.json"))


def read(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


def test_there_are_configurations():
    assert FILES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
class TestOneFile:
    def test_it_has_its_four_keys(self, file):
        assert list(read(file)) == ["name", "source", "published", "config"]

    def test_it_is_called_after_its_model(self, file):
        assert file.stem == re.sub(r"[^a-z0-9.]+", "-", read(file)["name"].lower()).strip("-")

    def test_its_source_is_an_address(self, file):
        assert re.match(r"https://\S+\.\S+/\S+", read(file)["source"])

    def test_its_configuration_says_of_which_kind_it_is(self, file):
        config = read(file)["config"]
        assert isinstance(config.get("model_type", config.get("_class_name")), str)

    def test_what_its_makers_say_is_text_with_an_address(self, file):
        published = read(file)["published"]
        assert all(isinstance(each, str) for each in published.values())
        assert not published or published.get("source", "").startswith("https://")


def test_no_two_have_the_same_name():
    names = [read(file)["name"] for file in FILES]
    assert len(set(names)) == len(names)
