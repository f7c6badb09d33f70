"""Write a calculator as HTML, with the results of its first sizes.

Between the HTML stand formulas, which the site sets, and a notebook shows as text.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from html import escape
from itertools import groupby
from typing import Any, NamedTuple

import sympy
from sympy import Expr

from flopbook.predict.axes import axis
from flopbook.teaching.calculators.javascript import javascript
from flopbook.teaching.output import NUMBER_READER, output, static
from flopbook.units import plain, si

#: MIME type of a calculator.
CALCULATOR = "application/vnd.flopbook.calculator+json"

#: The scripts of calculators, in the order in which they build on each other; the last one needs the functions, too.
SCRIPTS = ("exact.js", "sizes.js", "fields.js", "drawing.js", "panel.js")
STYLES = ("panel.css", "calculators.css")

#: Units that take a prefix; `exact.js` has the same, and the same times.
_WITH_PREFIX = {"FLOPs", "FLOP/s", "B", "s"}
_HOUR = 3600
_TIMES = {"years": 8766 * _HOUR, "days": 24 * _HOUR, "hours": _HOUR}  # in seconds; two years or days at least
_TOO_MUCH = (
    "This does not fit. Give each device fewer samples, keep fewer activations and run their part again (checkpoints), "
    "or spread parameters, gradients and optimizer state over the devices (sharding)."
)


@dataclass(frozen=True)
class Size:
    """Describes a size that the reader sets.

    The slider goes from `low` to `high`; with `only`, other numbers are refused. `divides` names another size that
    this one has to divide, as groups of heads divide the heads.
    """

    name: str
    meaning: str
    low: int
    high: int
    start: int
    only: bool = False
    divides: str = ""

    @property
    def letter(self) -> str:
        """Return the name as LaTeX, or nothing if the name is a word."""
        stem, digits = self.name[0], self.name[1:]
        return (f"{stem}_{{{digits}}}" if digits else stem) if not digits or digits.isdigit() else ""


@dataclass(frozen=True)
class Row:
    """Describes one result; a boxed formula is also shown with its numbers.

    Rows of one `part` that follow each other have a table of their own, with the part's name above, if it has one.
    """

    title: str
    unit: str
    expression: Expr
    boxed: bool = False
    part: str = ""

    def value(self, sizes: Mapping[str, int]) -> Fraction:
        """Compute the exact value, also at a size of 0, which `evaluate` refuses."""
        number = self.expression.xreplace({axis(name): sympy.Integer(size) for name, size in sizes.items()})
        return Fraction(int(number.p), int(number.q))


@dataclass(frozen=True, repr=False)
class Calculator:
    """Shows what follows from sizes that a reader sets, made by :func:`flopbook.teaching.calculator`.

    Attributes
    ----------
    choices : mapping
        For each label its options, and for each option the sizes that it sets.
    curve : str
        The size along the axis of the curve; without a curve if empty.
    bars : bool
        Whether rows of one unit are compared by bars.
    watched : sequence of str
        Titles of the rows that stay in sight while a reader turns the sizes.
    reader : str
        The function that reads a ``config.json`` as one more option of `Model`, as `reader` of
        :class:`flopbook.predict.plans.Plan`: on the site, where the page has a Python.
    """

    name: str
    title: str
    rows: Sequence[Row]
    sizes: Sequence[Size]
    choices: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    curve: str = ""
    bars: bool = False
    watched: Sequence[str] = ()
    reader: str = ""

    @property
    def start(self) -> dict[str, int]:
        """Return the first sizes: those of each choice's first option, and those with fields."""
        chosen = {
            name: size for options in self.choices.values() for name, size in next(iter(options.values())).items()
        }
        return chosen | {size.name: size.start for size in self.sizes}

    @cached_property
    def script(self) -> str:
        """Return the JavaScript that puts the calculator's functions where `panel.js` looks for them.

        Raises
        ------
        UnprintableError
            If an expression has no exact value.
        """
        names = sorted(self.start)
        functions = [
            f"    // {row.title}: {row.expression}\n    {javascript(row.expression, names)}," for row in self.rows
        ]
        head = f"window.calculators ??= {{}};\nwindow.calculators[{self.name!r}] = {{\n  names: {names!r},"
        return "\n".join([head, "  rows: ({ ceiling, floor, max, min }) => [", *functions, "  ],", "};", ""])

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} = {size:,}" for name, size in self.start.items())
        values = ((row, row.value(self.start)) for row in self.rows)
        return "\n".join(
            [f"At {sizes}", *(f"  {row.title}: {long(value)} {row.unit}".rstrip() for row, value in values)]
        )

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        alone = "".join(part.html if isinstance(part, Math) else part for part in panel(self, on_site=False))
        *first, last = map(static, (*NUMBER_READER, *SCRIPTS))
        return {
            CALCULATOR: {"name": self.name, "panel": list(panel(self, on_site=True)), "script": self.script},
            "text/html": output(alone, STYLES, [*first, self.script, last]),
            "text/plain": repr(self),
        }


