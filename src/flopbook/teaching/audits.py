"""Audit a report: judge what it prints, and check the reader's own verdicts."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Self

from flopbook.checks import is_number, positive, quoted, several
from flopbook.tables import Table, strong
from flopbook.teaching.exercises import Exercise, Verdict

RIGHT, WRONG, NOT_DECIDABLE = "right", "wrong", "not decidable"

_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_LONGEST_PRINTED = 100
_PRINTED = re.compile(rf"([~<>]?) ?({_NUMBER})(?: to ({_NUMBER}))?( .*|%|x)?")


@dataclass(frozen=True)
class Finding:
    """Holds a claim of a report, what was computed for it, and the verdict."""

    claim: str
    printed: str
    computed: str
    verdict: str


def _span(sign: str, first: str, last: str | None) -> tuple[Fraction | float, Fraction | float]:
    """Return the lowest and the highest value that a printed number may stand for."""
    value = Fraction(first.replace(",", ""))
    if last:
        return value, Fraction(last.replace(",", ""))
    step = Fraction(1, 10 ** len(first.partition(".")[2]))
    spans: dict[str, tuple[Fraction | float, Fraction | float]] = {
        "<": (-math.inf, value),
        ">": (value, math.inf),
        "~": (value - step, value + step),
        "": (value - step / 2, value + step / 2),
    }
    return spans[sign]


def _digits(value: Fraction, places: int) -> str:
    return f"{int(value):,}" if value.denominator == 1 else f"{float(value):,.{places}f}".rstrip("0").rstrip(".")


def judge(
    claim: str, printed: str, computed: Fraction | float | None = None, *, unit: int | Fraction = 1, needs: str = ""
) -> Finding:
    """Judge a claim: right, wrong, or not decidable.

    A number is right if what was computed rounds to it. With ``~`` it may be
    off by one in its last digit; with ``<`` or ``>`` it is a bound that is
    not reached, and ``2 to 3`` is a range.

    Parameters
    ----------
    claim : str
        What the number is said to be.
    printed : str
        The number as it is printed, with its unit: ``"1.7 K"``.
    computed : number, optional
        What it is. If nobody can know, leave it out.
    unit : int
        What the printed unit stands for, 1000 for K.
    needs : str
        What would have to be printed for the claim to be decidable.

    Raises
    ------
    TypeError
        If `computed` or `unit` is not a number, or the claim is not text.
    ValueError
        If no number is printed, a range runs backwards, or neither `computed` nor `needs` is given.

    Examples
    --------
    >>> judge("FLOPs", "1.7 K", 1704, unit=1000).verdict
    'right'
    >>> judge("backward / forward", "2 to 3", 1.9015)
    Finding(claim='backward / forward', printed='2 to 3', computed='1.9015', verdict='wrong')
    >>> judge("FLOPs of 100 epochs", "66 TFLOPs", needs="the size of the data set").verdict
    'not decidable'
    """
    match = isinstance(printed, str) and len(printed) <= _LONGEST_PRINTED and _PRINTED.fullmatch(printed)
    if not match:
        raise ValueError(
            f"{quoted(printed)} is not a number as reports print it: write '9,904', '~34 KB', '< 80 MB' or '2 to 3'"
        )
    if not (isinstance(claim, str) and isinstance(needs, str)):
        raise TypeError(f"{quoted(claim)} and {quoted(needs)} are not texts: write judge('FLOPs', '1.7 K', 1704)")
    positive("unit", unit)
    sign, first, last, word = match.groups()
    low, high = _span(sign, first, last)
    if low > high:
        raise ValueError(f"{quoted(printed)} runs backwards: write the smaller number first")
    if computed is None:
        if not needs:
            raise ValueError(f"{quoted(claim)}: give what was computed, or say what is missing: needs='the batch size'")
        return Finding(claim, printed, f"needs {needs}", NOT_DECIDABLE)
    if not is_number(computed):
        raise TypeError(f"computed={quoted(computed)} is not a number: write what was computed, or leave it out")
    value = Fraction(computed) / Fraction(unit)
    places = max(4, len(first.partition(".")[2]))
    holds = low < value < high if sign in ("<", ">") else low <= value <= high
    return Finding(claim, printed, _digits(value, places) + (word or ""), RIGHT if holds else WRONG)


class Findings(tuple[Finding, ...]):
    """Shows the findings of an audit as a table.

    Raises
    ------
    TypeError
        If one is not a :class:`Finding`; quotes it.

    Examples
    --------
    >>> Findings([judge("parameters", "9,904", 4_466_520), judge("MACs", "640", 640)])
    claim       printed   computed  verdict
    parameters    9,904  4,466,520  wrong
    MACs            640        640  right
    """

    __slots__ = ()

    def __new__(cls, findings: Iterable[Finding] = ()) -> Self:
        given = several("findings", findings, "[judge(...)]")
        for each in given:
            if not isinstance(each, Finding):
                raise TypeError(f"{quoted(each)} is not a finding: write judge('FLOPs', '1.7 K', 1704, unit=1000)")
        return super().__new__(cls, given)

    @property
    def _table(self) -> Table:
        rows = [
            (claim, printed, computed, strong(verdict) if verdict == WRONG else verdict)
            for claim, printed, computed, verdict in map(astuple, self)
        ]
        return Table(Finding.__match_args__, rows)

    def __repr__(self):
        return self._table.text

    def _repr_html_(self) -> str:
        return self._table.html


class Audit:
    """Checks the reader's own audit of a report.

    Parameters
    ----------
    claims : mapping of str to str or Exercise
        For each claim ``"right"``, ``"not decidable"``, or the exercise of finding the right figure.
    why : mapping of str to str
        What tells those claims that are not right.

    Raises
    ------
    TypeError
        If `claims` or `why` is not a mapping, or a reason is not text.
    ValueError
        If there is no claim, one is anything else, or a reason is missing.

    Examples
    --------
    >>> audit = Audit({"a": "right", "b": Exercise(1280)}, why={"b": "A multiply-accumulate is 2 FLOPs."})
    >>> audit.check({"a": "right", "b": "right"})
    Not yet. 1 of 2 claims settled.
    b: missed. A multiply-accumulate is 2 FLOPs.
    >>> audit.check({"a": "right", "b": "1,280"})
    Right. 2 of 2 claims settled.
    """

    def __init__(self, claims: Mapping[str, str | Exercise], why: Mapping[str, str] = MappingProxyType({})):
        for given in (claims, why):
            if not isinstance(given, Mapping):
                raise TypeError(
                    f"{quoted(given)}: write Audit({{'a': 'right', 'b': Exercise(1280)}}, why={{'b': '...'}})"
                )
        if not claims:
            raise ValueError("no claims are given: write Audit({'a': 'right'})")
        for name, reason in why.items():
            if name not in claims or not isinstance(reason, str):
                raise TypeError(f"why[{quoted(name)}] = {quoted(reason)}: write a text for one of the claims")
        for name, truth in claims.items():
            if not isinstance(truth, Exercise) and truth not in (RIGHT, NOT_DECIDABLE):
                raise ValueError(
                    f"{name}: {quoted(truth)} is neither 'right' nor 'not decidable' nor an Exercise: write one of them"
                )
            if truth != RIGHT and name not in why:
                raise ValueError(f"{name} is not right: say why in why={{{name!r}: ...}}")
        self._claims, self._why = dict(claims), dict(why)

    def __repr__(self):
        return f"An audit of {len(self._claims)} claims: write .check({{claim: your verdict, ...}})"

    def check(self, verdicts: Mapping[str, object]) -> Verdict:
        """Tell which claims were missed, and which were blamed without cause.

        Parameters
        ----------
        verdicts : mapping
            For each claim ``"right"``, ``"not decidable"``, or, where it is wrong, the right figure.

        Returns
        -------
        Verdict
            A line for each claim that is not settled.
        """
        if not isinstance(verdicts, Mapping):
            return Verdict(False, f"Write your verdicts like {{{next(iter(self._claims))!r}: 'right', ...}}.")
        unknown = [f"{quoted(name)}: there is no such claim." for name in verdicts if name not in self._claims]
        unsettled = list(self._unsettled(verdicts))
        settled = f"{len(self._claims) - len(unsettled)} of {len(self._claims)} claims settled."
        return Verdict(not unknown + unsettled, "\n".join([settled, *unknown, *unsettled]), self.form())

    def form(self) -> dict[str, object]:
        """Return all that the site needs to judge verdicts, like :meth:`flopbook.teaching.exercises.Exercise.form`."""
        claims = {name: truth.form() if isinstance(truth, Exercise) else truth for name, truth in self._claims.items()}
        return {"claims": claims, "why": self._why}

    def _unsettled(self, verdicts: Mapping[str, object]) -> Iterable[str]:
        for name, truth in self._claims.items():
            if problem := self._problem(name, truth, verdicts.get(name, "")):
                yield f"{name}: {problem}"

    def _problem(self, name: str, truth: str | Exercise, given: object) -> str:
        """Say what is missing from a verdict on a claim; nothing if it is settled."""
        verdict = given.strip().lower() if isinstance(given, str) else None
        if verdict == truth:
            return ""
        if verdict == "":
            return "not judged yet."
        if truth == RIGHT:
            return "blamed without cause; compute it again."
        if verdict in (RIGHT, NOT_DECIDABLE) or not isinstance(truth, Exercise):
            return f"missed. {self._why[name]}"
        if verdict == WRONG:
            return "wrong it is. Now give the right figure."
        checked = truth.check(given)
        return "" if checked.right else f"wrong it is, but not by that figure. {checked.message}"
