"""Say which keys queries meet: all of them, those before them, a window, a chunk."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import sympy
from sympy import Expr

from flopbook.predict.axes import T
from flopbook.predict.models.attention import around, causal, chunks, window

__all__ = ["CAUSAL", "EVERY", "Mask", "causal_among", "every", "in_chunks", "in_window", "in_window_around"]


@dataclass(frozen=True)
class Mask:
    """Says which keys the queries of a sequence meet.

    Attributes
    ----------
    words : str
        Such as "causal".
    pairs : sympy.Expr
        Of a query and a key that it meets.
    last : sympy.Expr
        The keys that the last query meets: those that a model which reads on must keep.
    reach : sympy.Expr
        The most keys that a query meets.
    queries, keys : sympy.Expr
        The tokens that ask, and those that are asked: T and T, where a sequence asks itself.
    """

    words: str
    pairs: Expr
    last: Expr
    reach: Expr
    queries: Expr = T
    keys: Expr = T

    def at(self, sizes: Mapping[Expr, Expr]) -> "Mask":
        """Put sizes in the place of letters, such as that of a window.

        Examples
        --------
        >>> from flopbook.predict import axis
        >>> in_window(axis("W")).at({axis("W"): 4}).reach
        4
        """
        known = (sympy.sympify(getattr(self, each.name)).subs(sizes) for each in fields(self)[1:])
        return Mask(self.words, *known)


def causal_among(tokens: Expr) -> Mask:
    """Let each of some tokens meet itself and all before it.

    Examples
    --------
    >>> from flopbook.predict import axis
    >>> causal_among(axis("U")).pairs
    U*(U + 1)/2
    """
    return Mask("causal", causal(tokens), tokens, tokens, tokens, tokens)


def every(queries: Expr, keys: Expr) -> Mask:
    """Let each query meet every key.

    Examples
    --------
    >>> from flopbook.predict import T, axis
    >>> every(axis("U"), T).pairs
    T*U
    """
    return Mask("every", queries * keys, keys, keys, queries, keys)


#: Each token meets itself and all before it.
CAUSAL = causal_among(T)
#: Each token meets all T.
EVERY = every(T, T)


def in_window(width: Expr) -> Mask:
    """Let each token meet itself and the `width` - 1 before it.

    Examples
    --------
    >>> from flopbook.predict import axis
    >>> in_window(axis("W")).last
    Min(T, W)
    """
    return Mask("window", window(T, width), sympy.Min(width, T), width)


def in_window_around(width: Expr) -> Mask:
    """Let each token meet itself and those near it, `width` in all: (`width` - 1) / 2 on either side.

    Examples
    --------
    >>> from flopbook.predict import axis, evaluate
    >>> [evaluate(in_window_around(axis("W")).pairs, dict(T=5, W=width)) for width in (1, 3, 99)]
    [5, 13, 25]
    """
    reach = (width - 1) / 2
    return Mask("window on both sides", around(T, reach), sympy.Min(reach + 1, T), width)


def in_chunks(size: Expr) -> Mask:
    """Let each token meet itself and those before it in its chunk.

    Examples
    --------
    >>> from flopbook.predict import axis, evaluate
    >>> [evaluate(in_chunks(axis("M")).last, dict(T=tokens, M=4)) for tokens in (3, 4, 5)]
    [3, 4, 1]
    """
    return Mask("chunks", chunks(T, size), T - size * (sympy.ceiling(T / size) - 1), size)