class Math(NamedTuple):
    """Holds a formula as LaTeX, and as HTML for where nothing sets it."""

    latex: str
    html: str


def panel(calculator: Calculator, on_site: bool) -> Iterator[str | Math]:
    """Yield the parts of a calculator; on the site, the address keeps what is set, and the page reads a file."""
    name, title = escape(calculator.name), escape(calculator.title)
    kept = " data-address" if on_site else ""
    copy = '<button type="button" class="copy-link">Copy link</button> ' if on_site else ""
    yield (
        f'<div class="panel calculator" id="calculator-{name}" data-name="{name}" role="group" '
        f'aria-label="Calculator: {title}"{kept}>'
        "<noscript><p>With JavaScript you can turn the sizes here.</p></noscript>"
        f'{_watched(calculator)}<div class="turned">'
    )
    for label, options in calculator.choices.items():
        yield _choice(label, options)
        if label == "Model" and calculator.reader and on_site:
            yield _own_model(calculator)
    yield '<div class="sizes">'
    for size in calculator.sizes:
        yield from _size(calculator.name, size)
    yield "</div></div>"
    yield from _put_in(calculator)
    yield f'<div class="given">{_results(calculator)}{_too_much(calculator)}</div>'
    yield (
        (f'<div class="curve" data-over="{calculator.curve}"></div>' if calculator.curve else "")
        + '<p class="buttons"><button type="button" class="reset">Reset</button> '
        f'{copy}<span class="told" role="status"></span></p>'
        '<p class="said unseen" role="status"></p></div>'
    )


def _watched(calculator: Calculator) -> str:
    """Write the results that stay in sight, for the eye alone: they stand among the others, too."""
    values = {row.title: short(row.value(calculator.start), row.unit) for row in calculator.rows}
    told = "".join(f'<span>{title} <b data-row="{title}">{values[title]}</b></span>' for title in calculator.watched)
    return f'<p class="watched" aria-hidden="true">{told}</p>' if told else ""


def _too_much(calculator: Calculator) -> str:
    """Write what to do where a device's memory is too small."""
    shares = [row.value(calculator.start) for row in calculator.rows if row.unit == "of memory"]
    hidden = "" if any(share > 1 for share in shares) else " hidden"
    return f'<p class="too-much wrong"{hidden}>{_TOO_MUCH}</p>' if shares else ""


def _choice(label: str, options: Mapping[str, Mapping[str, int]]) -> str:
    written = {
        option: json.dumps({name: str(size) for name, size in sizes.items()}) for option, sizes in options.items()
    }
    listed = "".join(f"<option data-sizes='{sizes}'>{escape(option)}</option>" for option, sizes in written.items())
    return (
        f'<p class="choice"><label>{escape(label)} <select data-choice="{escape(label.lower())}">{listed}'
        '<option value="" hidden>other</option></select></label></p>'
    )


def _own_model(calculator: Calculator) -> str:
    """Write a field for a model's ``config.json``, which `own-model.js` has read."""
    identity = f"calculator-{calculator.name}-own"
    return (
        f'<details class="own" data-reader="{escape(calculator.reader)}"><summary>Your own config.json</summary>'
        f'<label for="{identity}">Paste a config.json, or drop the file here</label>'
        f'<textarea id="{identity}" rows="6" spellcheck="false" autocapitalize="off" autocomplete="off" '
        f'aria-describedby="{identity}-how"></textarea>'
        f'<p id="{identity}-how">The page reads it with a Python of its own, which it loads once. Nothing of it is '
        "sent anywhere, and the page’s address does not keep it.</p>"
        '<p><button type="button">Use it</button> <span class="read" role="status"></span> '
        '<span class="progress"></span></p></details>'
    )


