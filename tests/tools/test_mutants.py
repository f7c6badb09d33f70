"""Test what `make mutants` changes, and which tests it runs."""

from pathlib import Path

import pytest

from tools.mutants import Record, mutants_of

SOURCE = '''
"""A docstring with 2 numbers."""

SIZES = {3, 4}

@rule("mm", "bmm")
def product(out, left, bias=False) -> int:
    """Another one, with 2."""
    if left:
        return 2 * out
    return -out
'''


@pytest.fixture
def mutants(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("src/flopbook/predict/source.py")
    path.parent.mkdir(parents=True)
    path.write_text(SOURCE)
    return list(mutants_of(path))


def test_every_number_operator_condition_registration_and_default_is_changed(mutants):
    assert [mutant.shown()["becomes"] for mutant in mutants] == [
        "SIZES = { 4}",
        "SIZES = {3, }",
        "SIZES = {4, 4}",
        "SIZES = {3, 5}",
        '@rule( "bmm")',
        '@rule("mm", )',
        "def product(out, left, bias=True) -> int:",
        "if not (left):",
        "return 3 * out",
        "return 2 + out",
        "return out",
    ]


def test_a_mutant_runs_the_tests_of_its_line_and_one_of_the_module_runs_those_of_its_part_too(mutants):
    path = str(mutants[0].path)
    found = {
        "seconds": {
            "a::x": 2.0,
            "b::y": 1.0,
            "b::z": 0.5,
            "tests/predict/c::w": 3.0,
            "tests/agreement/c::v": 4.0,
            "tests/measure/d::u": 0.1,
        },
        "lines": {path: {"9": [""], "10": ["b::y"], "11": ["a::x", "b::z"]}},
    }
    tests = Record(found)
    asked = {mutant.shown()["becomes"]: tests.batches(mutant) for mutant in mutants}
    assert asked["return 3 * out"] == [["b::y"]]
    assert asked["return out"] == [["b::z"], ["a::x"]]
    part = [["b::y", "b::z"], ["a::x"], ["tests/predict/c::w"], ["tests/agreement/c::v"]]
    assert asked["SIZES = {3, 5}"] == asked['@rule( "bmm")'] == part
    assert asked["if not (left):"] == part[2:]
