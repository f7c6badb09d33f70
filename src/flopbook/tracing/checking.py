"""Check formulas against the model at other sizes.

PyTorch and the model ask whether sizes are equal, or 1, or large. The example
sizes answered. A run on plain numbers shows what the model does where the
answer is another one.
"""

import math
from collections.abc import Iterator

import sympy

from flopbook.predict.axes import axis
from flopbook.tracing.costs import Costs, summed
from flopbook.tracing.errors import FormulaError, NoPolynomialError, remedy
from flopbook.tracing.letters import Assumption, NeedsPlainNumber, in_words
from flopbook.tracing.search import Point, Search

#: How many calls more than a sample the check of an example size may run.
_CHEAP = 2_000


class Check:
    """Check formulas that a search found.

    Parameters
    ----------
    search : Search
        Knows the model and its letters.
    costs : Costs
        The formulas.
    """

    def __init__(self, search: Search, costs: Costs):
        self._search, self._formulas = search, summed(costs)
        base = {symbol: nodes[0] for symbol, nodes in search.nodes.items()}
        self._usual: Point = {**search.examples, **base}
        self._asked = list(search.letters.assumptions)
        self._rounded = dict(search.letters.rounded)

    def conditions(self) -> tuple[sympy.Basic, ...]:
        """Return the conditions under which the formulas hold.

        Raises
        ------
        FormulaError
            If the formulas are wrong where the model takes another way.
        NeedsPlainNumber
            If a letter has to be sampled.
        """
        for point in self._further():
            if self.agrees(point) is False:
                self._blame(point)
        asked = (self._other_way(asked) for asked in self._asked)
        return (
            *(sympy.Eq(sympy.Mod(*sympy.fraction(meaning)), 0) for meaning in self._multiples()),
            *(condition for condition in asked if condition is not None),
            *self._at_one(),
        )

    def agrees(self, point: Point) -> bool | None:
        """Tell whether a run on plain numbers gives what the formulas give; None where the model refuses them."""
        if not (run := self._search.attempt(point)):
            return None
        measured = summed(run.costs)
        return all(
            self._formulas.get(phase, sympy.S.Zero).subs(point) == measured.get(phase, 0)
            for phase in self._formulas.keys() | measured.keys()
        )

    def _further(self) -> Iterator[Point]:
        """Choose sizes to check at: the examples if they ran, and sizes that no run used.

        A sampled letter has its example size there, if a run with that size is cheap.
        """
        nodes = self._search.nodes
        if known := self._search.has_run(self._search.examples):
            yield self._search.examples
        beyond = {symbol: values[-1] + 2 for symbol, values in nodes.items()}
        examples = {
            s: max(self._search.examples[s], size) if not known and self._is_cheap(s) else size
            for s, size in beyond.items()
        }
        for sampled in (examples, beyond):
            for further in (lambda n: 3 * n + 2, lambda n: n + 1, lambda n: max(1, n - 1)):
                point = {symbol: sampled.get(symbol, further(n)) for symbol, n in self._usual.items()}
                if self.agrees(point) is not None:
                    yield point
                    return

    def _is_cheap(self, symbol: sympy.Symbol) -> bool:
        further = self._search.examples[symbol] - self._search.nodes[symbol][-1]
        return self._search.growth[symbol] * further <= _CHEAP

    def _blame(self, point: Point) -> None:
        """Say why the formulas are wrong at some sizes, or sample what may be the reason."""
        for asked in self._asked:
            if not self._same_way(asked, point):
                raise self._branches(asked)
        for symbol, line in self._rounded.items():
            if symbol not in self._search.sampled:
                raise NeedsPlainNumber(symbol, line)
        sizes = ", ".join(f"{name}={self._search.meaning[name].subs(point)}" for name in self._search.meaning)
        message = f"the FLOPs are not a formula of the letters: at {sizes} the model gives others than the formula"
        if not self._search.sampled:
            raise FormulaError(message)
        raise NoPolynomialError(f"{message}. {remedy(*self._search.sampled)}", [*self._search.sampled])

    def _same_way(self, asked: Assumption, point: Point) -> bool:
        return bool(asked.condition.subs(point)) == asked.holds

    def _branches(self, asked: Assumption) -> FormulaError:
        condition = in_words(self._search.in_letters(asked.condition))
        return FormulaError(f"{asked.line} asks whether {condition}, and the FLOPs depend on the answer")

    def _other_way(self, asked: Assumption) -> sympy.Basic | None:
        """Return a question of the model as a condition if the model refuses the sizes with another answer."""
        for point in self._points(asked.condition):
            if self._same_way(asked, point):
                continue
            agrees = self.agrees(point)
            if agrees is False:
                raise self._branches(asked)
            return asked.condition if agrees is None and asked.holds else None
        return None

    def _points(self, condition: sympy.Basic) -> Iterator[Point]:
        """Choose sizes at which the answer may be another one: small, large, and where both sides are equal."""
        for symbol in sorted(condition.free_symbols, key=str):
            others = condition.subs({other: size for other, size in self._usual.items() if other != symbol})
            meet = [side for side in _meeting(others, symbol) if side.is_Rational]
            near = {max(1, math.floor(side) + step) for side in meet for step in (-1, 0, 1)}
            for size in (1, *sorted(near), 16 * self._usual[symbol], 1024 * self._usual[symbol]):
                yield {**self._usual, symbol: size}

    def _multiples(self) -> Iterator[sympy.Expr]:
        """Return the quotients that have to be whole numbers. A guessed one was whole in every run."""
        for quotient, meaning in self._search.quotients.items():
            guessed = quotient in self._search.guessed
            if guessed and sympy.fraction(meaning)[1].is_number and self._ones([quotient]) is False:
                raise FormulaError(
                    f"the FLOPs are not a formula of {meaning}: where it is 1, the model gives others than the formula"
                )
            if guessed or not self._without_remainder(quotient):
                yield meaning

    def _without_remainder(self, quotient: sympy.Symbol) -> bool:
        """Tell whether the formulas also hold where a division leaves a remainder."""
        letters = {axis(name): meaning.subs(self._usual) for name, meaning in self._search.meaning.items()}
        divisor = sympy.fraction(self._search.quotients[quotient])[1].subs(letters)
        return bool(self.agrees({**self._usual, quotient: self._usual[quotient] + sympy.S.One / divisor}))

    def _at_one(self) -> list[sympy.Basic]:
        """Return which letters must not be 1, or not all of them: there PyTorch may take another way."""
        symbols = list(self._usual)
        if self._ones(symbols) is None:
            symbols = [symbol for symbol in symbols if self._ones([symbol]) is not None]
        return self._not_together(symbols)

    def _ones(self, symbols: list[sympy.Symbol]) -> bool | None:
        return self.agrees({**self._usual, **dict.fromkeys(symbols, 1)})

    def _not_together(self, symbols: list[sympy.Symbol]) -> list[sympy.Basic]:
        if self._ones(symbols) is not False:
            return []
        smallest = symbols
        for symbol in symbols:
            fewer = [other for other in smallest if other != symbol]
            if fewer and self._ones(fewer) is False:
                smallest = fewer
        found = {sympy.Mul(*smallest) > 1: None}
        for symbol in smallest:
            found |= dict.fromkeys(self._not_together([other for other in symbols if other != symbol]))
        return list(found)


def _meeting(condition: sympy.Basic, symbol: sympy.Symbol) -> list[sympy.Expr]:
    """Solve for the sizes at which both sides are equal; return nothing where SymPy finds none."""
    try:
        return sympy.solve(condition.lhs - condition.rhs, symbol)
    except (AttributeError, NotImplementedError):
        return []
