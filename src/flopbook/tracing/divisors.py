"""Find what has to divide which letter, so that sizes that are equal at the example always are."""

from collections.abc import Collection, Iterator, Mapping, Set
from itertools import permutations
from typing import NamedTuple

import sympy


class Divisor(NamedTuple):
    """Name a letter, and what it may have to be a multiple of."""

    symbol: sympy.Symbol
    divisor: sympy.Expr


def divisors(
    difference: sympy.Expr, sizes: Mapping[sympy.Symbol, int], candidates: Collection[sympy.Symbol]
) -> Iterator[Divisor]:
    """Find what has to divide a candidate so that a difference is always zero.

    At the sizes it is zero.

    >>> from flopbook.predict import D, H
    >>> list(divisors(D - H * sympy.floor(D / H), {D: 8, H: 2}, [D, H]))
    [Divisor(symbol=D, divisor=H)]
    >>> next(divisors(sympy.floor(D / H) - 2 * sympy.floor(sympy.floor(D / H) / 2), {D: 8, H: 2}, [D, H]))
    Divisor(symbol=D, divisor=2*H)
    """
    for rounded in sorted(difference.atoms(sympy.floor, sympy.Mod), key=sympy.default_sort_key):
        ratio = sympy.together(sympy.cancel(sympy.Mul(rounded.args[0], *(1 / other for other in rounded.args[1:]))))
        divisor = sympy.fraction(ratio)[1]
        factor = divisor.subs(sizes)
        for symbol in sorted({*candidates} & ratio.free_symbols - divisor.free_symbols, key=str):
            if not factor.is_Integer or factor < 2 or sizes[symbol] % factor:
                continue
            quotient = sympy.Dummy(positive=True, integer=True)
            if any(size.subs(symbol, divisor * quotient) == 0 for size in difference.atoms(sympy.floor)):
                continue  # no size is zero
            rest = sympy.expand(difference.subs(symbol, divisor * quotient))
            if rest == 0:
                yield Divisor(symbol, divisor)
            else:
                further = divisors(rest, {**sizes, quotient: sizes[symbol] // factor}, [quotient])
                yield from (Divisor(symbol, divisor * inner.divisor) for inner in further)


def divisors_of_numbers(
    difference: sympy.Expr, sizes: Mapping[sympy.Symbol, int], held: Mapping[sympy.Symbol, int]
) -> Iterator[Divisor]:
    """Find what may have to divide a letter that is held, and stands in a quotient as a number.

    >>> from flopbook.predict import D, H
    >>> list(divisors_of_numbers(12 - H * sympy.floor(12 / H), {D: 12, H: 3}, {D: 12}))
    [Divisor(symbol=D, divisor=H)]
    """
    for rounded in sorted(difference.atoms(sympy.floor), key=sympy.default_sort_key):
        number, divisor = sympy.fraction(rounded.args[0])
        if number.is_Integer and divisor.is_Symbol:
            size = sizes[divisor]
            fitting = [s for s, n in held.items() if number % n == n % size == sizes[s] % size == 0 and size > 1]
            yield from (Divisor(s, divisor) for s in sorted(fitting, key=held.__getitem__, reverse=True))


def likely_divisors(
    symbol: sympy.Symbol,
    letters: Collection[sympy.Symbol],
    rounded: Set[sympy.Symbol],
    sizes: Mapping[sympy.Symbol, int],
) -> Iterator[Divisor]:
    """Find what may have to divide a letter, or what it may have to divide, the most likely first.

    >>> from flopbook.predict import D, H
    >>> [str(found.divisor) for found in likely_divisors(D, [D, H], set(), {D: 12, H: 6})]
    ['2', '3', '4', 'H', '6', '12']
    """
    pairs = [pair for pair in permutations(letters, 2) if symbol in pair]
    numbers = [(symbol, sympy.Integer(number)) for number in range(2, 17)]
    seen = [pair for pair in pairs if pair[0] in rounded]
    for dividend, divisor in dict.fromkeys((*seen, *numbers[:3], *pairs, *numbers[3:])):
        size = divisor.subs(sizes)
        if size > 1 and sizes[dividend] % size == 0:
            yield Divisor(dividend, divisor)
