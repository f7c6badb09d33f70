"""Derive what further derivatives run: tangents, adjoints, and what is put together from the two.

Every product has two operands, and so two arrows in each direction: a tangent is sent forward through it, or an adjoint
is sent back. A derivative of a derivative does the same with the products of the first one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sympy import Expr

from flopbook.checks import one_of, quoted
from flopbook.predict.notation import Tensor
from flopbook.predict.products import Product
from flopbook.predict.steps import TrainingStep, flops, training_step
from flopbook.predict.values import number

__all__ = [
    "ORDERS", "adjoints", "gradient_penalty", "hessian_vector", "jacobian", "jvp", "per_sample", "tangents",
    "zeroth_order",
]  # fmt: skip

#: The orders in which a Hessian-vector product can be taken; the derivative that is taken last is named first.
ORDERS = ("reverse over reverse", "forward over reverse", "reverse over forward")


def tangents(
    products: Iterable[Product],
    of: str | Iterable[str],
    *,
    follows: Mapping[str, str] | None = None,
    letter: str = "",
    zeros: bool = True,
) -> tuple[Product, ...]:
    """Derive the products that send tangents forward.

    The *tangent* of a tensor, ``x.dot``, says how fast the tensor changes in a direction. Each operand of a product
    that changes sends one on: ``x.dot @ w`` and ``x @ w.dot`` are both added to ``y.dot``.

    Parameters
    ----------
    products : iterable of Product
        In the order in which they run.
    of : str or iterable of str
        The inputs that change.
    follows : mapping of str to str
        What a pointwise function makes of which tensor: of ``{"y.grad": "y"}``, the gradient changes with ``y``.
    letter : str
        The number of directions, if there are several at once.
    zeros : bool
        Whether the tangent of an operand that does not change is multiplied, as PyTorch does where the other operand
        changes. It is a single tensor of zeros, whatever the number of directions.

    Raises
    ------
    TypeError, ValueError
        If something else than products is given, or no product takes an input named in `of`.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> tangents([matmul("x[B,D] @ w[D,K] -> y[B,K]")], ["w"], zeros=False)
    (x[B,D] @ w.dot[D,K] -> y.dot[B,K],)
    >>> tangents([matmul("x[B,D] @ w[D,K] -> y[B,K]")], ["x"], zeros=False, letter="P")
    (x.dot[P,B,D] @ w[D,K] -> y.dot[P,B,K],)
    """
    known, changing = _checked(products, of, letter)
    follows, derived = follows or {}, []
    for product in known:
        operands = dict(left=product.left, right=product.right)
        changing |= {tensor.name for tensor in operands.values() if follows.get(tensor.name) in changing}
        if not changing & {tensor.name for tensor in operands.values()}:
            continue
        for place, operand in operands.items():
            if operand.name in changing:
                derived.append(_sent(product, {place: operand, "output": product.output}, "dot", letter))
            elif zeros:
                derived.append(_sent(product, {place: operand, "output": product.output}, "dot", ""))
        changing.add(product.output.name)
    return tuple(derived)


def adjoints(
    products: Iterable[Product],
    of: str | Iterable[str],
    wanted: str | Iterable[str],
    *,
    follows: Mapping[str, str] | None = None,
    letter: str = "",
) -> tuple[Product, ...]:
    """Derive the products that send adjoints back.

    The *adjoint* of a tensor, ``x.bar``, says how fast one number changes with each of the tensor's. A product sends
    its result's adjoint back to each operand that depends on something wanted. For the loss, it is the gradient.

    Parameters
    ----------
    products : iterable of Product
        In the order in which they run; those of a backward pass may be among them.
    of : str or iterable of str
        The results whose adjoint is given.
    wanted : str or iterable of str
        The inputs whose adjoint is asked for.
    follows : mapping of str to str
        What a pointwise function makes of which tensor: of ``{"y.grad": "y"}``, the gradient depends on ``y``.
    letter : str
        The number of adjoints, if several are sent back at once.

    Raises
    ------
    TypeError, ValueError
        If something else than products is given, no product makes a result named in `of`, or none takes an input named
        in `wanted`.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> adjoints([matmul("x[B,D] @ w[D,K] -> y[B,K]")], ["y"], ["w"])
    (x[B,D] @ y.bar[B,K] -> w.bar[D,K],)
    """
    known, depends = _checked(products, wanted, letter)
    follows, derived = follows or {}, []
    for product in known:
        operands = {product.left.name, product.right.name}
        depends |= {name for name in operands if follows.get(name) in depends}
        if operands & depends:
            depends.add(product.output.name)
    reached = {of} if isinstance(of, str) else set(of)
    made = {product.output.name for product in known}
    for name in reached - made:
        raise ValueError(f"{quoted(name)} is not a result of the products: give some of {', '.join(sorted(made))}")
    reached |= {follows[name] for name in reached if name in follows}
    for product in reversed(known):
        if product.output.name not in reached:
            continue
        for place, operand in (("right", product.right), ("left", product.left)):
            if operand.name in depends:
                derived.append(_sent(product, {place: product.output, "output": operand}, "bar", letter))
                reached |= {operand.name, follows.get(operand.name, operand.name)}
    return tuple(derived)


def jvp(step: TrainingStep, *, letter: str = "", zeros: bool = True) -> TrainingStep:
    """Derive a Jacobian-vector product: how fast the loss changes as the trained weights move in a direction.

    Nothing is sent back, so that no product waits for a kept activation.

    Parameters
    ----------
    step : TrainingStep
        Of which the weights that are trained move, and the data do not.
    letter : str
        The number of directions, if there are several at once.
    zeros : bool
        Whether the data's tangent, which is zero, is multiplied, as PyTorch does.

    Returns
    -------
    TrainingStep
        Whose forward pass has the tangents too, and whose backward pass is empty.

    Raises
    ------
    TypeError, ValueError
        If something else than a step is given, or nothing is trained.

    Notes
    -----
    Derived in the lecture *Second derivatives and forward mode*.

    Examples
    --------
    >>> from flopbook.predict import matmul, training_step
    >>> step = training_step(matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]"), data="x")
    >>> jvp(step).flops, jvp(step, zeros=False).flops
    (6*B*D*H + 6*B*H*K, 4*B*D*H + 6*B*H*K)
    """
    trained = _trained(step)
    return _forward_only(step, tangents(step.forward, trained, letter=letter, zeros=zeros))


def hessian_vector(
    step: TrainingStep,
    order: str = ORDERS[0],
    *,
    linear: str | Iterable[str] = (),
    letter: str = "",
    zeros: bool = True,
) -> TrainingStep:
    """Derive a Hessian-vector product: how the gradient changes as the trained weights move in a direction.

    Parameters
    ----------
    step : TrainingStep
        Whose gradient is meant.
    order : str
        One of `ORDERS`. The first two make the gradient too, and the last one does not.
    linear : str or iterable of str
        Results that no curved function follows. Behind any other result stands an activation, and behind the last the
        loss, whose slope changes with it.
    letter : str
        The number of directions, if there are several at once: the first pass runs once for all of them.
    zeros : bool
        Whether tangents that are zero are multiplied, as PyTorch does.

    Returns
    -------
    TrainingStep
        Whose passes hold the products of both derivatives, where PyTorch runs them.

    Raises
    ------
    TypeError, ValueError
        If something else than a step is given, nothing is trained, or a name is not known.

    Notes
    -----
    Derived in the lecture *Second derivatives and forward mode*; the orders are those of Pearlmutter (1994) and of
    Griewank and Walther, *Evaluating Derivatives*. Reverse over reverse, PyTorch runs one product more for a
    convolution that reads the data, as large as the convolution itself.

    Examples
    --------
    >>> from flopbook.predict import matmul, training_step
    >>> step = training_step(matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]"), data="x")
    >>> for order in ORDERS:
    ...     print(order, hessian_vector(step, order).flops)
    reverse over reverse 8*B*D*H + 18*B*H*K
    forward over reverse 12*B*D*H + 18*B*H*K
    reverse over forward 10*B*D*H + 16*B*H*K
    """
    trained = _trained(step)
    outputs = {product.output.name for product in step.forward}
    curved = outputs - _linear(linear, outputs)
    slopes = {f"{name}.grad": name for name in curved}
    if one_of("order", order, ORDERS) == "reverse over reverse":
        of = [f"{name}.grad" for name in trained]
        second = adjoints(step.forward + step.backward, of, trained, follows=slopes, letter=letter)
        return replace(step, backward=step.backward + second)
    if order == "forward over reverse":
        sent = tangents(step.forward + step.backward, trained, follows=slopes, letter=letter, zeros=zeros)
        back = tuple(product for product in sent if ".grad" in product.output.name)
        first = _forward_only(step, [product for product in sent if product not in back])
        return replace(first, backward=step.backward + back)
    first = jvp(step, letter=letter, zeros=zeros)
    of, slopes = [f"{name}.dot" for name in _results(step.forward)], {f"{name}.dot": name for name in curved}
    return replace(first, backward=adjoints(first.forward, of, trained, follows=slopes, letter=letter))


def per_sample(step: TrainingStep, sample: str = "B") -> TrainingStep:
    """Derive a gradient of the weights for each sample, where a step has their sum.

    The gradient of a weight keeps the samples' letter instead of summing over it. Its letters stay the same, so its
    FLOPs do, too; it takes as many times the memory as there are samples.

    Parameters
    ----------
    step : TrainingStep
        With the sum of the gradients.
    sample : str
        The letter of the samples.

    Raises
    ------
    TypeError, ValueError
        If something else than a step is given, or a gradient does not sum over the letter.

    Examples
    --------
    >>> from flopbook.predict import matmul, training_step
    >>> step = training_step(matmul("x[B,T,D] @ w[D,K] -> y[B,T,K]"), data="x")
    >>> per_sample(step)
    forward: 2*B*D*K*T FLOPs
      x[B,T,D] @ w[D,K] -> y[B,T,K]
    backward: 2*B*D*K*T FLOPs
      x[B,T,D] @ y.grad[B,T,K] -> w.grad[B,D,K]
    """
    trained = {f"{name}.grad" for name in _trained(step)}

    def kept_apart(product: Product) -> Product:
        made = product.output
        if made.name not in trained:
            return product
        if sample not in product.axes or sample in made.axes:
            raise ValueError(
                f"'{product}' does not sum over the letter {quoted(sample)}: give the letter of the samples"
            )
        return replace(product, output=Tensor(made.name, (sample, *made.axes)))

    return replace(step, backward=tuple(map(kept_apart, step.backward)))


def gradient_penalty(step: TrainingStep, *, linear: str | Iterable[str] = ()) -> TrainingStep:
    """Derive a penalty on the data's gradient, and the penalty's gradient with respect to the weights.

    A *critic* gives each sample one number. The penalty is a function of that number's gradient with respect to the
    data, such as the square of the gradient's length less one. Training it means to go back through the
    products of that gradient, and from there through the layers.

    Parameters
    ----------
    step : TrainingStep
        The critic's, with data named.
    linear : str or iterable of str
        Results that no curved function follows. Behind any other result but the last stands an activation.

    Raises
    ------
    TypeError, ValueError
        If something else than a step is given, or it has no data, or nothing is trained.

    Notes
    -----
    The penalty is that of Gulrajani and others, *Improved Training of Wasserstein GANs* (2017). What is derived is
    the penalty alone, and the gradients of the weights alone.

    Examples
    --------
    >>> from flopbook.predict import matmul, training_step
    >>> step = training_step(matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]"), data="x")
    >>> gradient_penalty(step).flops, gradient_penalty(step, linear="h").flops
    (10*B*D*H + 6*B*H*K, 8*B*D*H + 6*B*H*K)
    """
    trained = _trained(step)
    if not step.data:
        raise ValueError(f"{quoted(step)} has no data: write training_step(..., data='x')")
    weights = [tensor.name for tensor in (*step.trained, *step.untrained)]
    first = training_step(*step.forward, frozen=weights).backward
    outputs = {product.output.name for product in step.forward}
    curved = outputs - _linear(linear, outputs) - _results(step.forward)
    slopes = {f"{name}.grad": name for name in curved}
    second = adjoints(step.forward + first, [f"{name}.grad" for name in step.data], trained, follows=slopes)
    return replace(step, backward=first + second)


def jacobian(step: TrainingStep, by: str = "rows", *, letter: str = "J", zeros: bool = True) -> TrainingStep:
    """Derive all slopes of the results with respect to the data, row by row or column by column.

    A *row* is the gradient of one result, and is sent back; a *column* is the slope of all results as one
    number of the data moves, and is sent forward. The layers themselves run once.

    Parameters
    ----------
    step : TrainingStep
        With data named.
    by : str
        ``rows`` or ``columns``.
    letter : str
        The number of rows or columns. For samples that do not meet, a row for each result of one sample will do.
    zeros : bool
        Whether the tangents of the weights, which are zero, are multiplied, as PyTorch does.

    Raises
    ------
    TypeError, ValueError
        If something else than a step is given, it has no data, or there is neither row nor column of that name.

    Examples
    --------
    >>> from flopbook.predict import matmul, training_step
    >>> step = training_step(matmul("x[B,D] @ w[D,K] -> y[B,K]"), data="x")
    >>> jacobian(step, "rows", letter="R").flops, jacobian(step, "columns", letter="C", zeros=False).flops
    (2*B*D*K*R + 2*B*D*K, 2*B*C*D*K + 2*B*D*K)
    """
    _check_step(step)
    if not step.data:
        raise ValueError(f"{quoted(step)} has no data: write training_step(..., data='x')")
    if one_of("by", by, ("rows", "columns")) == "rows":
        back = adjoints(step.forward, _results(step.forward), step.data, letter=letter)
        return replace(step, backward=back)
    return _forward_only(step, tangents(step.forward, step.data, letter=letter, zeros=zeros))


def zeroth_order(step: TrainingStep, *, evaluations: Expr | int = 2, steps: Expr | int = 1) -> Expr:
    """Predict the FLOPs of steps that only evaluate the loss, and send nothing back.

    MeZO evaluates it twice, on both sides of the weights along a random direction. An evolution strategy evaluates
    it once for each member of its population.

    Parameters
    ----------
    step : TrainingStep
        Whose forward pass runs.
    evaluations : int or sympy.Expr
        Forward passes of one step.
    steps : int or sympy.Expr
        How many steps.

    Raises
    ------
    TypeError, ValueError
        If something else than a step is given, or a number is not at least 1.

    Notes
    -----
    MeZO is that of Malladi and others, *Fine-Tuning Language Models with Just Forward Passes* (2023).

    Examples
    --------
    >>> from flopbook.predict import matmul, training_step
    >>> zeroth_order(training_step(matmul("x[B,D] @ w[D,K] -> y[B,K]"), data="x"), steps=1000)
    4000*B*D*K
    """
    _check_step(step)
    return number("evaluations", evaluations, least=1) * number("steps", steps, least=1) * flops(step.forward)


def _sent(product: Product, derived: Mapping[str, Tensor], kind: str, letter: str) -> Product:
    """Put derivatives into the places of a product, each with the letter of the directions."""
    axes = (letter,) if letter else ()

    def own(letters: tuple[str, ...]) -> tuple[str, ...]:
        return (*axes, *(name for name in letters if name != letter))

    sent: dict[str, Any] = {
        place: Tensor(f"{tensor.name}.{kind}", own(tensor.axes)) for place, tensor in derived.items()
    }
    return replace(product, **sent, axes=own(product.axes))


def _forward_only(step: TrainingStep, sent: Iterable[Product]) -> TrainingStep:
    """Add tangents to the forward pass; those of inputs are given, as data are."""
    forward = (*step.forward, *sent)
    made = {product.output.name for product in forward}
    given = {name for product in sent for name in (product.left.name, product.right.name) if name.endswith(".dot")}
    return TrainingStep(forward, (), step.data | (given - made), step.frozen)


def _results(products: Iterable[Product]) -> set[str]:
    """Return the names that no product takes."""
    taken = {tensor.name for product in products for tensor in (product.left, product.right)}
    return {product.output.name for product in products} - taken


def _linear(given: str | Iterable[str], outputs: set[str]) -> set[str]:
    names = {given} if isinstance(given, str) else set(given)
    for name in names - outputs:
        raise ValueError(f"linear={quoted(name)} is not a result: give one of {', '.join(sorted(outputs))}")
    return names


def _trained(step: TrainingStep) -> list[str]:
    _check_step(step)
    trained = [tensor.name for tensor in step.trained]
    if not trained:
        raise ValueError(f"nothing is trained in {quoted(step)}: leave a weight out of frozen")
    return trained


def _check_step(step: object) -> None:
    if not isinstance(step, TrainingStep):
        raise TypeError(f"{quoted(step)} is not a training step: write training_step(matmul(...), data='x')")


def _checked(
    products: Iterable[Product], given: str | Iterable[str], letter: str
) -> tuple[tuple[Product, ...], set[str]]:
    """Return products and the names of inputs; refuse what are none, and a letter that the products have."""
    known, names = tuple(products), {given} if isinstance(given, str) else set(given)
    for product in known:
        if not isinstance(product, Product):
            raise TypeError(f"{quoted(product)} is not a product: write matmul('x[B,D] @ w[D,K] -> y[B,K]')")
    taken = {tensor.name for product in known for tensor in (product.left, product.right)}
    for name in names - taken:
        raise ValueError(f"{quoted(name)} is not an input of the products: give some of {', '.join(sorted(taken))}")
    for product in known:
        for tensor in (product.left, product.right, product.output):
            if letter in tensor.axes and "." not in tensor.name:
                raise ValueError(f"letter={quoted(letter)} is an axis of {tensor}: give a letter that is not in use")
    return known, names
