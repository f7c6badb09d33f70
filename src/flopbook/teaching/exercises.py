"""Check answers to exercises, in every form, and give hints for usual wrong ones."""

import hashlib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Context, Decimal
from fractions import Fraction
from html import escape
from itertools import chain
from numbers import Rational, Real
from typing import Any

import sympy
from sympy import Expr

from flopbook.checks import quoted
from flopbook.predict.values import value_at
from flopbook.teaching.answers import Reading, ReadingError, equal, large_sizes, names, read
from flopbook.teaching.forms import FORM, SCRIPTS, STYLES, form_html
from flopbook.teaching.output import output, static

__all__ = ["Exercise", "Verdict"]

_SIZES_TRIED = 20


@dataclass(frozen=True)
class Verdict:
    """Says whether an answer is right, and what helps; shows itself in a notebook.

    Attributes
    ----------
    right : bool
        Whether the answer is right.
    message : str
        What else there is to say.
    form : mapping, optional
        The data of the exercise's form on the site.
    """

    right: bool
    message: str
    form: Mapping[str, object] | None = field(default=None, repr=False, compare=False)

    def __repr__(self):
        return f"{'Right.' if self.right else 'Not yet.'} {self.message}".strip()

    def _repr_html_(self) -> str:
        """Show the exercise as a form, in which a reader tries another answer."""
        opening, _, message = repr(self).partition(".")
        said = f"<strong>{opening}.</strong>{escape(message)}"
        if not self.form:
            return f"<p>{said}</p>"
        identity = f"exercise-{hashlib.sha256(repr(self.form).encode()).hexdigest()[:8]}"
        return output(form_html(identity, self.form, "this exercise", said), STYLES, [*map(static, SCRIPTS)])

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        """Give the site the data of the form, which it checks without Python."""
        return {FORM: self.form} if self.form else {}


def _rounded(exact: sympy.Expr, answer: Reading) -> bool:
    """Tell whether `exact` rounds to the answer, a decimal of two digits or more."""
    if answer.decimals is None or not exact.is_Rational:
        return False
    value = Fraction(str(answer.expression))
    return abs(value) * Fraction(10) ** answer.decimals >= 10 and round(Fraction(str(exact)), answer.decimals) == value


def _divided(number: sympy.Rational, digits: int) -> Decimal:
    return Context(prec=digits).divide(Decimal(int(number.p)), Decimal(int(number.q)))


def _shown(number: sympy.Expr) -> str:
    """Write a number as a decimal where that is exact, else as it is."""
    if number.is_Rational and Fraction(_divided(number, 15)) == Fraction(str(number)):
        return f"{_divided(number, 15):f}"
    return str(number)


def _exactly(number: sympy.Rational) -> str:
    exact = _shown(number)
    return f"Exactly it is {exact}" + (f", about {_divided(number, 6):f}." if "/" in exact else ".")


def _reading(answer: object, known: Collection[str]) -> Reading:
    """Read an answer of any kind; numbers of NumPy as a reader would write them."""
    if isinstance(answer, Real) and not isinstance(answer, (bool, int, sympy.Expr)) and math.isfinite(answer):
        return read(_as_text(answer), known)
    return read(answer, known)  # type: ignore[arg-type]  # refuses whatever else it is


def _as_text(number: Real) -> str:
    if isinstance(number, Rational):
        return str(number)
    value = float(number)
    return str(int(value)) if value.is_integer() else f"{value:.12f}".rstrip("0")


class Exercise:
    """Check the answer to an exercise, a formula or a number.

    Parameters
    ----------
    right : sympy.Expr, number or str
        The right answer; any equal expression is right too.
    hints : mapping
        What a usual wrong answer means.

    Raises
    ------
    TypeError
        If `hints` is not a mapping, or a hint is not text.
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
    Not yet. I read i*m*o**2*p*r*s*t. There is no i, m, o, p, r, s, t in the right answer: its letters are B, D, K.
    """

    def __init__(self, right: object, hints: Mapping[Any, str] | None = None):
        if not (hints is None or isinstance(hints, Mapping)):
            raise TypeError(f"hints={quoted(hints)} are not hints: write hints={{'BDK': 'Each is 2 FLOPs.'}}")
        for wrong, hint in (hints or {}).items():
            if not isinstance(hint, str):
                raise TypeError(f"the hint for {quoted(wrong)} is {quoted(hint)}: write text")
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
        except ReadingError as error:
            return Verdict(False, f"{error}.")
        if equal(given.expression, self._right):
            return Verdict(True, "")
        if _rounded(self._right, given):
            return Verdict(True, _exactly(self._right))
        for wrong, hint in self._hints:
            if equal(given.expression, wrong) or _rounded(wrong, given):
                return Verdict(False, hint)
        return Verdict(False, self._difference(given.expression))

    def _difference(self, given: Expr) -> str:
        """Say what tells a wrong answer without a hint from the right one."""
        unknown = sorted(names(given) - self._known)
        if unknown:
            return f"I read {given}. There is no {', '.join(unknown)} in the right answer: {self._letters()}."
        if not self._known:
            return f"{_shown(given)} is too {'large' if given > self._right else 'small'}."
        sizes = self._telling_sizes(given)
        value, right = value_at(given, sizes), value_at(self._right, sizes)
        is_what = "divides by zero" if value.has(sympy.zoo, sympy.nan) else f"is {value}"
        at_sizes = ", ".join(f"{name} = {size}" for name, size in sizes.items())
        return f"I read {given}. At {at_sizes} that {is_what}, and the right answer gives {right}."

    def _telling_sizes(self, given: Expr) -> dict[str, int]:
        """Find sizes at which an answer and the right one differ: small if possible."""
        small = (
            {name: first + step * number for number, (name, first) in enumerate(self._sizes().items(), 1)}
            for step in range(_SIZES_TRIED)
        )
        candidates = chain(small, large_sizes(self._known))
        return next(sizes for sizes in candidates if value_at(given, sizes) != value_at(self._right, sizes))

    def _letters(self) -> str:
        return f"its letters are {', '.join(sorted(self._known))}" if self._known else "it is a number"

    def _sizes(self) -> dict[str, int]:
        """Give the sizes to compare at first: small, and all different."""
        return dict(zip(sorted(self._known), sympy.primerange(100), strict=False))

    def form(self) -> dict[str, object]:
        """Return what ``checking.js`` needs on the site to judge an answer.

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
