"""Find formulas: decide which letters stay letters, and sample the others."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from copy import copy

import sympy

from flopbook.predict.axes import axis
from flopbook.tracing.costs import Costs, fit, interpolate, summed
from flopbook.tracing.divisors import Divisor, likely_divisors
from flopbook.tracing.errors import (
    DATA,
    FormulaError,
    NoPolynomialError,
    TooLongError,
    depends_on_data,
    no_polynomial,
    one_size,
    refused_sizes,
    too_long,
)
from flopbook.tracing.letters import Letters, NeedsPlainNumber
from flopbook.tracing.repeats import Repeats
from flopbook.tracing.run import Run, letters_of
from flopbook.tracing.sizes import size_of
from flopbook.tracing.source_lines import Line, raising
from flopbook.tracing.work import TooMuchWork, Work

#: The highest degree of a polynomial in one letter.
_HIGHEST = 6

Point = Mapping[sympy.Symbol, int]


class Search:
    """Run a model until its formula is known.

    Parameters
    ----------
    build, inputs : callable
        Make the model and its inputs.
    sizes : mapping of str to int
        An example size of every letter.
    work : Work
        Bounds how many operators run.

    Attributes
    ----------
    examples : dict of Symbol to int
        The letters that the search works with, and their example sizes: where
        one letter has to divide another one, the quotient is a letter.
    quotients : dict of Symbol to Expr
        The letters that are quotients, in the reader's own letters.
    guessed : set of Symbol
        The quotient that no question of the model led to, if there is one.
    sampled : dict of Symbol to Line
        The letters that the model takes for plain numbers, and where.
    nodes : dict of Symbol to list of int
        The sizes at which each of these was sampled.
    growth : dict of Symbol to float
        Operators that a run takes more for each further one of these.
    """

    def __init__(self, build: Callable, inputs: Callable, sizes: Mapping[str, int], work: Work):
        self._build, self._inputs, self._work = build, inputs, work
        self.meaning: dict[str, sympy.Expr] = {name: axis(name) for name in sizes}
        self.examples = {axis(name): size for name, size in sizes.items()}
        self.quotients: dict[sympy.Symbol, sympy.Expr] = {}
        self.guessed: set[sympy.Symbol] = set()
        self.sampled: dict[sympy.Symbol, Line] = {}
        self._plain: dict[frozenset, Run] = {}  # runs without letters: they stay true whatever is sampled
        self._start()

    def _start(self) -> None:
        self.letters = Letters(self.examples)
        self.nodes: dict[sympy.Symbol, list[int]] = {}
        self.growth: dict[sympy.Symbol, float] = {}
        self._merged: set[str] = set()
        self._repeats = Repeats(self._work)
        self._runs: dict[frozenset, Run] = {}

    def run(self, held: Point) -> Run:
        """Run the model; letters that are not held stay letters."""
        key = frozenset(held.items())
        runs = self._plain if self.examples.keys() <= held.keys() else self._runs
        self.letters.held = held
        if key not in runs:
            sizes = {name: size_of(meaning.subs(held), self.letters) for name, meaning in self.meaning.items()}
            try:
                with self._work.one_run():
                    runs[key] = Run(self._build, self._inputs, sizes, self._repeats)
            except TooMuchWork:
                raise too_long(self._work.most, held, self.sampled) from None
        return runs[key]

    def attempt(self, held: Point) -> Run | None:
        """Run the model, if it does not refuse these sizes."""
        try:
            return self.run(held)
        except TooLongError:
            raise
        except Exception:  # whatever a model raises at sizes that it was not made for
            return None

    def has_run(self, held: Point) -> bool:
        """Tell whether the model was run at these plain numbers before."""
        return frozenset(held.items()) in self._plain

    def costs(self) -> Costs:
        """Return the formulas, in the letters that the search works with."""
        while True:
            try:
                return self._grid({}, self._sample_lines())
            except NeedsPlainNumber as found:
                self.sample({found.symbol: found.line})
            except FormulaError:
                raise
            except Exception as error:  # the model refuses to run with letters
                if self.letters.divisors:
                    self._divide(self.letters.divisors[-1])
                else:
                    self.sample(self._refused(error))

    def sample(self, lines: Mapping[sympy.Symbol, Line]) -> None:
        """Sample these letters from here on."""
        self.sampled |= lines
        self._start()

    def with_quotient(self, error: NoPolynomialError) -> Iterator["Search"]:
        """Make searches with a quotient as a letter, such as D/2 or D/H in place of D.

        Where a model rounds half of a size, the FLOPs are a polynomial of the
        half, but not of the size: a layer that every second block has, heads
        that are modules, a width of 8/3. No question of the model tells which
        quotient, since plain numbers were rounded: so likely ones are tried.
        """
        whole = [axis(name) for name in letters_of(self._build, "build") if self.meaning.get(name) == axis(name)]
        for symbol in error.symbols:
            for found in likely_divisors(symbol, whole, error.rounded, self.examples):
                other = copy(self)
                other.examples, other.quotients, other.sampled = {**self.examples}, {**self.quotients}, {}
                other.guessed = {other._divide(found)}
                yield other

    def _divide(self, found: Divisor) -> sympy.Symbol:
        meaning = self.quotients.pop(found.symbol, found.symbol) / self.in_letters(found.divisor)
        quotient = sympy.Symbol(str(meaning), positive=True, integer=True)
        self.quotients[quotient] = meaning
        self.sampled = {symbol: line for symbol, line in self.sampled.items() if symbol != found.symbol}
        self.examples[quotient] = self.examples.pop(found.symbol) // int(found.divisor.subs(self.examples))
        self.meaning = {n: m.subs(found.symbol, found.divisor * quotient) for n, m in self.meaning.items()}
        self.guessed = {quotient if symbol == found.symbol else symbol for symbol in self.guessed}
        self._start()
        return quotient

    @property
    def way(self) -> str:
        """Say how the formulas were found."""
        stayed = [name for name, meaning in self.meaning.items() if not meaning.free_symbols & self.sampled.keys()]
        told = [f"{', '.join(stayed)} stayed {'letters' if len(stayed) > 1 else 'a letter'}."] if stayed else []
        for symbol, line in self.sampled.items():
            values = ", ".join(map(str, self.nodes[symbol]))
            told.append(f"{symbol} was sampled, at {values} and others, since {line} takes it for a plain number.")
        return " ".join(told)

    @property
    def uncounted(self) -> dict[str, int]:
        """Return the calls of operators without a rule, in the first run."""
        return next(iter((self._runs | self._plain).values())).uncounted

    def idle(self, costs: Costs) -> list[str]:
        """Return the letters that no formula, no input and no question has."""
        used = {*self.letters.asked, *self.sampled}.union(*(cost.free_symbols for cost in costs.values()))
        used |= {symbol for run in self._runs.values() for symbol in run.given}
        return [name for name, meaning in self.meaning.items() if not meaning.free_symbols & used]

    def in_letters(self, expression: sympy.Basic) -> sympy.Basic:
        """Write an expression in the reader's own letters."""
        return expression.xreplace(self.quotients)

    def _refused(self, error: Exception) -> dict[sympy.Symbol, Line]:
        """Return the letters that the model refuses, though it runs with plain numbers."""
        line, held = raising(error, self._build), self.letters.held
        if isinstance(error, DATA):
            raise depends_on_data(line) from error
        try:
            self.run(self.examples)
        except Exception as own:  # what the reader's own sizes raise is not because of the letters
            own.add_note(f"raised by {raising(own, self._build)}, at the example sizes")
            raise
        point = self._runs_at(list(self.examples))
        refused = {}
        for symbol in (rest := [symbol for symbol in self.examples if symbol not in self.sampled]):
            try:
                self.run({other: size for other, size in point.items() if other != symbol})
            except NeedsPlainNumber as found:
                refused[symbol] = found.line
            except TooLongError:
                raise
            except Exception as found:
                refused[symbol] = raising(found, self._build)
        if not rest:
            raise refused_sizes(held, [symbol for symbol, size in held.items() if size != point[symbol]], line)
        return refused or dict.fromkeys(rest, line)

    def _runs_at(self, symbols: list[sympy.Symbol]) -> dict[sympy.Symbol, int]:
        """Return small sizes of some letters at which the model runs, or else their examples."""
        for small in (2, 4) if symbols else ():
            if self.attempt(point := dict.fromkeys(symbols, small)):
                return point
        self.run(point := {symbol: self.examples[symbol] for symbol in symbols})
        return point

    def _sample_lines(self) -> list[sympy.Symbol]:
        """Find for each sampled letter the sizes that determine its polynomial, while the others are held."""
        symbols = list(self.sampled)
        base = self._runs_at(symbols)
        for symbol in symbols:
            self.nodes[symbol] = self._sample_line(symbol, base)
        return symbols

    def _sample_line(self, symbol: sympy.Symbol, base: Point) -> list[int]:
        example, values, samples, calls = self.examples[symbol], [], [], []
        multiples = range(example, 5 * _HIGHEST * example, example)
        for value in dict.fromkeys((*range(2, 4 + 2 * _HIGHEST), *multiples)):
            if not (run := self.attempt({**base, symbol: value})):
                continue
            values.append(value)
            samples.append(run.costs)
            calls.append(run.calls)
            totals = [summed(sample) for sample in samples]
            phases = {phase for total in totals for phase in total}
            degrees = (interpolate(symbol, values, [total.get(p, sympy.S.Zero) for total in totals])[1] for p in phases)
            if len(values) > 2 and all(degree <= len(values) - 3 for degree in degrees):
                self.growth[symbol] = (calls[-1] - calls[-2]) / (values[-1] - values[-2])
                return values[: self._settle(symbol, values, samples) + 1]
            if len(values) == _HIGHEST + 3:
                break
        roomier = {other: max(size, min(self.examples[other], _HIGHEST + 2)) for other, size in base.items()}
        if len(values) < _HIGHEST + 3 and roomier != base:  # other letters may leave no room for this one
            with suppress(NoPolynomialError):
                return self._sample_line(symbol, roomier)
        raise self._no_polynomial(symbol, values, samples)

    def _settle(self, symbol: sympy.Symbol, values: list[int], samples: list[Costs]) -> int:
        """Merge the cells that are not polynomials for themselves, as the last layer's; return the highest degree."""
        degrees, highest = fit(symbol, values, samples, self._merged)[1], len(values) - 3
        while unsettled := [cell for cell, degree in degrees.items() if degree > highest]:
            operators = self._merged | {cell.operator for cell in unsettled}
            degrees = fit(symbol, values, samples, operators)[1]
            if max(degrees.values()) <= highest:
                self._merged = operators
            else:
                self._merged |= {cell.module for cell in unsettled}
                degrees = fit(symbol, values, samples, self._merged)[1]
        return max(degrees.values(), default=0)

    def _no_polynomial(self, symbol: sympy.Symbol, values: list[int], samples: list[Costs]) -> NoPolynomialError:
        line = self.sampled[symbol]
        if len(values) == 1:
            name = next(name for name, meaning in self.meaning.items() if symbol in meaning.free_symbols)
            return one_size(symbol, name, self.meaning[name].subs({**self.examples, symbol: values[0]}), line)
        totals = {value: sympy.Add(*sample.values()) for value, sample in zip(values, samples, strict=True)}
        return no_polynomial(symbol, totals, self.examples, line)

    def _grid(self, held: Point, rest: list[sympy.Symbol]) -> Costs:
        if not rest:
            return self.run(held).costs
        symbol, *rest = rest
        values = self.nodes[symbol]
        samples = [self._grid({**held, symbol: value}, rest) for value in values]
        return fit(symbol, values, samples, self._merged)[0]
