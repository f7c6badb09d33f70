"""Auditing a report: what it prints beside what follows, and an audit of the reader's own."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from fractions import Fraction

from flopbook.tables import Table, strong
from flopbook.teaching.exercises import Exercise, Verdict

RIGHT, WRONG, NOT_DECIDABLE = "right", "wrong", "not decidable"

_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_PRINTED = re.compile(rf"([~<>]?) ?({_NUMBER})(?: to ({_NUMBER}))?( .*|%|x)?")


@dataclass(frozen=True)
class Finding:
    """One claim of a report, what was computed for it, and the verdict; made by :func:`judge`."""

    claim: str
    printed: str
    computed: str
    verdict: str


def _span(sign: str, first: str, last: str | None) -> tuple[Fraction | float, Fraction | float]:
    """Lowest and highest value that a printed number may stand for."""
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
    """Verdict on a claim: right, wrong, or not decidable.

    A number is right if what was computed rounds to it. With ``~`` it may be
    off by one in its last digit; with ``<`` or ``>`` it is a bound, and
    ``2 to 3`` is a range.

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
    ValueError
        If no number is printed.

    Examples
    --------
    >>> judge("FLOPs", "1.7 K", 1704, unit=1000).verdict
    'right'
    >>> judge("backward / forward", "2 to 3", 1.9015)
    Finding(claim='backward / forward', printed='2 to 3', computed='1.9015', verdict='wrong')
    >>> judge("FLOPs of 100 epochs", "66 TFLOPs", needs="the size of the data set").verdict
    'not decidable'
    """
    match = isinstance(printed, str) and _PRINTED.fullmatch(printed)
    if not match:
        raise ValueError(
            f"{printed!r} is not a number as reports print it: write '9,904', '~34 KB', '< 80 MB' or '2 to 3'"
        )
    sign, first, last, word = match.groups()
    if computed is None:
        return Finding(claim, printed, f"needs {needs}", NOT_DECIDABLE)
    value = Fraction(computed) / unit
    low, high = _span(sign, first, last)
    places = max(4, len(first.partition(".")[2]))
    return Finding(claim, printed, _digits(value, places) + (word or ""), RIGHT if low <= value <= high else WRONG)


class Findings(tuple[Finding, ...]):
    """Findings of an audit, as a table.

    Examples
    --------
    >>> Findings([judge("parameters", "9,904", 4_466_520), judge("MACs", "640", 640)])
    claim       printed   computed  verdict
    parameters    9,904  4,466,520  wrong
    MACs            640        640  right
    """

    __slots__ = ()

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
    """A report for the reader to audit.

    Parameters
    ----------
    claims : mapping of str to str or Exercise
        For each claim ``"right"``, ``"not decidable"``, or the exercise of finding the right figure.
    why : mapping of str to str
        What tells those claims that are not right.

    Raises
    ------
    ValueError
        If a claim is anything else, or a reason is missing.

    Examples
    --------
    >>> audit = Audit({"a": "right", "b": Exercise(1280)}, why={"b": "A multiply-accumulate is 2 FLOPs."})
    >>> audit.check({"a": "right", "b": "right"})
    Not yet. 1 of 2 claims settled.
    b: missed. A multiply-accumulate is 2 FLOPs.
    >>> audit.check({"a": "right", "b": "1,280"})
    Right. 2 of 2 claims settled.
    """

    def __init__(self, claims: Mapping[str, str | Exercise], why: Mapping[str, str]):
        for name, truth in claims.items():
            if truth not in (RIGHT, NOT_DECIDABLE) and not isinstance(truth, Exercise):
                raise ValueError(f"{name}: {truth!r} is neither 'right' nor 'not decidable' nor an Exercise")
            if truth != RIGHT and name not in why:
                raise ValueError(f"{name} is not right: say why in why={{{name!r}: ...}}")
        self._claims, self._why = dict(claims), dict(why)

    def __repr__(self):
        return f"An audit of {len(self._claims)} claims: write .check({{claim: your verdict, ...}})"

    def check(self, verdicts: Mapping[str, object]) -> Verdict:
        """Say which claims were missed, and which were blamed without cause.

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
        strangers = [str(name) for name in verdicts if name not in self._claims]
        lines = [f"{name}: there is no such claim." for name in strangers]
        lines += self._unsettled(verdicts)
        settled = len(self._claims) - len(lines) + len(strangers)
        message = "\n".join([f"{settled} of {len(self._claims)} claims settled.", *lines])
        return Verdict(not lines, message, self.form())

    def form(self) -> dict[str, object]:
        """All that the site needs to judge verdicts, like :meth:`flopbook.teaching.exercises.Exercise.form`."""
        claims = {name: truth.form() if isinstance(truth, Exercise) else truth for name, truth in self._claims.items()}
        return {"claims": claims, "why": self._why}

    def _unsettled(self, verdicts: Mapping[str, object]) -> Iterable[str]:
        for name, truth in self._claims.items():
            if problem := self._problem(name, truth, verdicts.get(name, "")):
                yield f"{name}: {problem}"

    def _problem(self, name: str, truth: str | Exercise, given: object) -> str:
        """What is missing from a verdict on a claim; nothing if it is settled."""
        said = given.strip().lower() if isinstance(given, str) else None
        if said == truth:
            return ""
        if said == "":
            return "not judged yet."
        if truth == RIGHT:
            return "blamed without cause; compute it again."
        if said in (RIGHT, NOT_DECIDABLE) or not isinstance(truth, Exercise):
            return f"missed. {self._why[name]}"
        if said == WRONG:
            return "wrong it is. Now give the right figure."
        verdict = truth.check(given)
        return "" if verdict.right else f"wrong it is, but not by that figure. {verdict.message}"
