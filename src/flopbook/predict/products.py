"""Predict the FLOPs of a product: one contraction of two tensors.

``2`` FLOPs for each combination of a product's letters: one multiplication
and one addition.
"""

from dataclasses import dataclass, replace

import sympy

from flopbook.checks import quoted
from flopbook.predict.axes import axis
from flopbook.predict.notation import NotationError, Tensor, parse_product


@dataclass(frozen=True)
class Product:
    """Describes one contraction of two tensors, made by :func:`matmul` or :func:`conv`.

    Attributes
    ----------
    left, right, output : Tensor
        The operands and the result.
    sign : str
        ``@`` for a matrix product, ``*`` for a convolution.
    axes : tuple of str
        The letters whose sizes are multiplied: one multiply-accumulate for
        each combination of them.
    """

    left: Tensor
    right: Tensor
    output: Tensor
    sign: str
    axes: tuple[str, ...]

    @property
    def macs(self) -> sympy.Expr:
        """Return the multiply-accumulates: the product of the sizes of all letters."""
        return sympy.prod(axis(name) for name in self.axes)

    @property
    def flops(self) -> sympy.Expr:
        """Return the FLOPs: two for each multiply-accumulate."""
        return 2 * self.macs

    @property
    def gradients(self) -> tuple["Product", "Product"]:
        """Return the products that give ``right.grad`` and ``left.grad``.

        Each runs over the same letters as the product itself, so each costs
        the same.
        """
        grad = self.output.grad
        return (
            replace(self, left=self.left, right=grad, output=self.right.grad),
            replace(self, left=grad, right=self.right, output=self.left.grad),
        )

    def __repr__(self):
        return f"{self.left} {self.sign} {self.right} -> {self.output}"

    __str__ = __repr__


def _union(*tensors: Tensor) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for tensor in tensors for name in tensor.axes))


def matmul(text: str) -> Product:
    """Predict a matrix product, ``x[B,D] @ w[D,K] -> y[B,K]``: 2BDK FLOPs.

    Letters say it all: one that only the operands share is summed over, one
    that all three share is a batch axis. So the same notation carries any
    contraction of two tensors, and the FLOPs are 2 x the product of all
    letters. The first addition of each sum is counted although there is
    nothing yet to add to: exactly it would be BK(2D - 1).

    Parameters
    ----------
    text : str
        Two tensors and their result.

    Raises
    ------
    NotationError
        A `ValueError` that quotes `text`: another form, an axis that occurs
        twice in a tensor, one that occurs in one tensor only, or no axis that
        is summed over.

    Notes
    -----
    Derived in the lecture *Count a matrix product*.

    Examples
    --------
    >>> y = matmul("x[B,D] @ w[D,K] -> y[B,K]")
    >>> y.flops
    2*B*D*K
    >>> matmul("q[B,H,T,E] @ k[B,H,S,E] -> s[B,H,T,S]").flops
    2*B*E*H*S*T
    """
    left, right, output = parse_product(text, "@")
    tensors = left, right, output
    for name in _union(*tensors):
        owners = [tensor for tensor in tensors if name in tensor.axes]
        if len(owners) == 1:
            raise NotationError(
                f"{quoted(text)}: the axis {name} occurs in {owners[0]} only: "
                "name it in a second tensor too, or leave it out"
            )
    axes = _union(*tensors)
    if set(axes) == set(output.axes):
        raise NotationError(
            f"{quoted(text)} sums over nothing and is pointwise: name an axis in both operands that the result lacks"
        )
    return Product(left, right, output, "@", axes)


def conv(text: str) -> Product:
    """Predict a convolution, ``x[B,C,X] * w[K,C,R] -> y[B,K,P]``: 2BKPCR FLOPs.

    Every element of the result is a sum over the weight's remaining letters,
    so the FLOPs are 2 x the letters of the result and of the weight together;
    the input's own sizes do not occur. Stride, padding and dilation only decide how
    large the result is. Kernel taps that fall on padding count. A group is a letter that all three
    tensors share.

    Parameters
    ----------
    text : str
        Input, weight and result, each with as many spatial axes of its own.

    Raises
    ------
    NotationError
        A `ValueError` that quotes `text`: another form, or spatial axes that
        don't come in threes.

    Examples
    --------
    >>> conv("x[B,C,X] * w[K,C,R] -> y[B,K,P]").flops
    2*B*C*K*P*R
    """
    left, right, output = parse_product(text, "*")
    tensors = left, right, output
    own = [[name for name in tensor.axes if sum(name in other.axes for other in tensors) == 1] for tensor in tensors]
    if len({len(names) for names in own}) > 1:
        listed = ", ".join(f"{t} has {', '.join(n) or 'none'}" for t, n in zip(tensors, own, strict=True))
        raise NotationError(
            f"{quoted(text)}: each tensor needs as many spatial axes of its own as the others, "
            f"but {listed}: write it like 'x[B,C,X] * w[K,C,R] -> y[B,K,P]'"
        )
    return Product(left, right, output, "*", _union(output, right))
