"""The predicting side: training steps and the FLOPs they take.

A step is written down as products, not measured; its backward pass follows
from them. Nothing here imports PyTorch.
"""

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import sympy

from flopbook.predict.axes import axis
from flopbook.predict.notation import NotationError, Tensor
from flopbook.predict.products import Product

__all__ = ["TrainingStep", "evaluate", "flops", "training_step"]


@dataclass(frozen=True)
class TrainingStep:
    """Forward and backward pass of one step, made by :func:`training_step`.

    Attributes
    ----------
    forward, backward : tuple of Product
        The products of each pass, in the order in which they run.
    """

    forward: tuple[Product, ...]
    backward: tuple[Product, ...]

    @property
    def flops(self) -> sympy.Expr:
        """FLOPs of both passes."""
        return flops(self.forward) + flops(self.backward)

    def __repr__(self):
        lines = []
        for name in ("forward", "backward"):
            products = getattr(self, name)
            lines.append(f"{name}: {flops(products)} FLOPs")
            lines += [f"  {product}" for product in products]
        return "\n".join(lines)


_STEP = "write training_step(matmul('x[B,D] @ w[D,K] -> y[B,K]'), ...), and training_step(*products) for a list"


def _names(given: str | Iterable[str]) -> set[str]:
    if not isinstance(given, Iterable):
        raise TypeError(f"{given!r} are no names: write data='x', the name that the products use")
    names = {given} if isinstance(given, str) else set(given)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{name!r} is no name: write data='x', the name that the products use")
    return names


def _inputs(products: tuple[Product, ...]) -> set[str]:
    """Names of the tensors that no product makes; check that names are used consistently."""
    seen: dict[str, Tensor] = {}
    made: set[str] = set()
    for product in products:
        if product.output.name in seen.keys() | {product.left.name, product.right.name}:
            raise NotationError(
                f"'{product}' makes {product.output.name}, which was made or used before: give "
                "every result its own name, and write the products in the order they run in"
            )
        made.add(product.output.name)
        for tensor in (product.left, product.right, product.output):
            first = seen.setdefault(tensor.name, tensor)
            if set(first.axes) != set(tensor.axes):
                raise NotationError(
                    f"'{product}' writes {tensor}, which was {first} before: give one tensor "
                    "the same axes everywhere, or another name"
                )
    return seen.keys() - made


def training_step(*products: Product, data: str | Iterable[str] = (), frozen: str | Iterable[str] = ()) -> TrainingStep:
    """Training step of the `products`: their backward pass follows.

    A gradient is needed exactly where a trainable tensor lies behind it.
    Every tensor that no product makes is trainable, unless it is `data` or
    `frozen`. A tensor that is used twice gets a product for each use; adding
    the two gradients up is pointwise and not counted here.

    Parameters
    ----------
    *products : Product
        The forward pass, in the order in which it runs.
    data : str or iterable of str
        Inputs that nobody needs the gradient of.
    frozen : str or iterable of str
        Weights that are not trained.

    Returns
    -------
    TrainingStep
        With the products of both passes.

    Raises
    ------
    TypeError
        If something other than products is given, or nothing.
    ValueError
        If `data` or `frozen` names a tensor that is no input, or the products
        don't fit together.

    Notes
    -----
    Derived in the lectures *Derive the gradients* and *Why backward costs
    twice, and when it does not*.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> h = matmul("x[B,D] @ w1[D,H] -> h[B,H]")
    >>> y = matmul("h[B,H] @ w2[H,K] -> y[B,K]")
    >>> training_step(h, y, data="x")
    forward: 2*B*D*H + 2*B*H*K FLOPs
      x[B,D] @ w1[D,H] -> h[B,H]
      h[B,H] @ w2[H,K] -> y[B,K]
    backward: 2*B*D*H + 4*B*H*K FLOPs
      h[B,H] @ y.grad[B,K] -> w2.grad[H,K]
      y.grad[B,K] @ w2[H,K] -> h.grad[B,H]
      x[B,D] @ h.grad[B,H] -> w1.grad[D,H]
    """
    if not products:
        raise TypeError(f"no products are given: {_STEP}")
    for product in products:
        if not isinstance(product, Product):
            raise TypeError(f"{product!r} is no product: {_STEP}")
    inputs = _inputs(products)
    without = _names(data) | _names(frozen)
    for name in sorted(without - inputs):
        raise ValueError(
            f"{name!r} is given as data or frozen, but is no input of the products: "
            f"the inputs are {', '.join(sorted(inputs))}"
        )
    needed = inputs - without
    for product in products:
        if {product.left.name, product.right.name} & needed:
            needed.add(product.output.name)
    backward = [
        gradient
        for product in reversed(products)
        if product.output.name in needed
        for operand, gradient in zip((product.right, product.left), product.gradients, strict=True)
        if operand.name in needed
    ]
    return TrainingStep(products, tuple(backward))


def flops(products: Product | TrainingStep | Iterable[Product]) -> sympy.Expr:
    """FLOPs of one product, of several together, or of a training step.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> step = training_step(matmul("x[B,D] @ w[D,K] -> y[B,K]"), data="x")
    >>> flops(step.forward), flops(step)
    (2*B*D*K, 4*B*D*K)
    """
    if isinstance(products, (Product, TrainingStep)):
        return products.flops
    if isinstance(products, str):
        raise TypeError(f"{products!r} is text: write flops(matmul({products!r}))")
    return sympy.Add(*(product.flops for product in products))


def evaluate(expression: sympy.Expr | int, sizes: Mapping[str, int]) -> int | Fraction:
    """Exact value of an `expression` at given sizes.

    Parameters
    ----------
    expression : sympy.Expr
        Made of axes.
    sizes : mapping of str to int
        The size of each axis; others may be there too.

    Returns
    -------
    int or Fraction
        An integer wherever the value is one, a fraction for a ratio.

    Raises
    ------
    TypeError
        If a product or step is given instead of its ``flops``, or `sizes` is
        no mapping.
    ValueError
        If a size is missing, or is not a positive integer.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> y = matmul("x[B,D] @ w[D,K] -> y[B,K]")
    >>> evaluate(y.flops, dict(B=16384, D=32768, K=8192))
    8796093022208
    """
    if isinstance(expression, (Product, TrainingStep)):
        raise TypeError("a product or step is no expression: write evaluate(step.flops, sizes)")
    if not isinstance(sizes, Mapping):
        raise TypeError(f"{sizes!r} are no sizes: write sizes=dict(B=64, ...)")
    expression = sympy.sympify(expression)
    letters = sorted(symbol.name for symbol in expression.free_symbols)
    for name, size in sizes.items():
        if isinstance(size, bool) or not hasattr(size, "__index__") or operator.index(size) < 1:
            raise ValueError(f"{name}={size!r} is not a size: write a whole number of at least 1")
    missing = [name for name in letters if name not in sizes]
    if missing:
        wanted = ", ".join(f"{name}=..." for name in letters)
        raise ValueError(f"{expression} needs a size for {', '.join(missing)}: write sizes=dict({wanted})")
    # all at once: halfway SymPy simplifies, and takes Max(2, 2/(D*K)) for 2/(D*K)
    value = expression.xreplace({axis(name): sympy.Integer(operator.index(sizes[name])) for name in letters})
    if not value.is_Rational:
        raise ValueError(f"{expression} has no exact value at {dict(sizes)}: it gives {value}")
    return int(value) if value.is_Integer else Fraction(int(value.p), int(value.q))
