"""Test what `make versions` makes of pytest's reports, without its environments."""

from xml.etree import ElementTree

from tools.versions import oldest_torch, outcomes, record

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
