"""Derive the backward pass and the FLOPs of a training step from its products."""

from collections.abc import Iterable
from dataclasses import dataclass

import sympy

from flopbook.checks import quoted
from flopbook.predict.notation import NotationError, Tensor
from flopbook.predict.products import Product

__all__ = ["TrainingStep", "flops", "training_step"]


@dataclass(frozen=True)
class TrainingStep:
    """Holds forward and backward pass of one step, made by :func:`training_step`.

    Attributes
    ----------
    forward, backward : tuple of Product
        The products of each pass, in the order in which they run.
    data, frozen : frozenset of str
        Names of the inputs that get no gradient: those that nobody needs it of, and the weights that are not trained.
    """

    forward: tuple[Product, ...]
    backward: tuple[Product, ...]
    data: frozenset[str] = frozenset()
    frozen: frozenset[str] = frozenset()

    @property
    def flops(self) -> sympy.Expr:
        """Add up the FLOPs of both passes."""
        return flops(self.forward) + flops(self.backward)

    @property
    def trained(self) -> tuple[Tensor, ...]:
        """Return the inputs that are trained: neither data nor frozen."""
        return tuple(tensor for name, tensor in _inputs(self.forward).items() if name not in self.data | self.frozen)

    @property
    def untrained(self) -> tuple[Tensor, ...]:
        """Return the weights that are frozen."""
        return tuple(tensor for name, tensor in _inputs(self.forward).items() if name in self.frozen)

    def __repr__(self):
        lines = []
        for name in ("forward", "backward"):
            products = getattr(self, name)
            lines.append(f"{name}: {flops(products)} FLOPs")
            lines += [f"  {product}" for product in products]
        return "\n".join(lines)


_STEP = "write training_step(matmul('x[B,D] @ w[D,K] -> y[B,K]'), ...), and training_step(*products) for a list"


def _names(given: str | Iterable[str]) -> frozenset[str]:
    names = (given,) if isinstance(given, str) or not isinstance(given, Iterable) else tuple(given)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{quoted(name)} is not a name: write data='x', the name that the products use")
    return frozenset(names)


def _inputs(products: tuple[Product, ...]) -> dict[str, Tensor]:
    """Return the tensors that no product makes, by name."""
    made = {product.output.name for product in products}
    used = (tensor for product in products for tensor in (product.left, product.right))
    return {tensor.name: tensor for tensor in used if tensor.name not in made}


def _check_names(products: tuple[Product, ...]) -> None:
    """Refuse products that use one name for two tensors; several may make one result, which is their sum."""
    seen: dict[str, Tensor] = {}
    used: set[str] = set()
    for number, product in enumerate(products):
        used |= {product.left.name, product.right.name}
        if product.output.name in used or product in products[:number]:
            raise NotationError(
                f"'{product}' makes {product.output.name}, which was made or used before: give "
                "every result its own name, and write the products in the order they run in"
            )
        for tensor in (product.left, product.right, product.output):
            first = seen.setdefault(tensor.name, tensor)
            if set(first.axes) != set(tensor.axes):
                raise NotationError(
                    f"'{product}' writes {tensor}, which was {first} before: give one tensor "
                    "the same axes everywhere, or another name"
                )


def training_step(*products: Product, data: str | Iterable[str] = (), frozen: str | Iterable[str] = ()) -> TrainingStep:
    """Derive the backward pass of the `products`.

    A gradient is needed exactly where it leads to a trainable tensor.
    Every tensor that no product makes is trainable, unless it is `data` or
    `frozen`. A tensor that is used twice gets a product for each use; adding
    the two gradients up is pointwise and not counted here. A result that two
    products make is their sum, which is pointwise, too.

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
        If `data` or `frozen` names a tensor that is not an input, or the products
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
            raise TypeError(f"{quoted(product)} is not a product: {_STEP}")
    _check_names(products)
    inputs = _inputs(products).keys()
    data, frozen = _names(data), _names(frozen)
    for name in sorted((data | frozen) - inputs):
        raise ValueError(
            f"{quoted(name)} is given as data or frozen, but is not an input of the products: "
            f"give one of {', '.join(sorted(inputs))}"
        )
    needed = set(inputs) - data - frozen
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
    return TrainingStep(products, tuple(backward), data, frozen)


def flops(products: Product | TrainingStep | Iterable[Product]) -> sympy.Expr:
    """Add up the FLOPs of one product, of several together, or of a training step.

    Raises
    ------
    TypeError
        If something else is given.

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
        raise TypeError(f"{quoted(products)} is text: write flops(matmul({quoted(products)}))")
    given = list(products) if isinstance(products, Iterable) else [products]
    for product in given:
        if not isinstance(product, Product):
            raise TypeError(f"{quoted(product)} is not a product: write flops(matmul('x[B,D] @ w[D,K] -> y[B,K]'))")
    return sympy.Add(*(product.flops for product in given))
