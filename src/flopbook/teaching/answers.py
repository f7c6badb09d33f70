"""Reading formulas as people write them: ``2BDK``, ``2*B*D*K``, ``2·B·D·K``, ``6,628,048,896``.

A text is taken apart into numbers, letters and signs, and only these are put together again: nothing in it is
ever run. The site reads in the same way, by ``flopsite/static/exercises/reading.js``.
"""

import ast
import operator
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from random import Random

import sympy

from flopbook.predict.axes import axis

_LONGEST_TEXT = 300
_LARGEST_BITS = 10_000
_LETTER_BITS = 32

_OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}

_SIGNS = str.maketrans("×·⋅∙−–÷\t\n\v\f\r\u00a0\u2009\u202f", "****--/" + 8 * " ")
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_UNIT = re.compile(r"(?<=[\d )%]) *(?P<prefix>[kKMGTPEZ]?)(?i:flops?|bytes?|days?|hours?) *$", re.ASCII)
_POWERS = {"k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18, "Z": 21}
_NAMED = re.compile(r"^ *[A-Za-z]\w* *=", re.ASCII)
_NUMBER_WORD = re.compile(
    r"\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty"
    r"|hundred|thousand|million|billion|trillion)\b",
    re.ASCII,
)
_TOKEN = re.compile(
    r"(?P<number>(?:\d{1,3}(?:[,_]\d{3})+(?![\d,_])|\d+)(?:\.\d+)?(?:e[+-]?\d{1,2}(?!\d))?(?: *%)?|\.\d+(?: *%)?)"
    r"|(?P<letters>[A-Za-z][A-Za-z0-9_]*)"
    r"|(?P<sign>\*\*|[-+*/^()])",
    re.ASCII,
)


class ReadingError(ValueError):
    """A text that is no formula; the message quotes it and says what to write."""


@dataclass(frozen=True)
class Reading:
    """A formula that was read.

    Attributes
    ----------
    expression : sympy.Expr
        Made of axes and numbers.
    text : str
        The formula with every sign of multiplication, in the order in which it was written.
    letters : frozenset of str
        The axes that it names.
    decimals : int or None
        Where the text is one decimal number, its decimal places; they may
        be negative where it has an exponent or a unit such as GFLOPs.
    """

    expression: sympy.Expr
    text: str
    letters: frozenset[str]
    decimals: int | None = None


def names(expression: sympy.Expr) -> frozenset[str]:
    """Names of the axes in an expression."""
    return frozenset(symbol.name for symbol in expression.free_symbols)


def at(expression: sympy.Expr, sizes: Mapping[str, int]) -> sympy.Expr:
    """Value of an expression where the axes have these sizes."""
    return expression.subs({symbol: sizes[symbol.name] for symbol in expression.free_symbols})


def equal(one: sympy.Expr, other: sympy.Expr) -> bool:
    """Whether two expressions are equal: exact values at large sizes tell, however long they are."""
    letters = names(one) | names(other)
    points = [{name: Random(name + salt).randrange(10**8, 10**9) for name in letters} for salt in ("a", "b")]
    return all(at(one, sizes) - at(other, sizes) == 0 for sizes in points)


def _plain(text: str) -> tuple[str, int]:
    """The bare formula, in the signs of a keyboard, and the power of ten that its unit stands for."""
    bare = _NAMED.sub("", text.translate(_SIGNS), count=1).strip(" ").removesuffix(".")
    raised = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda match: "^" + match[0].translate(_RAISED), bare)
    unit = _UNIT.search(raised)
    plain = raised[: unit.start()] if unit else raised
    return plain.strip(" "), _POWERS.get(unit["prefix"], 0) if unit else 0


