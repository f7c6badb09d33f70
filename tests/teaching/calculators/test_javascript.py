"""Test that node and SymPy give the same fraction for any expression, however large."""

import json
import subprocess
from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sympy import Max, Min, Piecewise, Rational, ceiling, floor

from flopbook.predict import B, D, K, axis
from flopbook.teaching.calculators.html import long, short
from flopbook.teaching.calculators.javascript import UnprintableError, javascript
from flopbook.units import si
from flopsite.math.katex import NODE
from tests.conftest import ROOT

SCRIPTS = [ROOT / "src/flopbook/teaching/static" / name for name in ("fractions.js", "exact.js")]
PROGRAM = """
const sources = process.argv.slice(1).map((path) => require("fs").readFileSync(path, "utf8")).join("\\n");
const run = new Function("line", sources + "const { ceiling, floor, max, min } = exact; return eval(line);");
const text = (_, value) => (typeof value === "bigint" ? String(value) : value);
const lines = require("readline").createInterface({ input: process.stdin });
lines.on("line", (line) => process.stdout.write(JSON.stringify(run(JSON.parse(line)), text) + "\\n"));
"""


@pytest.fixture(scope="module")
def node():
    """Ask node for the value of an expression of JavaScript."""
    process = subprocess.Popen(
        [NODE, "-e", PROGRAM, *SCRIPTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )

    def ask(line):
        process.stdin.write(json.dumps(line) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield ask
    process.communicate()


def value(node, expression, **sizes):
    function = javascript(expression, list(sizes))
    result = node(f"exact.value(({function})({', '.join(f'{size}n' for size in sizes.values())}))")
    return result and Fraction(int(result["above"]), int(result["below"]))


def by_sympy(expression, **sizes):
    exact = expression.xreplace({axis(name): sympy.Integer(size) for name, size in sizes.items()})
    return Fraction(int(exact.p), int(exact.q))


letters = st.sampled_from([B, D, K])
leaves = letters | st.integers(-5, 9).map(sympy.Integer) | st.fractions(-3, 3, max_denominator=7).map(sympy.Rational)


def grown(parts):
    return st.one_of(
        st.tuples(parts, parts).map(sum),
        st.tuples(parts, parts).map(lambda pair: pair[0] * pair[1]),
        st.tuples(parts, st.integers(2, 3)).map(lambda pair: pair[0] ** pair[1]),
        st.tuples(parts, letters, letters).map(lambda three: three[0] / (three[1] + three[2])),
        st.tuples(parts, letters).map(lambda pair: Max(pair[0] / pair[1], 2)),
        st.tuples(parts, letters).map(lambda pair: Min(pair[0], pair[1] / 3)),
        st.tuples(parts, letters).map(lambda pair: floor(pair[0] / pair[1])),
        st.tuples(parts, letters).map(lambda pair: ceiling(pair[0] / pair[1])),
        st.tuples(parts, parts, letters).map(lambda three: Piecewise((three[0], three[2] > 7), (three[1] / 2, True))),
    )


expressions = st.recursive(leaves, grown, max_leaves=5)
size = st.integers(1, 20) | st.integers(1, 10**25)


@settings(deadline=None, derandomize=True, max_examples=120)
@given(expressions, size, size, size)
def test_node_and_sympy_agree(node, expression, b, d, k):
    assert value(node, expression, B=b, D=d, K=k) == by_sympy(expression, B=b, D=d, K=k)


def test_a_whole_number_past_2_to_the_53_is_exact(node):
    sizes = {"B": 2**31 + 1, "D": 3**40, "K": 7}
    assert value(node, 2 * B * D * K, **sizes) == 2 * (2**31 + 1) * 3**40 * 7


def test_division_by_zero_has_no_value(node):
    assert value(node, B / (D - K), B=1, D=2, K=2) is None


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (sympy.sqrt(B), "sqrt(B) has no exact value"),
        (sympy.log(B) * D, "log(B) has no exact value"),
        (D + 2**B, "2**B has no exact value"),
        (2.5 * B, "2.5 has no exact value"),
        (Max(B / (D - K), 1), "divides by D - K, which may be negative"),
        (Piecewise((B, D > 3)), "has cases without a value"),
    ],
)
def test_what_cannot_be_exact_is_refused_by_name(expression, said):
    with pytest.raises(UnprintableError) as error:
        javascript(expression, ["B", "D", "K"])
    assert said.replace("2.5 ", "2.50000000000000 ") in str(error.value)


numbers = st.fractions(-(10**6), 10**6) | st.integers(-(2**53), 2**53).map(Fraction)  # Python rounds larger ones twice
far = st.tuples(st.integers(-9999, 9999), st.integers(-30, 60)).map(lambda pair: pair[0] * Fraction(10) ** pair[1])


def is_halfway(number):
    """Whether a number lies between two of three digits, at the same distance from both."""
    roundings = (Context(prec=3, rounding=way) for way in (ROUND_HALF_UP, ROUND_HALF_DOWN))
    up, down = (context.divide(Decimal(number.numerator), Decimal(number.denominator)) for context in roundings)
    return up != down


@settings(deadline=None, derandomize=True, max_examples=120)
@given(numbers | far, st.sampled_from(["FLOPs", "B", "s", "", "hours", "device-hours", "of memory"]))
def test_numbers_are_written_alike(node, number, unit):
    scales = (1, 3600, 100, Fraction(1, 24), Fraction(1, 3600), Fraction(1, 86_400), Fraction(1, 8766))
    assume(not any(is_halfway(number * scale) for scale in scales))  # floats, which Python writes, are not exact there
    assume(unit != "of memory" or number >= 0)
    written = node(
        f"((v) => [exact.short(v, '{unit}'), exact.long(v)])(exact.value([{number.numerator}n, {number.denominator}n]))"
    )
    assert written == [short(number, unit), long(number)]


@given(st.integers(0, 2**53))
def test_prefixes_are_those_of_the_book(node, number):
    assert node(f"exact.short(exact.value([{number}n, 1n]), 'FLOPs')") == si(number, "FLOPs")


def test_a_forgotten_term_is_found(node):
    assert value(node, 2 * B * D * K, B=5, D=3, K=2) != by_sympy(2 * B * D * K + Rational(1, 3), B=5, D=3, K=2)
