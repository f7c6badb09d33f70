"""Test what `make mutants` changes, and which tests it runs."""

import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools.mutants.__main__ import EQUIVALENTS
from tools.mutants.changes import changes_of, mutants_of
from tools.mutants.choice import ON_IMPORT, Record, is_left_out
from tools.mutants.trial import _run, swap

SOURCE = '''
"""A docstring with 2 numbers."""

SIZES = {3, 4}
Pair = tuple[int, Callable[[int, int], int]]

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


def test_each_change_that_is_listed_as_none_is_one_of_a_line_that_is_there(monkeypatch):
    monkeypatch.chdir(ROOT)
    listed = tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8"))["equivalent"]
    keys = [(each["path"], each["was"], each["becomes"]) for each in listed]
    changes = [change for path in {each["path"] for each in listed} for change in changes_of(Path(path))]
    made = {shown for change in changes if (shown := tuple(change.shown().values())) in keys and change.is_valid()}
    assert [key for key in keys if key not in made] == []


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


def by_text(mutants, becomes):
    return next(mutant for mutant in mutants if mutant.shown()["becomes"] == becomes)


def test_a_mutant_runs_the_tests_of_its_line_and_one_of_the_module_runs_those_of_its_part_too(mutants):
    path = str(mutants[0].path)
    found = {
        "seconds": {
            "a::x": 2.0,
            "b::y": 1.0,
            "b::z": 0.5,
            "tests/predict/c::w": 3.0,
            "tests/agreement/c::v": 4.0,
            "tests/published/c::t": 4.5,
            "tests/measure/d::u": 0.1,
        },
        "lines": {path: {"10": [""], "11": ["b::y"], "12": ["a::x", "b::z"]}},
    }
    tests = Record(**found)
    asked = {mutant.shown()["becomes"]: tests.batches(mutant) for mutant in mutants}
    assert asked["return 3 * out"] == [["b::y"]]
    assert asked["return out"] == [["b::z"], ["a::x"]]
    assert tests.tests(by_text(mutants, "return out")) == ["b::z", "a::x"]
    part = [["b::z", "b::y"], ["a::x"], ["tests/predict/c::w"], ["tests/agreement/c::v"], ["tests/published/c::t"]]
    assert asked["SIZES = {3, 5}"] == asked['@rule( "bmm")'] == part
    assert asked["if not (left):"] == part[2:]


def test_a_decorator_is_asked_of_tests_that_never_run_the_function_and_a_default_is_not(mutants):
    tests = Record({"a::x": 1.0, "tests/predict/c::w": 3.0}, {str(mutants[0].path): {"11": ["a::x"]}})
    assert tests.tests(by_text(mutants, '@rule( "bmm")')) == ["a::x", "tests/predict/c::w"]
    assert tests.tests(by_text(mutants, "def product(out, left, bias=True) -> int:")) == ["a::x"]


def test_the_tests_of_the_module_come_first(mutants):
    found = {"tests/predict/test_mlp.py::x": 1.0, "tests/predict/test_source.py::y": 5.0}
    tests = Record(found, {str(mutants[0].path): {"11": [*found]}})
    mutant = by_text(mutants, "return 3 * out")
    assert tests.tests(mutant) == ["tests/predict/test_source.py::y", "tests/predict/test_mlp.py::x"]
    assert tests.batches(mutant) == [["tests/predict/test_source.py::y"], ["tests/predict/test_mlp.py::x"]]
    assert tests.cost(mutant) == 6.0


def test_only_a_line_that_importing_does_not_run_is_changed_in_place(mutants):
    lines = {"10": ["a::x"], "11": ["a::x"], "12": ["a::x", ON_IMPORT]}
    tests = Record({"a::x": 1.0}, {str(mutants[0].path): lines})
    swappable = [mutant.shown()["becomes"] for mutant in mutants if tests.swappable(mutant)]
    assert swappable == ["if not (left):", "return 3 * out", "return 2 + out"]


def test_a_mutant_whose_line_no_test_runs_is_not_noticed():
    assert _run(None, [], 1) == 0


def test_tests_that_take_long_or_run_on_ranks_are_not_asked():
    assert is_left_out("tests/agreement/test_report.py::test_bytes", [])
    assert is_left_out("tests/agreement/test_sharding.py::test_bytes[2]", ["device", "counted"])
    assert is_left_out("tests/measure/distributed/test_communication.py::test_bytes", ["counted"])
    assert not is_left_out("tests/agreement/test_sharding.py::test_bytes", ["device"])
    assert not is_left_out("tests/counts/test_breakdown.py::test_report", ["counted"])


IN_PLACE = """
class Cost:
    def twice(self, number):
        return (lambda: 2 * number)()

def adds(step):
    def add(number):
        return number + step
    return add
"""


def in_place(tmp_path, becomes):
    """Return a module's names, and whether a mutant of the module was put in place."""
    path = tmp_path / "source.py"
    path.write_text(IN_PLACE)
    names = {}
    exec(compile(IN_PLACE, path, "exec"), names)
    names["add_3"], names["add_4"] = names["adds"](3), names["adds"](4)
    functions = [names["Cost"].twice, names["adds"], names["add_3"], names["add_4"]]
    return names, swap(by_text(mutants_of(path), becomes), functions)


def test_a_mutant_changes_functions_in_place_also_those_made_before(tmp_path):
    names, done = in_place(tmp_path, "return (lambda: 3 * number)()")
    assert done and names["Cost"]().twice(5) == 15
    names, done = in_place(tmp_path, "return number - step")
    assert done and (names["add_3"](10), names["add_4"](10), names["adds"](5)(10)) == (7, 6, 5)


def test_a_function_that_is_not_at_hand_is_not_changed_in_place(tmp_path):
    path = tmp_path / "source.py"
    path.write_text(IN_PLACE)
    mutant = by_text(mutants_of(path), "return (lambda: 3 * number)()")
    assert not swap(mutant, [by_text])