def _decimals(text: str, power: int) -> int | None:
    """Decimal places of a text that is one decimal number, or a whole one with an exponent, % or a unit (GFLOPs)."""
    number = re.fullmatch(r"-?[\d,]*(?:\.(\d+))?(?:e([+-]?\d+))?(%?)", text.replace(" ", ""))
    if not number or not (number[1] or number[2] or number[3] or power):
        return None
    return len(number[1] or "") - int(number[2] or 0) + 2 * len(number[3]) - power


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Kind and text of each number, run of letters and sign."""
    if not text:
        raise ReadingError("no formula or number is written")
    position = 0
    while position < len(text):
        if text[position] == " ":
            position += 1
            continue
        match = _TOKEN.match(text, position)
        if not match:
            raise ReadingError(f"{text[position]!r} has no meaning here")
        yield str(match.lastgroup), match[0]
        position = match.end()


def _number(text: str) -> sympy.Expr:
    value = sympy.Rational(text.rstrip(" %").replace(",", "").replace("_", ""))
    return value / 100 if text.endswith("%") else value


def _factors(letters: str, known: Collection[str]) -> Iterator[sympy.Expr]:
    """The axes and numbers of a run such as ``BDK`` or ``BH1``."""
    names = sorted(known, key=len, reverse=True)
    alternatives = [rf"(?i:{re.escape(name)})(?!\d)" for name in names] + [
        r"[A-Za-z](?:\d+|_[A-Za-z0-9]+)?",
        r"\d+",
        "_",
    ]
    for part in re.findall("|".join(alternatives), letters):
        if part == "_":
            raise ReadingError("'_' has no meaning here")
        bare = part.replace("_", "")
        alike = [name for name in known if name.lower() == bare.lower()]
        meant = bare if bare in known else alike[0] if len(alike) == 1 else part
        yield sympy.Integer(part) if part.isdigit() else axis(meant)


def _rewrite(text: str, known: Collection[str]) -> tuple[str, dict[str, sympy.Expr], str]:
    """The text with every sign of multiplication and a placeholder for each atom, the atoms, and as it is shown."""
    pieces: list[str] = []
    shown: list[str] = []
    atoms: dict[str, sympy.Expr] = {}
    before = ""
    for kind, token in _tokens(text):
        if kind == before == "number":
            raise ReadingError("there are two numbers in a row")
        follows = before in ("number", "letters", ")")
        if follows and (kind != "sign" or token == "("):
            pieces.append("*")
            shown.append("*")
        if kind == "sign":
            pieces.append("**" if token == "^" else token)
            shown.append(f" {token} " if follows and token in "+-" else token)
        else:
            values = [_number(token)] if kind == "number" else list(_factors(token, known))
            placeholders = {f"a{i}": value for i, value in enumerate(values, len(atoms))}
            atoms |= placeholders
            pieces.append("*".join(placeholders))
            shown.append(token if kind == "number" else "*".join(map(str, values)))
        before = token if kind == "sign" else kind
    return " ".join(pieces), atoms, "".join(shown)


def _check(sign: ast.operator, one: sympy.Expr, other: sympy.Expr, whole: bool, bits: int) -> None:
    if bits > _LARGEST_BITS:
        raise ReadingError("its value would be too large")
    if isinstance(sign, ast.Pow) and not whole:
        raise ReadingError("an exponent has to be a whole number")
    divisor = other if isinstance(sign, ast.Div) else one if isinstance(sign, ast.Pow) and other.is_negative else None
    if divisor is not None and equal(divisor, sympy.Integer(0)):
        raise ReadingError("it divides by zero")


def _build(node: ast.AST, atoms: dict[str, sympy.Expr]) -> tuple[sympy.Expr, int]:
    """Expression of a tree, and a bound on the bits of its values, so that a tower of powers ends here."""
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
    raise ReadingError("it is not one formula")


def read(text: str, known: Collection[str] = ()) -> Reading:
    """Expression that a text stands for.

    Parameters
    ----------
    text : str
        A letter is an axis, and so is a letter with a number, ``H1``. The
        signs are ``+ - * / ^ **`` and parentheses; a product needs none. A
        name with ``=`` may stand before it, and a full stop behind.
    known : collection of str
        Names of axes that are not to be taken apart into letters, and may be
        written in either case where only one of them is meant.

    Raises
    ------
    ReadingError
        If the text is anything else.

    Examples
    --------
    >>> read("2BD(H1 + K)").expression
    2*B*D*(H1 + K)
    >>> read("6,628,048,896 FLOPs").expression, read("6.6 GFLOPs").expression
    (6628048896, 6600000000)
    >>> read("1.90").decimals
    2
    >>> read("K 2BD").text
    'K*2*B*D'
    >>> read("flops = 2bdk.", known="BDK").expression
    2*B*D*K
    """
    if len(text) > _LONGEST_TEXT:
        raise ReadingError(f"{text[:40] + '...'!r} is too long: write at most {_LONGEST_TEXT} characters")
    if _NUMBER_WORD.search(text[:1].lower() + text[1:]):
        raise ReadingError(f"I cannot read {text!r}: write the number in digits")
    plain, power = _plain(text)
    try:
        source, atoms, shown = _rewrite(plain, known)
        expression, _ = _build(ast.parse(source, mode="eval").body, atoms)
    except (SyntaxError, RecursionError, MemoryError):
        reason = "a sign or a parenthesis is missing, or one too many"
    except ReadingError as error:
        reason = str(error)
    else:
        letters = frozenset(value.name for value in atoms.values() if value.is_Symbol)
        shown = f"({shown})*10^{power}" if power else shown
        return Reading(expression * 10**power, shown, letters, None if letters else _decimals(plain, power))
    raise ReadingError(f"I cannot read {text!r}: {reason}. Write it like 2*B*D*K or 2BDK, or as a number")
