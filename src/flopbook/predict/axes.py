"""Define the letters of the book: a SymPy symbol for each axis.

A letter is the size of an axis: a positive integer. Any other name, such as
``H1`` or ``D_in``, is an axis too; :func:`axis` gives its symbol.
"""

import re
from functools import cache

import sympy

from flopbook.checks import quoted

#: The letters that the book uses throughout, and what each is the size of.
MEANING = {
    "B": "batch: the samples of one step (for a layer that acts on each token, the tokens)",
    "C": "classes; in a convolution, the channels that enter it",
    "D": "the width of a layer's input; in a transformer, the width of the model",
    "E": "the width of one attention head",
    "F": "the hidden width of a feed-forward block",
    "G": "the heads of keys and values, which several heads of queries may share",
    "H": "the width of a hidden layer; in attention, the number of heads",
    "K": "the width of a layer's output",
    "L": "layers",
    "N": "parameters",
    "S": "the positions that attention looks at (keys and values)",
    "T": "the positions of a sequence (in attention: the queries)",
    "V": "vocabulary: the different tokens there are",
}

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def axis(name: str) -> sympy.Symbol:
    """Return the symbol of the axis called `name`, a positive integer.

    Two axes with the same name are the same symbol, so expressions made in
    different places combine.

    Parameters
    ----------
    name : str
        A letter, or a letter followed by letters, digits and underscores.

    Raises
    ------
    ValueError
        If `name` is not of that form.

    Examples
    --------
    >>> axis("B") == B
    True
    >>> axis("H1") * B
    B*H1
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{quoted(name)} is not the name of an axis: write a letter, or a letter followed by "
            "letters, digits and underscores, such as B or H1"
        )
    return _symbol(name)


@cache
def _symbol(name: str) -> sympy.Symbol:
    """Make a symbol once: SymPy checks its assumptions each time, and models ask for thousands of axes."""
    return sympy.Symbol(name, positive=True, integer=True)


B, C, D, E, F, G, H, K, L, N, S, T, V = (axis(letter) for letter in MEANING)

__all__ = ["MEANING", "axis", *MEANING]  # noqa: PLE0604  (the letters are text)
