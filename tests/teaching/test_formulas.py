"""Test that a formula is boxed only if every witness confirms it."""

from fractions import Fraction

import pytest
import sympy

from flopbook.predict import B, D, K
from flopbook.teaching import boxed
from flopbook.teaching.formulas import WITNESSES

MATMUL = {"when": "each sum has D terms", "sizes": {"B": 4, "D": 3, "K": 2}}


def box(**measured):
    return boxed("matmul", "A matrix product", 2 * B * D * K, **MATMUL, **measured)


def test_a_confirmed_formula_says_who_confirms_it():
    formula = box(counted=48, profiled=48)
    assert (formula.value, formula.witnesses) == (48, ("counted", "profiled"))
    assert repr(formula) == (
        "A matrix product: 2*B*D*K\n  when each sum has D terms\n  48 at B = 4, D = 3, K = 2: counted, profiled"
    )


@pytest.mark.parametrize("witness", WITNESSES)
@pytest.mark.parametrize("said", [0, 47, 49])
def test_a_witness_that_says_something_else_is_quoted(witness, said):
    with pytest.raises(ValueError) as error:
        box(**{witness: said})
    assert str(error.value) == (
        f"matmul: 2*B*D*K is 48 at {{'B': 4, 'D': 3, 'K': 2}}, but {witness} says {said}: "
        "give what was measured there, or mend the formula"
    )


def test_one_wrong_witness_among_right_ones_is_enough():
    with pytest.raises(ValueError, match="but profiled says 47"):
        box(counted=48, profiled=47)


def test_a_formula_without_a_witness_is_refused():
    with pytest.raises(ValueError) as error:
        box()
    assert str(error.value) == "matmul: no witness confirms it: give one of counted, profiled, traced, executed"


def test_only_the_witnesses_can_confirm():
    with pytest.raises(ValueError) as error:
        box(predicted=48, timed=48)
    assert (
        str(error.value)
        == "matmul: predicted, timed cannot confirm it: give one of counted, profiled, traced, executed"
    )


def test_a_ratio_is_confirmed_as_a_fraction():
    ratio = boxed(
        "ratio", "A ratio", (2 * K + D) / (K + D), when="always", sizes={"D": 3, "K": 4}, counted=Fraction(11, 7)
    )
    assert "11/7 at D = 3, K = 4: counted" in repr(ratio)


def test_a_notebook_gets_data_html_and_text():
    bundle = box(counted=48)._repr_mimebundle_()
    assert bundle["text/plain"] == repr(box(counted=48))
    assert bundle["application/vnd.flopbook.formula+json"] == {
        "name": "matmul",
        "title": "A matrix product",
        "latex": "2 B D K",
        "expression": sympy.srepr(2 * B * D * K),
        "when": "each sum has D terms",
        "sizes": "B = 4, D = 3, K = 2",
        "value": "48",
        "witnesses": ["counted"],
    }
    assert "2 B D K" in bundle["text/html"] and "counted" in bundle["text/html"]


def test_text_is_escaped_in_html():
    formula = boxed("f", "a < b", 2 * B, when="x & y", sizes={"B": 1}, counted=2)
    html = formula._repr_mimebundle_()["text/html"]
    assert "a &lt; b" in html and "x &amp; y" in html
