"""Make a calculator of boxed formulas or plans, and of what an author writes about their sizes."""

import re
from collections.abc import Iterator, Mapping, Sequence

from flopbook import devices
from flopbook.predict.axes import MEANING, axis
from flopbook.predict.plans import GIGA, Plan
from flopbook.teaching.calculators.html import Calculator, Row, Size
from flopbook.teaching.formulas import Formula

_NUMBER = r"\d[\d_]*"
_LINE = re.compile(
    rf"(?P<name>\w+)(,\s*(?P<meaning>[^:]+))?"
    rf"(:\s*((?P<low>{_NUMBER})\s+to\s+(?P<high>{_NUMBER})(?P<only>\s+only)?)?(,?\s*at\s+(?P<start>{_NUMBER}))?"
    r"(,?\s*a divisor of\s+(?P<divides>\w+))?)?"
)
_EXAMPLE = "write it like 'B, the batch: 1 to 65536, at 64'"

Choices = dict[str, Mapping[str, Mapping[str, int]]]


class CalculatorError(ValueError):
    """Refuses a calculator."""


def calculator(
    *boxes: Formula | Plan,
    sizes: Sequence[str] = (),
    unit: str = "FLOPs",
    time: str = "",
    curve: str = "",
    bars: bool = False,
) -> Calculator:
    """Let a reader set the sizes of formulas, and see the results to the last digit.

    Parameters
    ----------
    *boxes : Formula or Plan
        What :func:`flopbook.teaching.formulas.boxed` or :func:`flopbook.predict.plans.training_plan` returned; each
        of several plans has a table of its own.
    sizes : sequence of str
        A line for a size, such as ``"B, the batch: 1 to 65536, at 64"``: its meaning, the range of its slider and
        its start. Each may be left out. ``1 to 3 only`` takes no other number, ``1 to 128, a divisor of H`` no
        other than a divisor. Sizes without a line come with the meanings of the book's letters.
    unit : str
        Of a boxed formula: ``"FLOPs"``, ``"B"`` for bytes, any word, or nothing for a ratio.
    time : str
        A device, whose time at its dense peak is shown too; the reader can choose another.
    curve : str
        The size along the axis of a curve; without a curve if empty.
    bars : bool
        Whether rows of one unit are compared by bars.

    Raises
    ------
    CalculatorError
        If a line is not a size, or names one that is in no formula.
    UnprintableError
        If an expression has no exact value.

    Examples
    --------
    >>> from flopbook.predict import B, D
    >>> from flopbook.teaching import boxed, calculator
    >>> box = boxed("rows", "Some rows", 2 * B * D, when="each has D terms", sizes=dict(B=4, D=3), counted=24)
    >>> calculator(box, sizes=["B, rows: 1 to 100, at 10"], curve="B")
    At B = 10, D = 3
      Some rows: 60 FLOPs
    """
    if not boxes:
        raise CalculatorError("a calculator needs a formula: give what boxed(...) or training_plan(...) returned")
    plans = [box for box in boxes if isinstance(box, Plan)]
    rows = [row for box in boxes for row in _rows(box, unit, box.title if len(plans) > 1 else "")]
    choices: Choices = {label: dict(known) for plan in plans for label, known in plan.choices.items()}
    letters = _letters(rows)
    added = []
    if time:
        rows += [Row(f"{row.title}, time at the peak", "s", row.expression / (GIGA * axis("peak"))) for row in rows]
        choices["Device"] = _devices(time)
        added = ["peak, dense peak in GFLOP/s: 1 to 10_000_000"]
    chosen = {name for known in choices.values() for option in known.values() for name in option}
    written = {found[0] for line in sizes if (found := re.match(r"\w+", line.strip()))}
    start = {name: size for known in choices.values() for name, size in next(iter(known.values())).items()}
    start |= {name: size for box in boxes for name, size in getattr(box, "sizes", {}).items()}
    fields = list(_sizes([*sizes, *sorted(letters - chosen - written), *added], start, _letters(rows)))
    if curve and curve not in (turned := [size.name for size in fields]):
        raise CalculatorError(f"curve={curve!r} is not a size of this calculator: those are {', '.join(turned)}")
    watched = [title for plan in plans for title in plan.watched if title in plan.rows]
    reader = next((plan.reader for plan in plans if plan.reader), "")
    calculator = Calculator(boxes[0].name, boxes[0].title, rows, fields, choices, curve, bars, watched, reader)
    _check_divisors(calculator)
    _ = calculator.script  # so that an expression without an exact value fails here
    return calculator


def _letters(rows: Sequence[Row]) -> set[str]:
    return {symbol.name for row in rows for symbol in row.expression.free_symbols}


def _rows(box: Formula | Plan, unit: str, part: str) -> Iterator[Row]:
    """Yield the formula of a box, or the formulas of a plan with their units, as a part of the results."""
    if isinstance(box, Formula):
        yield Row(box.title, unit, box.expression, boxed=True)
    else:
        for title, (its_unit, expression) in box.rows.items():
            yield Row(title, its_unit, expression, part=part)


def _devices(first: str) -> dict[str, dict[str, int]]:
    peaks = {name: {"peak": round(peak / GIGA)} for name, peak in devices.peaks().items()}
    if first not in peaks:
        raise CalculatorError(f"time={first!r} is not a device whose peak is known: those are {'; '.join(peaks)}")
    return {first: peaks[first], **peaks}


def _sizes(lines: Sequence[str], start: Mapping[str, int], used: set[str]) -> Iterator[Size]:
    seen: set[str] = set()
    for line in map(str.strip, lines):
        if not line:
            continue
        try:
            size = _size(line, start)
            if size.name not in used:
                raise CalculatorError(f"{size.name} is in no formula here: those have {', '.join(sorted(used))}")
            if size.name in seen:
                raise CalculatorError(f"{size.name} is set above already: leave one of the two out")
        except CalculatorError as error:
            raise CalculatorError(f"{line!r}: {error}") from None
        seen.add(size.name)
        yield size


def _size(line: str, start: Mapping[str, int]) -> Size:
    parts = _LINE.fullmatch(line)
    if not parts:
        raise CalculatorError(f"this is not a size: {_EXAMPLE}")
    name, meaning = parts["name"], parts["meaning"] or ""
    at = int(parts["start"] or start.get(name, 0))
    if not at:
        raise CalculatorError(f"{name} has no value to start from: {_EXAMPLE}")
    low, high = int(parts["low"] or 1), int(parts["high"] or 1 << max(16, at.bit_length() + 4))
    if not 1 <= low <= at <= high or low == high:
        raise CalculatorError(f"{name} starts at {at}, which is not between {low} and {high}: {_EXAMPLE}")
    return Size(
        name, meaning.strip() or MEANING.get(name, ""), low, high, at, bool(parts["only"]), parts["divides"] or ""
    )


def _check_divisors(calculator: Calculator) -> None:
    start = calculator.start
    for size in calculator.sizes:
        if size.divides and size.divides not in start:
            raise CalculatorError(
                f"{size.divides!r}, which {size.name} should divide, is not a size here: those are {', '.join(start)}"
            )
        if size.divides and start[size.divides] % start[size.name]:
            whole = f"{size.divides} = {start[size.divides]}"
            raise CalculatorError(f"{size.name} starts at {start[size.name]}, which does not divide {whole}")
