"""Test exercises: every form of the right answer is right, and wrong ones get hints."""

import re
from fractions import Fraction

import numpy
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbook.predict import B, D, K, axis
from flopbook.teaching import Exercise
from flopbook.teaching.answers import ReadingError, read
from flopbook.teaching.exercises import FORM, Verdict

PRODUCT = Exercise(2 * B * D * K, hints={"BDK": "Each is 2 FLOPs.", "2BD": "And the columns?"})
COUNT = Exercise(6_628_048_896, hints={6_860_574_720: "Nobody needs the data's gradient."})
RATIO = Exercise(Fraction(4_343_726_080, 2_284_322_816), hints={2: "The first layer costs once.", "1.95": "No."})
HIDDEN = Exercise(2 * B * (D * axis("H1") + axis("H1") * K))


@pytest.mark.parametrize(
    "answer",
    ["2BDK", "2*B*D*K", "2 B D K", "2·B·D·K", "2×B×D×K", "K D B 2", "BDK + BDK", "4BDK/2", "2B^2DK/B", "2B²DK/B",
     "(2B)(DK)", "2(B)DK", "-(-2BDK)", "2**1*B*D*K", "2BDK FLOPs", " 2BDK\n", "1/2 * 4BDK", "2.0BDK",
     "200% BDK", "2bdk", "2b*D*k flops", "2BDK.", "y = 2BDK", "n=2bdk FLOPs.",
     "2((B+D)^2 - B^2 - D^2)K/2", 2 * B * D * K, sympy.Symbol("B") * sympy.Symbol("D") * K * 2],
)  # fmt: skip
def test_every_form_of_a_product_is_right(answer):
    assert repr(PRODUCT.check(answer)) == "Right."


@pytest.mark.parametrize(
    "answer",
    [6_628_048_896, "6628048896", "6,628,048,896", "6_628_048_896", "6,628,048,896 FLOPs", "25,890,816 * 256",
     6_628_048_896.0, numpy.int64(6_628_048_896), sympy.Integer(6_628_048_896), Fraction(6_628_048_896)],
)  # fmt: skip
def test_every_form_of_a_count_is_right(answer):
    assert COUNT.check(answer).right


@pytest.mark.parametrize(
    "answer",
    [
        "8285/4357",
        Fraction(8285, 4357),
        "1.9015",
        "1.90",
        "1.9",
        1.9015,
        4_343_726_080 / 2_284_322_816,
        "190.15%",
        "190.15 %",
        "190%",
        "190\u00a0%",
        "1.90 days",
        "1.9 hours",
        "1.90.",
        "ratio = 1.90",
    ],
)
def test_a_ratio_may_be_rounded(answer):
    assert RATIO.check(answer).right


@pytest.mark.parametrize(
    "answer",
    [
        *("6.628 GFLOPs", "6.63GFLOPs", "6,628 MFLOPs", "6 628 MFLOPs", "6628 Mflop", "6.6 GFLOPs", "6.63e9", "66e8"),
        *("6.63×10^9", "6.63*10**9", "6.628 x 10⁹", r"6.63 \times 10^9", "６.63*10^9"),
    ],
)
def test_a_count_with_a_prefix_or_an_exponent_may_be_rounded(answer):
    assert repr(COUNT.check(answer)) == "Right. Exactly it is 6628048896."


@pytest.mark.parametrize("answer", ["6.62 GFLOPs", "6.63 MFLOPs", "7 GFLOPs", "6.63 G", "6.62×10^9", "7*10^9"])
def test_a_count_with_a_prefix_may_be_wrong(answer):
    assert not COUNT.check(answer).right


def test_a_letter_before_a_unit_stays_a_letter():
    assert PRODUCT.check("2 B D K FLOPs").right and PRODUCT.check("2BDK flops").right
    assert COUNT.check("6.86 GFLOPs").message == "Nobody needs the data's gradient."


def test_a_rounded_ratio_is_answered_with_the_exact_one():
    assert repr(RATIO.check("1.9015")) == "Right. Exactly it is 8285/4357, about 1.90154."
    assert repr(Exercise("748062/78125").check("9.58")) == "Right. Exactly it is 9.5751936."


@pytest.mark.parametrize("answer", ["1.91", "1.9014", "1.901539", "2-0.1", "1", ".2"])
def test_a_number_that_it_does_not_round_to_is_wrong(answer):
    assert not RATIO.check(answer).right


