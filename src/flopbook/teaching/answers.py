"""Read formulas as people write them: ``2BDK``, ``2*B*D*K``, ``2·B·D·K``, ``6,628,048,896``.

A text is taken apart into numbers, letters and signs, and only these are put together again: nothing in it is
ever run. The site reads answers in JavaScript, in ``flopbook/teaching/static``, and is the reference for what a
reader may write; the tests hold both to the same values and verdicts, each has words of its own.
"""

import ast
import operator
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from random import Random

import sympy
from sympy import Add, Expr, Float, Integer, Mul, Pow, Rational, Symbol

from flopbook.checks import quoted
from flopbook.predict.axes import axis
from flopbook.predict.values import MOST_BITS, value_at

__all__ = ["Reading", "ReadingError", "equal", "large_sizes", "names", "read"]

_LONGEST_TEXT = 300
_LETTER_BITS = 32

_OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}

_SIGNS = str.maketrans("×·⋅∙−–÷[]\t\n\v\f\r\u00a0\u2009\u202f", "****--/()" + 8 * " ")
_SIGNS |= {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # the full-width forms of a keyboard's signs
_TIMES = re.compile(r"\\(?:times|cdot)(?![A-Za-z])|(?<=[\d)]) +[xX] +(?=[\d(])", re.ASCII)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_UNIT = re.compile(r"(?<=[\d )%]) *(?P<prefix>[kKMGTPEZ]?)(?i:flops?|bytes?|days?|hours?) *$", re.ASCII)
_DECIMAL = re.compile(r"-?[\d,]*(?:\.(\d+))?(?:e([+-]?\d+)|\*10(?:\^|\*\*)([+-]?\d+))?(%?)", re.ASCII)
_POWERS = {"k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18, "Z": 21}
_NAMED = re.compile(r"^ *[A-Za-z]\w* *=", re.ASCII)
_TOKEN = re.compile(
    r" *(?:(?P<number>(?:\d{1,3}(?:[,_ ]\d{3})+(?![\d,_])|\d+)(?:\.\d+)?(?:e[+-]?\d{1,2}(?!\d))?(?: *%)?|\.\d+(?: *%)?)"
    r"|(?P<letters>[A-Za-z][A-Za-z0-9_]*)"
    r"|(?P<sign>\*\*|[-+*/^()]))",
    re.ASCII,
)


class ReadingError(ValueError):
    """Refuses an answer that is not a formula, and quotes it."""

    def __init__(self, answer: object, reason: str):
        remedy = "Write it like 2*B*D*K or 2BDK, or as a number"
        super().__init__(f"I cannot read {quoted(answer)}: {reason}. {remedy}")


class _RefusedError(ValueError):
    """Says why a text is not a formula; :func:`read` adds the text."""


@dataclass(frozen=True)
class Reading:
    """Holds a formula that was read.

    Attributes
    ----------
    expression : sympy.Expr
        Made of axes and numbers.
    decimals : int or None
        Where the text is one decimal number, its decimal places; they may
        be negative where it has an exponent or a unit such as GFLOPs.
    """

    expression: Expr
    decimals: int | None = None


def read(answer: str | int | Expr, known: Collection[str] = ()) -> Reading:
    """Read the expression that an answer stands for.

    Parameters
    ----------
    answer : str, int or sympy.Expr
        In a text a letter is an axis, and so is a letter with a number, ``H1``. The
        signs are ``+ - * / ^ **`` and parentheses or brackets, also as LaTeX
        writes them; a product needs none, and between numbers ``x`` is one. A
        name with ``=`` may stand before it, and a full stop behind.
    known : collection of str
        Names of axes that are not to be taken apart into letters, and may be
        written in either case where only one of them is meant.

    Raises
    ------
    ReadingError
        If the answer is anything else.

    Examples
    --------
    >>> read("2BD(H1 + K)").expression
    2*B*D*(H1 + K)
    >>> read("6,628,048,896 FLOPs").expression, read("6.6 GFLOPs").expression
    (6628048896, 6600000000)
    >>> read("1.90").decimals, read("1.85 x 10^11").decimals
    (2, -9)
    >>> read("flops = 2bdk.", known="BDK").expression
    2*B*D*K
    """
    try:
        if isinstance(answer, str):
            return _read_text(answer, known)
        return _read_expression(answer, known)
    except _RefusedError as refused:
        raise ReadingError(answer, str(refused)) from None
    except (SyntaxError, RecursionError, MemoryError):
        raise ReadingError(answer, "a sign or a parenthesis is missing, or one too many") from None


def _read_text(text: str, known: Collection[str]) -> Reading:
    if len(text) > _LONGEST_TEXT:
        raise _RefusedError(f"it has more than {_LONGEST_TEXT} characters")
    plain, power = _plain(text)
    expression = _parse(plain, known)
    return Reading(expression * 10**power, None if expression.free_symbols else _decimals(plain, power))


def _read_expression(answer: object, known: Collection[str]) -> Reading:
    """Read SymPy's expressions by their text, within the same bounds."""
    if isinstance(answer, bool) or not isinstance(answer, (int, Expr)):
        raise _RefusedError("it is not an answer")
    expression = sympy.sympify(answer)
    for part in sympy.preorder_traversal(expression):
        if isinstance(part, Rational) and max(abs(int(part.p)), int(part.q)).bit_length() > MOST_BITS:
            raise _RefusedError("its value would be too large")
        if isinstance(part, Float):
            raise _RefusedError(f"{part} is a rounded number")
        if not isinstance(part, (Symbol, Rational, Add, Mul, Pow)):
            raise _RefusedError("it is not made of sums, products and powers")
        if isinstance(part, Pow) and not part.exp.is_Integer:
            raise _RefusedError("an exponent has to be a whole number")
    return Reading(_parse(str(expression), {*known, *names(expression)}))


def names(expression: Expr) -> frozenset[str]:
    """Name the axes in an expression."""
    return frozenset(symbol.name for symbol in expression.free_symbols)


def equal(one: Expr, other: Expr) -> bool:
    """Tell by exact values at large sizes whether two expressions are equal."""
    return all(value_at(one, sizes) - value_at(other, sizes) == 0 for sizes in large_sizes(names(one) | names(other)))


def large_sizes(letters: Collection[str]) -> list[dict[str, int]]:
    """Give each letter two sizes, at which only equal formulas have equal values."""
    return [{name: Random(name + salt).randrange(10**8, 10**9) for name in letters} for salt in ("a", "b")]


def _plain(text: str) -> tuple[str, int]:
    """Return the bare formula in signs of a keyboard, and its unit's power of ten."""
    signs = _TIMES.sub("*", text.translate(_SIGNS))
    bare = _NAMED.sub("", signs, count=1).strip(" ").removesuffix(".")
    raised = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda match: "^" + match[0].translate(_RAISED), bare)
    unit = _UNIT.search(raised)
    plain = raised[: unit.start()] if unit else raised
    return plain.strip(" "), _POWERS.get(unit["prefix"], 0) if unit else 0


def _decimals(text: str, power: int) -> int | None:
    """Count the decimal places of a number with an exponent, % or a unit (GFLOPs)."""
    number = _DECIMAL.fullmatch(text.replace(" ", ""))
    if not number or not (number[1] or number[2] or number[3] or number[4] or power):
        return None
    return len(number[1] or "") - int(number[2] or number[3] or 0) + 2 * len(number[4]) - power


def _parse(text: str, known: Collection[str]) -> Expr:
    """Put in every sign of multiplication, and work out the tree that Python parses."""
    pieces: list[str] = []
    atoms: dict[str, Expr] = {}
    before = ""
    for kind, token in _tokens(text):
        if kind == before == "number":
            raise _RefusedError("there are two numbers in a row")
        if before in ("number", "letters", ")") and (kind != "sign" or token == "("):
            pieces.append("*")
        if kind == "sign":
            pieces.append("**" if token == "^" else token)
        else:
            values = [_number(token)] if kind == "number" else _factors(token, known)
            placeholders = {f"a{i}": value for i, value in enumerate(values, len(atoms))}
            atoms |= placeholders
            pieces.append("*".join(placeholders))
        before = token if kind == "sign" else kind
    return _build(ast.parse(" ".join(pieces), mode="eval").body, atoms)[0]


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Split a text into kind and text of each number, run of letters and sign."""
    if not text:
        raise _RefusedError("no formula or number is written")
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise _RefusedError(f"{text[position:].lstrip(' ')[:1]!r} has no meaning here")
        yield str(match.lastgroup), match[0].lstrip(" ")
        position = match.end()


def _number(text: str) -> Expr:
    value = Rational(re.sub("[,_ %]", "", text))
    return value / 100 if text.endswith("%") else value


def _factors(letters: str, known: Collection[str]) -> list[Expr]:
    """Split a run such as ``BDK`` or ``BH1`` into axes and numbers."""
    longest_first = (rf"(?i:{re.escape(name)})(?!\d)" for name in sorted(known, key=len, reverse=True))
    part = "|".join([*longest_first, r"[A-Za-z](?:\d+|_[A-Za-z0-9]+)?", r"\d+", "_"])
    return [_factor(found, known) for found in re.findall(part, letters)]


def _factor(text: str, known: Collection[str]) -> Expr:
    if text == "_":
        raise _RefusedError("'_' has no meaning here")
    if text.isdigit():
        return Integer(text)
    bare = text.replace("_", "")
    if bare in known:
        return axis(bare)
    alike = [name for name in known if name.lower() == bare.lower()]
    return axis(alike[0] if len(alike) == 1 else text)


def _build(node: ast.AST, atoms: dict[str, Expr]) -> tuple[Expr, int]:
    """Work out a tree's expression, and a bound on the bits of its values.

    So a tower of powers ends here.
    """
    match node:
        case ast.Name(id=name):
            value = atoms[name]
            return value, _LETTER_BITS if value.is_Symbol else int(value.p).bit_length() + int(value.q).bit_length()
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            value, bits = _build(operand, atoms)
            return (-value if isinstance(sign, ast.USub) else value), bits
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATIONS:
            (one, bits), (other, more) = _build(left, atoms), _build(right, atoms)
            lettered = any(isinstance(part, ast.Name) and atoms[part.id].is_Symbol for part in ast.walk(right))
            whole = other.is_Integer and not lettered
            bits = bits * abs(int(other)) if isinstance(sign, ast.Pow) and whole else bits + more
            _check(sign, one, other, whole, bits)
            return _OPERATIONS[type(sign)](one, other), bits
    raise _RefusedError("it is not one formula")


def _check(sign: ast.operator, one: Expr, other: Expr, whole: bool, bits: int) -> None:
    if bits > MOST_BITS:
        raise _RefusedError("its value would be too large")
    if isinstance(sign, ast.Pow) and not whole:
        raise _RefusedError("an exponent has to be a whole number")
    divisor = other if isinstance(sign, ast.Div) else one if isinstance(sign, ast.Pow) and other.is_negative else None
    if divisor is not None and equal(divisor, Integer(0)):
        raise _RefusedError("it divides by zero")
