"""Test what `make versions` installs and makes of pytest's reports, without its environments."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from xml.etree import ElementTree

from tests.conftest import ROOT
from tools.versions import LEFT_OUT, TOOLS, oldest_torch, outcomes, record, requirements

REPORT = """
<testsuites><testsuite>
  <testcase classname="tests.a" name="test_one"/>
  <testcase classname="tests.a" name="test_two"><failure message="no">...</failure></testcase>
  <testcase classname="tests.a" name="test_three"><skipped message="no accelerator"/></testcase>
  <testcase classname="tests.a" name="test_four"><error message="no">...</error></testcase>
  <testcase classname="tests.a" name="test_five"/>
</testsuite></testsuites>
"""


def test_a_report_is_read():
    failed = ["tests.a.test_four", "tests.a.test_two"]
    assert outcomes(ElementTree.fromstring(REPORT)) == {"passed": 2, "skipped": 1, "failed": failed}


def test_a_torch_lacks_the_operators_that_only_another_one_has_a_rule_for():
    results = {"oldest": {"passed": 1, "rules": ["aten::a"]}, "newest": {"passed": 2, "rules": ["aten::a", "aten::b"]}}
    assert record(results) == [
        {"kind": "oldest", "passed": 1, "lacks": ["aten::b"]},
        {"kind": "newest", "passed": 2, "lacks": []},
    ]


def test_the_oldest_torch_is_the_one_of_the_project():
    assert oldest_torch().startswith("2.")


def test_the_environments_have_what_the_tests_import():
    installed = {re.split(r"[<>=]", requirement)[0] for requirement in [*requirements(), *TOOLS]}
    left_out = [ROOT / path for path in LEFT_OUT]
    files = [path for folder in ("src/flopbook", "tests") for path in (ROOT / folder).rglob("*.py")]
    tested = [path for path in files if not any(path.is_relative_to(other) for other in left_out)]
    needed = {name for path in tested for name in _imported(path)} - sys.stdlib_module_names
    ours = {"flopbook", "reference", "tests", "tools"}
    assert needed - ours - {name for name, given in packages_distributions().items() if installed & {*given}} == set()


def _imported(file: Path) -> Iterator[str]:
    """Yield the packages that a file needs to be imported."""
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Import):
            yield from (alias.name.split(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            yield statement.module.split(".")[0]