@pytest.mark.parametrize("answer", ["6628048896.1", "6.62e9", "7e9", 6_628_048_895])
def test_a_count_may_not_be_rounded_to_one_digit_or_wrongly(answer):
    assert not COUNT.check(answer).right


@pytest.mark.parametrize("answer", ["2B(D H1 + H1 K)", "2BH1(D+K)", "2 B H_1 (D + K)", "2H1B(K+D)"])
def test_a_name_with_a_number_is_one_axis(answer):
    assert HIDDEN.check(answer).right


def test_a_longer_name_is_one_axis_where_the_exercise_has_it():
    exercise = Exercise(2 * B * axis("D_in") * axis("width"))
    assert exercise.check("2B D_in width").right and exercise.check("2Bwidth D_in").right


@pytest.mark.parametrize(
    ("exercise", "answer", "said"),
    [
        (PRODUCT, "B D K", "Not yet. Each is 2 FLOPs."),
        (PRODUCT, "D*B*2", "Not yet. And the columns?"),
        (COUNT, "6*4466520*256", "Not yet. Nobody needs the data's gradient."),
        (RATIO, "2.0", "Not yet. The first layer costs once."),
        (PRODUCT, "3BDK", "Not yet. I read 3*B*D*K. At B = 2, D = 3, K = 5 that is 90, and the right answer gives 60."),
        (PRODUCT, "2BDH", "Not yet. I read 2*B*D*H. There is no H in the right answer: its letters are B, D, K."),
        (COUNT, "B", "Not yet. I read B. There is no B in the right answer: it is a number."),
        (COUNT, 7, "Not yet. 7 is too small."),
        (RATIO, "1.91", "Not yet. 1.91 is too large."),
        (RATIO, "5/3.", "Not yet. 5/3 is too small."),
        (COUNT, "7e9", "Not yet. 7000000000 is too large."),
    ],
)
def test_a_wrong_answer_gets_a_word_that_helps(exercise, answer, said):
    assert repr(exercise.check(answer)) == said


WRITE = "Write it like 2*B*D*K or 2BDK, or as a number."


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "no formula or number is written"),
        (" \n", "no formula or number is written"),
        ("y =", "no formula or number is written"),
        ("2BD(K", "a sign or a parenthesis is missing, or one too many"),
        ("2 // B", "a sign or a parenthesis is missing, or one too many"),
        ("()", "it is not one formula"),
        ("y = z = 2BDK", "'=' has no meaning here"),
        ("1,9015", "',' has no meaning here"),
        ("1024 1024", "there are two numbers in a row"),
        ("2/0", "it divides by zero"),
        ("0^(-1)", "it divides by zero"),
        ("2^B", "an exponent has to be a whole number"),
        ("9^9^9^9", "its value would be too large"),
        ("((((B^99)^99)^99)^99)", "its value would be too large"),
        ("__import__('os')", "'_' has no meaning here"),
        ("2\x00", "'\\x00' has no meaning here"),
        ("٣BDK", "'٣' has no meaning here"),
    ],
)
def test_a_text_that_is_not_a_formula_is_quoted_with_the_reason(answer, reason):
    assert repr(PRODUCT.check(answer)) == f"Not yet. I cannot read {answer!r}: {reason}. {WRITE}"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("2BDK", "4DK"), ("2BDK", "12K"), ("2BDK", "BDK + 30"), ("2BDK", "2BDK + (B-2)(B-3)(B-4)"), ("B", "2")],
)
def test_sizes_are_shown_at_which_the_answers_differ(right, wrong):
    said = Exercise(right).check(wrong).message
    given, expected = re.search(r"that is (\d+), and the right answer gives (\d+)", said).groups()
    assert given != expected


def test_sizes_are_large_where_no_small_ones_tell():
    agreeing = "*".join(f"(B - {size})" for size in range(2, 25))
    assert "At B = " in Exercise("2B").check(f"2B + {agreeing}").message


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (2 * B**D * K, "an exponent has to be a whole number"),
        (B**20000, "its value would be too large"),
        (sympy.sqrt(B), "an exponent has to be a whole number"),
        (sympy.ceiling(B / 2), "it is not made of sums, products and powers"),
        (2.5 * B, "2.50000000000000 is a rounded number"),
        pytest.param(sympy.Integer(10) ** 5000, "its value would be too large", id="long"),
        ("B^20000", "its value would be too large"),
        ("9" * 301, "it has more than 300 characters"),
    ],
)
def test_work_for_an_answer_is_bounded(answer, reason):
    assert PRODUCT.check(answer).message.endswith(f": {reason}. {WRITE}")


