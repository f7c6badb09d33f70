"""A size calculates as an integer does, and knows its expression; a question about it has an answer at once."""

import copy
import math

import pytest
import sympy
import torch

from flopbook.predict import B, D
from flopbook.tracing.letters import Letters, NeedsPlainNumber
from flopbook.tracing.sizes import expression_of, size_of

EXAMPLES = {B: 6, D: 4}


@pytest.fixture
def letters():
    return Letters(EXAMPLES)


CALCULATIONS = {
    "sum": (lambda b, d: b + d + 1, B + D + 1),
    "sum of several": (lambda b, d: torch.sym_sum([b, d, d]), B + 2 * D),
    "difference": (lambda b, d: 3 - b + d, D - B + 3),
    "product": (lambda b, d: 2 * b * d, 2 * B * D),
    "power": (lambda b, d: b**2, B**2),
    "negative": (lambda b, d: -b + 2 * d, 2 * D - B),
    "rounded ratio": (lambda b, d: b // d, sympy.floor(B / D)),
    "remainder": (lambda b, d: b % d, sympy.Mod(B, D)),
    "ratio, rounded down": (lambda b, d: math.floor(b / 4), sympy.floor(B / 4)),
    "ratio, rounded up": (lambda b, d: math.ceil(b / d), sympy.ceiling(B / D)),
    "by a float": (lambda b, d: math.floor(b * 0.5), sympy.floor(B / 2)),
    "larger": (torch.sym_max, sympy.Max(B, D)),
    "smaller": (torch.sym_min, sympy.Min(B, D)),
    "at least 1": (lambda b, d: torch.sym_max(b, 1), B),
}


@pytest.mark.parametrize("name", CALCULATIONS)
def test_a_size_knows_its_expression_and_its_value_at_the_examples(letters, name):
    calculate, expression = CALCULATIONS[name]
    size = calculate(size_of(B, letters), size_of(D, letters))
    assert expression_of(size) == expression
    assert size.node.hint == calculate(6, 4)


def test_a_number_is_a_plain_size(letters):
    b = size_of(B, letters)
    assert (size_of(sympy.Integer(3), letters), b - b, type(b - b)) == (3, 0, int)
    assert expression_of(3) == 3


def test_two_sizes_are_equal_if_their_expressions_are(letters):
    b, d = size_of(B, letters), size_of(D, letters)
    assert [b == b + 0, b * (d + 1) == b * d + b, b + 0 != b, b == 6, b != 6] == [True, True, False, False, True]


def test_the_examples_answer_any_other_question(letters):
    b, d = size_of(B, letters), size_of(D, letters)
    answers = [b > d, b >= 7, d < 5, b + 1 <= 6]
    assert answers == [True, False, True, False]
    assert {type(answer) for answer in answers} == {bool}
    assert [asked.condition for asked in letters.assumptions] == [B > D, B >= 7, D < 5, B + 1 <= 6]
    assert letters.asked == {B, D}


def test_what_makes_two_sizes_equal_is_noted(letters):
    b, d = size_of(B, letters), size_of(D, letters)
    assert b // 2 * 2 != b and d // 3 * 3 != d
    assert [(found.symbol, found.divisor) for found in letters.divisors] == [(B, 2)]


def test_a_size_is_a_plain_number_only_where_it_always_is_the_same(letters):
    b = size_of(B, letters)
    assert list(range((2 * b - 1) // (2 * b) + 2)) == [0, 1]
    with pytest.raises(NeedsPlainNumber) as error:
        range(b)
    assert error.value.symbol == B


def test_a_size_as_a_float_is_rounded_at_the_examples(letters):
    assert float(size_of(B, letters) / 4) == 1.5
    assert letters.rounded.keys() == {B}


def test_what_is_left_out_is_refused(letters):
    with pytest.raises((AttributeError, RuntimeError)):
        size_of(B, letters) << 1


def test_a_size_is_copied_as_a_number_is(letters):
    size = size_of(B, letters)
    assert copy.deepcopy([size])[0].node is size.node
