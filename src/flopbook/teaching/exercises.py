"""Exercises with a checker that knows every form of the right answer, and the usual wrong ones."""

import math
import reprlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Context, Decimal
from fractions import Fraction
from html import escape
from numbers import Rational, Real

import sympy

from flopbook.teaching.answers import Reading, ReadingError, at, equal, names, read

#: What a verdict brings along for the site, which asks without Python.
FORM = "application/vnd.flopbook.exercise+json"


@dataclass(frozen=True)
class Verdict:
    """What an exercise says of an answer; it shows itself in a notebook.

    Attributes
    ----------
    right : bool
        Whether the answer is right.
    message : str
        What else there is to say.
    form : mapping, optional
        What the site needs to ask in its turn.
    """

    right: bool
    message: str
    form: Mapping[str, object] | None = field(default=None, repr=False, compare=False)

    def __repr__(self):
        return f"{'Right.' if self.right else 'Not yet.'} {self.message}".strip()

    def _repr_html_(self) -> str:
        opening, _, message = repr(self).partition(".")
        return f"<p><strong>{opening}.</strong>{escape(message).replace(chr(10), '<br>')}</p>"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        """On the site the reader answers in a form."""
        return {FORM: self.form} if self.form else {}


def _rounded(exact: sympy.Expr, answer: Reading) -> bool:
    """Whether the answer is a decimal, of two digits or more, that `exact` rounds to."""
    if answer.decimals is None or not exact.is_Rational:
        return False
    value = Fraction(str(answer.expression))
    return abs(value) * Fraction(10) ** answer.decimals >= 10 and round(Fraction(str(exact)), answer.decimals) == value


def _divided(number: sympy.Rational, digits: int) -> Decimal:
    return Context(prec=digits).divide(Decimal(int(number.p)), Decimal(int(number.q)))


def _shown(number: sympy.Expr) -> str:
    """A number as a decimal where that is exact, else as it is."""
    if number.is_Rational and Fraction(_divided(number, 15)) == Fraction(str(number)):
        return f"{_divided(number, 15):f}"
    return str(number)


def _exactly(number: sympy.Rational) -> str:
    exact = _shown(number)
    return f"Exactly it is {exact}" + (f", about {_divided(number, 6):f}." if "/" in exact else ".")


def _as_text(answer: object) -> str:
    """A number as text, as a reader would write it."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer, Rational) and not isinstance(answer, bool):
        return str(answer)
    if isinstance(answer, Real) and not isinstance(answer, bool) and math.isfinite(answer):
        value = float(answer)
        return str(int(value)) if value.is_integer() else f"{value:.12f}".rstrip("0")
    raise ReadingError(f"I cannot read {reprlib.repr(answer)}: write text such as '2*B*D*K', or a number")


def _reading(answer: object, known: Collection[str]) -> Reading:
    formula = isinstance(answer, sympy.Expr) and not isinstance(answer, sympy.Number)
    return Reading(answer, str(answer), names(answer)) if formula else read(_as_text(answer), known)


class Exercise:
    """An exercise whose answer is a formula or a number.

    Parameters
    ----------
    right : sympy.Expr, number or str
        The right answer; any equal expression is right too.
    hints : mapping
        What a usual wrong answer means.

    Raises
    ------
    ValueError
        If the right answer or a hint cannot be read, or a hint is for the right answer.

    Examples
    --------
    >>> exercise = Exercise("2BDK", hints={"BDK": "These are multiply-accumulates; each is 2 FLOPs."})
    >>> exercise.check("K*B * 2D")
    Right.
    >>> exercise.check("BDK")
    Not yet. These are multiply-accumulates; each is 2 FLOPs.
    >>> exercise.check("2BD + K")
    Not yet. I read 2*B*D + K. At B = 2, D = 3, K = 5 that is 17, and the right answer gives 60.
    >>> exercise.check("import os")
    Not yet. I read i*m*p*o*r*t*o*s. There is no i, m, o, p, r, s, t in the right answer: its letters are B, D, K.
    """

    def __init__(self, right: object, hints: Mapping[object, str] | None = None):
        self._right = _reading(right, ()).expression
        self._known = names(self._right)
        self._hints = [(_reading(wrong, self._known).expression, hint) for wrong, hint in (hints or {}).items()]
        for wrong, hint in self._hints:
            if equal(wrong, self._right):
                raise ValueError(f"{wrong} is the right answer, but has the hint {hint!r}: give hints for wrong ones")

    def __repr__(self):
        return "An exercise: write .check(your answer)"

    def check(self, answer: object) -> Verdict:
        """Say whether an answer is right, and if not, what helps.

        Parameters
        ----------
        answer : str, number or sympy.Expr
            Such as ``"2BDK"``, ``"2*B*D*K"``, ``96``, ``"1.90"`` or ``"6.63 GFLOPs"``. A number with a
            point, an exponent or a prefix may be rounded.

        Returns
        -------
        Verdict
            For anything that is given, whatever it is.
        """
        return replace(self._judge(answer), form=self.form())

    def _judge(self, answer: object) -> Verdict:
        try:
            given = _reading(answer, self._known)
            if equal(given.expression, self._right):
                return Verdict(True, "")
        except ValueError as error:
            return Verdict(False, f"{error}.")
        if _rounded(self._right, given):
            return Verdict(True, _exactly(self._right))
        for wrong, hint in self._hints:
            if equal(given.expression, wrong) or _rounded(wrong, given):
                return Verdict(False, hint)
        return Verdict(False, self._difference(given))

    def _difference(self, given: Reading) -> str:
        """What tells a wrong answer without a hint from the right one."""
        strangers = sorted(given.letters - self._known)
        if strangers:
            return f"I read {given.text}. There is no {', '.join(strangers)} in the right answer: {self._letters()}."
        value = at(given.expression, self._sizes())
        if not self._known and value.is_real:
            return f"{_shown(value)} is too {'large' if value > self._right else 'small'}."
        said = "divides by zero" if value.has(sympy.zoo, sympy.nan) else f"is {value}"
        sizes = ", ".join(f"{name} = {size}" for name, size in self._sizes().items())
        right = at(self._right, self._sizes())
        return f"I read {given.text}. At {sizes} that {said}, and the right answer gives {right}."

    def _letters(self) -> str:
        return f"its letters are {', '.join(sorted(self._known))}" if self._known else "it is a number"

    def _sizes(self) -> dict[str, int]:
        """Small sizes to compare at, all different."""
        return dict(zip(sorted(self._known), sympy.primerange(100), strict=False))

    def form(self) -> dict[str, object]:
        """All that it takes to judge an answer without SymPy, as ``checking.js`` does on the site.

        Examples
        --------
        >>> Exercise("2B", hints={"B": "Each is 2 FLOPs."}).form()
        {'right': '2*B', 'letters': ['B'], 'hints': [['B', 'Each is 2 FLOPs.']], 'exactly': '', 'sizes': {'B': 2}}
        """
        return {
            "right": str(self._right),
            "letters": sorted(self._known),
            "hints": [[str(wrong), hint] for wrong, hint in self._hints],
            "exactly": _exactly(self._right) if self._right.is_Rational else "",
            "sizes": self._sizes(),
        }