@pytest.mark.parametrize("hints", [5, "BDK", ["BDK"], {"BDK": 5}])
def test_hints_are_texts_by_answers(hints):
    with pytest.raises(TypeError, match=r"are not hints: write hints=|write text"):
        Exercise("B", hints=hints)


def test_case_is_forgiven_where_one_axis_is_meant():
    both = Exercise(2 * B * axis("b") * axis("H1"))
    assert both.check("2Bbh1").right and not both.check("2bbH1").right and not both.check("2BBH1").right
    assert HIDDEN.check("2b h_1 (d + k)").right and HIDDEN.check("2bh1d + 2h1bk").right


@pytest.mark.parametrize(
    "answer", [None, True, [2], float("nan"), float("inf"), object(), sympy.nan, sympy.oo, 1j, b"2BDK", numpy.ones(3)]
)
def test_a_thing_that_is_not_an_answer_gets_an_error(answer):
    assert "cannot read" in COUNT.check(answer).message and not COUNT.check(answer).right


@pytest.mark.parametrize(
    "answer",
    [pytest.param(10**5000, id="long"), sympy.zoo, sympy.I, sympy.sqrt(B), 1 / (B * (D + 1) - B * D - B), "(" * 999],
)
def test_an_odd_answer_is_wrong_and_no_more(answer):
    assert not COUNT.check(answer).right and not PRODUCT.check(answer).right


@settings(max_examples=120, deadline=None)
@given(st.text(alphabet="0123BDKH_e.,%+-*/^() ²·×\n'[]=", max_size=40) | st.text())
def test_no_text_crashes(text):
    assert repr(PRODUCT.check(text))
    assert COUNT.check(text)._repr_html_()


@given(st.integers(-99, 99), st.integers(1, 99), st.integers(0, 5))
def test_reading_agrees_with_python(a, b, power):
    expected = Fraction(a, b) + a * (b - 2) ** power
    assert read(f"{a}/{b} + {a}({b} - 2)^{power}").expression == sympy.Rational(str(expected))


def test_a_hint_for_the_right_answer_is_a_mistake():
    with pytest.raises(ValueError, match="is the right answer, but has the hint 'Hm'"):
        Exercise(2 * B, hints={"B*2": "Hm"})


def test_a_right_answer_that_cannot_be_read_is_a_mistake():
    with pytest.raises(ReadingError, match="cannot read '2B='"):
        Exercise("2B=")


def test_the_answer_does_not_show_itself():
    assert "6628048896" not in repr(COUNT)


def test_a_verdict_shows_itself_escaped():
    verdict = Exercise(1).check("<b>")
    assert "<b>" not in verdict._repr_html_() and "><strong>Not yet.</strong> I cannot read" in verdict._repr_html_()
    assert "><strong>Right.</strong></div>" in Exercise(1).check(1)._repr_html_()
    assert Verdict(False, "a < b")._repr_html_() == "<p><strong>Not yet.</strong> a &lt; b</p>"


def test_a_verdict_in_a_notebook_is_a_form_that_needs_nothing_else():
    html = PRODUCT.check("BDK")._repr_html_()
    assert "<form" in html and "<input" in html and "flopbook.check" not in html.split("<script>")[0]
    assert not re.search(r"<(link|script)[^>]*(href|src)=", html)


def test_a_verdict_carries_the_form_of_the_site():
    assert PRODUCT.check("BDK")._repr_mimebundle_() == {FORM: PRODUCT.form()}
    assert RATIO.form()["exactly"] == "Exactly it is 8285/4357, about 1.90154."
    assert Verdict(True, "")._repr_mimebundle_() == {}


def test_a_formula_is_shown_as_it_was_read():
    assert PRODUCT.check("K 3BD²").message.startswith("I read 3*B*D**2*K. At B = 2")
    assert PRODUCT.check("2BDK kFLOPs").message.startswith("I read 2000*B*D*K. At B = 2")
    assert PRODUCT.check("1/(B - 2)").message.startswith(
        "I read 1/(B - 2). At B = 2, D = 3, K = 5 that divides by zero"
    )
