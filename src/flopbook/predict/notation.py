"""Read the notation of the field: ``x[B,D] @ w[D,K] -> y[B,K]``.

A tensor is a name and its axes. A letter is one axis; equal letters meet: an
axis that the two operands share and the result lacks is summed over, one that
all three share is a batch axis.
"""

import re
from dataclasses import dataclass

from flopbook.checks import quoted
from flopbook.predict.axes import axis


class NotationError(ValueError):
    """Refuses a text that is not a product or a tensor, and quotes it."""


_TENSOR = re.compile(r"\s*([A-Za-z_]\w*(?:\.\w+)*)\s*\[([^\[\]]*)\]\s*")
_FORMS = {"@": "x[B,D] @ w[D,K] -> y[B,K]", "*": "x[B,C,X] * w[K,C,R] -> y[B,K,P]"}


@dataclass(frozen=True)
class Tensor:
    """Names a tensor and its axes.

    Parameters
    ----------
    name : str
        Such as ``x``, ``w1`` or ``w1.grad``.
    axes : tuple of str
        One name for each dimension, all different.

    Raises
    ------
    NotationError
        If an axis occurs twice or has no proper name.

    Examples
    --------
    >>> Tensor("x", ("B", "D"))
    x[B,D]
    >>> Tensor("x", ("B", "D")).grad
    x.grad[B,D]
    """

    name: str
    axes: tuple[str, ...]

    def __post_init__(self):
        if not (
            isinstance(self.name, str) and isinstance(self.axes, tuple) and all(isinstance(a, str) for a in self.axes)
        ):
            raise NotationError(
                f"{quoted(self.name)} and {quoted(self.axes)} are not a name and axes: write Tensor('x', ('B', 'D'))"
            )
        for name in self.axes:
            try:
                axis(name)
            except ValueError as error:
                raise NotationError(f"{quoted(self)}: {error}") from None
        if len(set(self.axes)) < len(self.axes):
            raise NotationError(
                f"{self} names an axis twice: give a square two letters, and evaluate both with the same size"
            )

    @classmethod
    def parse(cls, text: str) -> "Tensor":
        """Read a tensor written as ``name[A,B,...]``; a single number has no axes, ``name[]``.

        Raises
        ------
        NotationError
            If `text` has another form, or is not text.

        Examples
        --------
        >>> Tensor.parse("w[D, K]").axes
        ('D', 'K')
        """
        match = _TENSOR.fullmatch(text) if isinstance(text, str) else None
        if not match:
            raise NotationError(f"{quoted(text)} is not a tensor: write it like 'x[B,D]'")
        name, axes = match.groups()
        return cls(name, tuple(part.strip() for part in axes.split(",")) if axes.strip() else ())

    @property
    def grad(self) -> "Tensor":
        """Return the gradient of the loss with respect to this tensor: same axes."""
        return Tensor(f"{self.name}.grad", self.axes)

    def __repr__(self):
        return f"{self.name}[{','.join(self.axes)}]"

    __str__ = __repr__


def tensors(text: str) -> list[Tensor]:
    """Read several tensors, with blanks between them and none inside.

    Examples
    --------
    >>> tensors("w[D,K] b[K]")
    [w[D,K], b[K]]
    """
    return [Tensor.parse(part) for part in text.split()]


def parse_product(text: str, operator: str) -> tuple[Tensor, Tensor, Tensor]:
    """Read the two operands and the result of ``left OPERATOR right -> result``.

    Parameters
    ----------
    text : str
        The product as the reader wrote it.
    operator : str
        The sign between the operands: ``@``, or ``*`` for a convolution.

    Raises
    ------
    NotationError
        If `text` has another form, or names a tensor that cannot be read.

    Examples
    --------
    >>> parse_product("x[B,D] @ w[D,K] -> y[B,K]", "@")
    (x[B,D], w[D,K], y[B,K])
    """
    if not isinstance(text, str):
        raise NotationError(f"{quoted(text)} is not text: write it like {_FORMS[operator]!r}")
    operands, arrow, result = text.partition("->")
    parts = operands.split(operator)
    if not arrow or len(parts) != 2 or "->" in result:
        raise NotationError(f"{quoted(text)} is not one product: write it like {_FORMS[operator]!r}")
    try:
        left, right, output = (Tensor.parse(part.strip()) for part in (*parts, result))
    except NotationError as error:
        raise NotationError(f"{quoted(text)}: {error}") from None
    return left, right, output
