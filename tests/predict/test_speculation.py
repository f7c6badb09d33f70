"""Test what guesses of a small model save, and what they cost."""

from fractions import Fraction

import pytest

from flopbook.predict import axis
from flopbook.predict.speculation import expected_tokens, speculative_cost

#: Table 1 of Leviathan and others: acceptance, guesses, operations and speed, each in units of the model alone.
TABLE = [
    ("0.6", 2, "1.53", "1.96"), ("0.7", 3, "1.58", "2.53"), ("0.8", 2, "1.23", "2.44"), ("0.8", 5, "1.63", "3.69"),
    ("0.9", 2, "1.11", "2.71"), ("0.9", 10, "1.60", "6.86"),
]  # fmt: skip


@pytest.mark.parametrize(("acceptance", "guesses", "operations", "speed"), TABLE)
def test_a_published_table_of_speculative_decoding(acceptance, guesses, operations, speed):
    a = Fraction(acceptance)
    assert f"{float(speculative_cost(guesses + 1, 0, a, guesses)):.2f}" == operations
    assert f"{float(1 / speculative_cost(1, 0, a, guesses)):.2f}" == speed


def test_each_guess_costs_what_a_pass_of_the_small_model_costs():
    """Theorem 3.8 for three guesses at a tenth of a pass: of 1.3 passes come 1 + 1/2 + 1/4 + 1/8 tokens."""
    assert speculative_cost(1, Fraction(1, 10), Fraction(1, 2), 3) == Fraction(13, 10) / Fraction(15, 8)


def test_expected_tokens_at_the_ends():
    a, g = axis("a"), axis("g")
    assert expected_tokens(0, 5) == expected_tokens(0.5, 0) == 1
    assert expected_tokens(1, 5) == expected_tokens(1.0, 5) == 6
    assert expected_tokens(0.5, 2) == 1.75
    assert expected_tokens(a, g).subs({a: Fraction(1, 3), g: 2}) == Fraction(13, 9)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda: expected_tokens(1.5, 2), ValueError, "acceptance=1.5 is not a probability"),
        (lambda: expected_tokens("0.5", 2), ValueError, "acceptance='0.5' is not a probability"),
        (lambda: expected_tokens(float("nan"), 2), ValueError, "acceptance=nan is not a probability"),
        (lambda: expected_tokens(0.5, -1), ValueError, "guesses=-1 is not a size"),
        (lambda: expected_tokens(0.5, 1.5), TypeError, "guesses=1.5 is not an amount"),
        (lambda: speculative_cost(-1, 0, 0.5, 2), ValueError, "target=-1 is not a cost: write a number of at least 0"),
        (lambda: speculative_cost(1, "0", 0.5, 2), ValueError, "draft='0' is not a cost"),
    ],
)
def test_what_cannot_be_is_refused(wrong, error, says):
    with pytest.raises(error) as raised:
        wrong()
    assert str(raised.value).startswith(says)