def _size(calculator: str, size: Size) -> Iterator[str | Math]:
    identity = f"calculator-{calculator}-{size.name}"
    whole = f' data-divides="{size.divides}"' if size.divides else ""
    meaning = f"{size.meaning}, a divisor of {size.divides}" if size.divides else size.meaning
    spoken = f"{size.name if size.letter else ''} {meaning}".strip()
    yield (
        f'<div class="size" data-size="{size.name}" data-low="{size.low}" data-high="{size.high}"'
        f"{' data-only' * size.only}{whole}>"
        f'<label for="{identity}">'
    )
    if size.letter:
        yield Math(size.letter, f"<i>{size.name[0]}</i><sub>{size.name[1:]}</sub>")
    yield (
        f' {escape(meaning)}</label><input type="range" min="0" max="1" aria-label="Slider: {escape(spoken)}">'
        f'<input type="text" autocomplete="off" id="{identity}" value="{size.start:,}" '
        f'aria-describedby="{identity}-wrong"><p class="wrong" id="{identity}-wrong" hidden></p></div>'
    )


def _put_in(calculator: Calculator) -> Iterator[str | Math]:
    """Write each boxed formula with its numbers; where there are several, with its title."""
    boxed = [row for row in calculator.rows if row.boxed]
    names = {
        axis(name): rf"{{\htmlData{{put={name}}}{{\text{{{size:,}}}}}}}" for name, size in calculator.start.items()
    }
    for row in boxed:
        title = f"{escape(row.title)}: " if len(boxed) > 1 else ""
        yield f'<p class="put-in" data-text="{escape(str(row.expression))}">{title}'
        latex = sympy.latex(row.expression, symbol_names=names, mul_symbol="times")
        if r"\frac" not in latex:  # KaTeX breaks no line between `left` and `right`
            latex = latex.replace(r"\left(", "(").replace(r"\right)", ")")
        yield Math(rf"\displaystyle {latex}", "")
        yield '<span class="as-text"></span></p>'


def _results(calculator: Calculator) -> str:
    bar = '<td class="bar"><svg aria-hidden="true"><rect height="100%"></rect></svg></td>' if calculator.bars else ""
    corner = "<td></td>" if calculator.bars else ""
    head = f'<thead><tr><td></td><th scope="col">about</th><th scope="col">exactly</th>{corner}</tr></thead>'
    written = []
    for part, rows in groupby(calculator.rows, lambda row: row.part):
        caption = f"<caption>{escape(part)}</caption>" if part else ""
        body = "".join(
            f'<tr data-unit="{row.unit}"><th scope="row">{escape(row.title)}</th>'
            f'<td class="short">{short(value, row.unit)}</td><td class="long">{_breakable(long(value))}</td>{bar}</tr>'
            for row, value in ((row, row.value(calculator.start)) for row in rows)
        )
        written.append(f'<table class="results">{caption}{head}<tbody>{body}</tbody></table>')
    return "".join(written)


def _breakable(number: str) -> str:
    """Let a long number go on in the next line after a comma."""
    return number.replace(",", ",<wbr>")


def short(value: Fraction, unit: str) -> str:
    """Write three digits with a prefix, or without one as `flopbook.units.plain` does.

    A time is given in the unit that one can feel; what is held of a device's memory, in percent of it.

    >>> short(Fraction(196_608), "FLOPs"), short(Fraction(4, 3), ""), short(Fraction(2469, 2), "hours")
    ('197 kFLOPs', '1.33', '51.4 days')
    >>> short(Fraction(1, 80), "hours"), short(Fraction(1, 80), "device-hours"), short(Fraction(10**9), "s")
    ('45 s', '45 device-seconds', '31.7 years')
    >>> short(Fraction(1, 3), "of memory"), short(Fraction(35, 16), "of memory")
    ('33.3% of it', '2.19 × too much')
    """
    if unit == "of memory":
        return f"{plain(value)} × too much" if value > 1 else f"{plain(100 * value)}% of it"
    if unit in ("s", "hours"):
        value, unit = _felt(value if unit == "s" else value * _HOUR)
    if unit == "device-hours" and 0 < value < 1:
        value, unit = value * _HOUR, "device-seconds"
    if unit in _WITH_PREFIX:
        text = si(int(value) if value.denominator == 1 else float(value), unit)
    else:
        text = f"{plain(value)} {unit}".strip()
    return f"−{text[1:]}" if value < 0 else text


def _felt(seconds: Fraction) -> tuple[Fraction, str]:
    """Choose the unit of a time."""
    for unit, length in _TIMES.items():
        if seconds >= length * (1 if unit == "hours" else 2):
            return seconds / length, unit
    return seconds, "s"


def long(value: Fraction) -> str:
    """Write every digit of a whole number, or a fraction unless it is long.

    >>> long(Fraction(196_608)), long(Fraction(4, 3))
    ('196,608', '4/3')
    """
    if value.denominator >= 1_000_000:
        return ""
    text = f"{value.numerator:,}" + (f"/{value.denominator:,}" if value.denominator > 1 else "")
    return text.replace("-", "−")
