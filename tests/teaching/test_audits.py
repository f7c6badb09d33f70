"""Test audits: printed numbers are right, wrong or not decidable, and misses are told."""

from fractions import Fraction

import pytest

from flopbook.teaching import Audit, Exercise, Findings, judge


@pytest.mark.parametrize(
    ("printed", "computed", "unit", "verdict"),
    [
        ("9,904", 9_904, 1, "right"),
        ("9,904", 9_905, 1, "wrong"),
        ("66.280 TFLOPs", 66_280_488_960_000, 10**12, "right"),
        ("66.281 TFLOPs", 66_280_488_960_000, 10**12, "wrong"),
        ("~17 K", 17_538, 1000, "right"),
        ("17 K", 17_538, 1000, "wrong"),
        ("~5 MB", 140_288, 10**6, "wrong"),
        ("2 to 3", Fraction(8285, 4357), 1, "wrong"),
        ("2 to 3", 2, 1, "right"),
        ("< 20 MB", 78.6, 1, "wrong"),
        ("< 80 MB", 78.6, 1, "right"),
        ("> 0.998", 0.9979, 1, "wrong"),
        ("> 0.5", 0.5, 1, "wrong"),
        ("27.35%", Fraction(3200, 117), 1, "right"),
        ("2.25x", 2.341 / 1.039, 1, "right"),
        ("640", None, 1, "not decidable"),
    ],
)
def test_a_number_is_judged_by_the_digits_it_has(printed, computed, unit, verdict):
    assert judge("it", printed, computed, unit=unit, needs="more").verdict == verdict


@pytest.mark.parametrize("printed", ["", "many", "1.", "K 17", "-3", 17])
def test_a_text_without_a_number_is_quoted(printed):
    with pytest.raises(ValueError, match="is not a number as reports print it") as error:
        judge("it", printed, 3)
    assert repr(printed) in str(error.value)


def test_findings_are_a_table_in_which_text_is_escaped():
    html = Findings([judge("a < b", "2 to 3", Fraction(8285, 4357)), judge("c", "< 3 KB", needs="d & e")])._repr_html_()
    assert "<strong>wrong</strong>" in html and "<td>1.9015</td>" in html
    assert "a &lt; b" in html and "&lt; 3 KB" in html and "needs d &amp; e" in html


def test_what_is_no_finding_is_quoted():
    with pytest.raises(TypeError, match="'right' is not a finding: write judge"):
        Findings(["right"])


AUDIT = Audit(
    {"a": "right", "b": Exercise(1280, hints={640: "Those are MACs."}), "c": "not decidable"},
    why={"b": "Count again.", "c": "No clock is printed."},
)


@pytest.mark.parametrize(
    ("verdicts", "line"),
    [
        ({"a": "wrong"}, "a: blamed without cause; compute it again."),
        ({"a": 7}, "a: blamed without cause; compute it again."),
        ({"b": "right"}, "b: missed. Count again."),
        ({"b": "not decidable"}, "b: missed. Count again."),
        ({"b": "wrong"}, "b: wrong it is. Now give the right figure."),
        ({"b": "640"}, "b: wrong it is, but not by that figure. Those are MACs."),
        ({"b": "("}, "b: wrong it is, but not by that figure. I cannot read '(': "),
        ({"c": "right"}, "c: missed. No clock is printed."),
        ({"c": "12"}, "c: missed. No clock is printed."),
        ({"c": ""}, "c: not judged yet."),
        ({}, "b: not judged yet."),
        ({"x": "right"}, "'x': there is no such claim."),
    ],
)
def test_an_audit_tells_what_was_missed(verdicts, line):
    verdict = AUDIT.check(verdicts)
    assert not verdict.right
    assert any(said.startswith(line) for said in verdict.message.splitlines())


@pytest.mark.parametrize("figure", ["1,280", 1280, "2*640", "1.28 kFLOPs", "1.3 KFLOPs"])
def test_a_full_audit_is_right(figure):
    assert repr(AUDIT.check({"a": " Right", "b": figure, "c": "not decidable"})) == "Right. 3 of 3 claims settled."


def test_an_unknown_claim_spoils_nothing_that_is_settled():
    verdict = AUDIT.check({"a": "right", "b": 1280, "c": "not decidable", "d": "wrong"})
    assert verdict.message == "3 of 3 claims settled.\n'd': there is no such claim."


@pytest.mark.parametrize("verdicts", [None, "right", ["right"], {"a"}])
def test_verdicts_of_another_form_are_refused_kindly(verdicts):
    assert repr(AUDIT.check(verdicts)) == "Not yet. Write your verdicts like {'a': 'right', ...}."


def test_an_audit_of_nonsense_is_a_mistake():
    with pytest.raises(ValueError, match="a: 'rigth' is neither"):
        Audit({"a": "rigth"}, why={})
    with pytest.raises(ValueError, match="a is not right: say why"):
        Audit({"a": "not decidable"}, why={})


def test_each_claim_has_its_own_line_in_a_notebook():
    html = AUDIT.check({})._repr_html_()
    assert len(html[html.index("<strong>") : html.index("</div>")].splitlines()) == 4
    assert '.exercise [role="status"] { white-space: pre-line; }' in html
