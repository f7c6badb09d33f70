"""Make a calculator of boxed formulas and of what an author writes about their sizes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sympy

from flopbook.predict import devices
from flopbook.predict.axes import axis
from flopbook.predict.plans import GIGA
from flopsite.calculators.html import Calculator, Row, Size
from flopsite.calculators.javascript import UnprintableError, javascript

_NUMBER = r"\d[\d_]*"
_LINE = re.compile(
    rf"(?P<name>\w+)(,\s*(?P<meaning>[^:]+))?"
    rf"(:\s*((?P<low>{_NUMBER})\s+to\s+(?P<high>{_NUMBER})(?P<only>\s+only)?)?(,?\s*at\s+(?P<start>{_NUMBER}))?"
    r"(,?\s*a divisor of\s+(?P<divides>\w+))?)?"
)
_EXAMPLE = "write it like 'B, the batch: 1 to 65536, at 64'"

Choices = dict[str, Mapping[str, Mapping[str, int]]]


class CalculatorError(ValueError):
    """Refuses a `{calculator}`; `line` counts its body's lines from 0, or is None."""

    def __init__(self, message: str, line: int | None = None):
        super().__init__(message)
        self.line = line


def read(
    boxes: Mapping[str, Mapping[str, Any]],
    options: Mapping[str, Any],
    lines: Sequence[str],
    meanings: Mapping[str, str],
) -> Calculator:
    """Read a calculator from its boxed formulas, and the directive's options and lines."""
    rows = [row for box in boxes.values() for row in _rows(box, options.get("unit", "FLOPs"))]
    choices: Choices = {label: dict(known) for box in boxes.values() for label, known in box.get("choices", [])}
    letters = _letters(rows)
    added = []
    if "time" in options:
        rows += [Row(f"{row.title}, time at the peak", "s", row.expression / (GIGA * axis("peak"))) for row in rows]
        choices["Device"] = _devices(options["time"])
        added = ["peak, dense peak in GFLOP/s: 1 to 10_000_000"]
    chosen = {name for known in choices.values() for option in known.values() for name in option}
    written = {found[0] for line in lines if (found := re.match(r"\w+", line.strip()))}
    start = {name: size for known in choices.values() for name, size in next(iter(known.values())).items()}
    start |= {name: size for box in boxes.values() for name, size in box.get("start", {}).items()}
    sizes = list(_sizes([*lines, *sorted(letters - chosen - written), *added], start, meanings, _letters(rows)))
    curve = options.get("curve", "")
    if curve and curve not in (turned := [size.name for size in sizes]):
        raise CalculatorError(f":curve: {curve!r} is not a size of this calculator: those are {', '.join(turned)}")
    name, box = next(iter(boxes.items()))
    calculator = Calculator(name, box["title"], rows, sizes, choices, curve, "bars" in options)
    _check_divisors(calculator)
    return calculator


def _letters(rows: Sequence[Row]) -> set[str]:
    return {symbol.name for row in rows for symbol in row.expression.free_symbols}


def script(calculator: Calculator) -> str:
    """Print the JavaScript that puts the calculator's functions where `static/panel.js` looks for them."""
    names = sorted(calculator.start)
    functions = []
    for row in calculator.rows:
        try:
            functions.append(f"    // {row.title}: {row.expression}\n    {javascript(row.expression, names)},")
        except UnprintableError as error:
            raise CalculatorError(str(error)) from None
    head = f"window.calculators[{calculator.name!r}] = {{\n  names: {names!r},"
    return "\n".join([head, "  rows: ({ ceiling, floor, max, min }) => [", *functions, "  ],", "};", ""])


def _rows(box: Mapping[str, Any], unit: str) -> Iterator[Row]:
    """Yield the formula of a box, or the formulas of a plan with their units."""
    if "rows" not in box:
        yield Row(box["title"], unit, sympy.sympify(box["expression"]), boxed=True)
    for title, its_unit, expression, _ in box.get("rows", []):
        yield Row(title, its_unit, sympy.sympify(expression))


def _devices(first: str) -> dict[str, dict[str, int]]:
    peaks = {name: {"peak": round(peak / GIGA)} for name, peak in devices.peaks().items()}
    if first not in peaks:
        raise CalculatorError(f":time: {first!r} is not a device whose peak is known: those are {'; '.join(peaks)}")
    return {first: peaks[first], **peaks}


def _sizes(
    lines: Sequence[str], start: Mapping[str, int], meanings: Mapping[str, str], used: set[str]
) -> Iterator[Size]:
    seen: set[str] = set()
    for number, line in enumerate(map(str.strip, lines)):
        if not line:
            continue
        try:
            size = _size(line, start, meanings)
            if size.name not in used:
                raise CalculatorError(f"{size.name} is in no formula here: those have {', '.join(sorted(used))}")
            if size.name in seen:
                raise CalculatorError(f"{size.name} is set above already: leave one of the two out")
        except CalculatorError as error:
            raise CalculatorError(f"{line!r}: {error}", number) from None
        seen.add(size.name)
        yield size


def _size(line: str, start: Mapping[str, int], meanings: Mapping[str, str]) -> Size:
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
        name, meaning.strip() or meanings.get(name, ""), low, high, at, bool(parts["only"]), parts["divides"] or ""
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
