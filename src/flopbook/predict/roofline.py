"""Predict how well a device is used, and how fast it can be.

Plain ratios: each takes numbers and SymPy expressions alike.
"""

from collections.abc import Iterable
from typing import TypeVar

import sympy
from sympy import Expr

from flopbook.checks import positive, quoted, size
from flopbook.predict.pointwise import elements
from flopbook.predict.products import Product
from flopbook.predict.steps import flops

__all__ = ["arithmetic_intensity", "attainable_flop_per_s", "least_seconds", "mfu"]

Quantity = TypeVar("Quantity", float, Expr)


def mfu(model_flops: Quantity, seconds: Quantity, peak_flop_per_s: Quantity) -> Quantity:
    """Work out the model FLOPs utilization, the share of the peak that a step reaches.

    Parameters
    ----------
    model_flops : number or Expr
        FLOPs of the forward and backward pass, without what is computed again. With that, the result is the
        hardware FLOPs utilization, HFU.
    seconds : number or Expr
        Of the same step.
    peak_flop_per_s : number or Expr
        Dense peak of all devices together, at the format of the operands.

    Raises
    ------
    ValueError
        If one of them is not a positive number.

    Notes
    -----
    Chowdhery and others, *PaLM: Scaling Language Modeling with Pathways* (2022), appendix B. Derived in the lecture
    *From FLOPs to seconds*.

    Examples
    --------
    >>> mfu(8_796_093_022_208, seconds=0.05, peak_flop_per_s=312e12)
    0.56...
    """
    _check_positive(model_flops=model_flops, seconds=seconds, peak_flop_per_s=peak_flop_per_s)
    return model_flops / seconds / peak_flop_per_s


def _check_positive(**given: object) -> None:
    for name, value in given.items():
        if not isinstance(value, Expr) or value.is_number:
            positive(name, value)


def arithmetic_intensity(products: Product | Iterable[Product], bytes_per_number: int) -> Expr:
    """Predict FLOP per byte: FLOPs over the bytes that have to be moved at least.

    Each product reads its operands and writes its result once. What a cache keeps from one product to the next is
    left out.

    Parameters
    ----------
    products : Product or iterable of Product
        What runs.
    bytes_per_number : int
        Such as 4 for float32 and 2 for bfloat16.

    Raises
    ------
    TypeError
        If something other than products is given.
    ValueError
        If there are none, or the bytes are not positive.

    Examples
    --------
    >>> from flopbook.predict import evaluate, matmul
    >>> y = matmul("x[B,D] @ w[D,K] -> y[B,K]")
    >>> arithmetic_intensity(y, bytes_per_number=2)
    B*D*K/(B*D + B*K + D*K)
    >>> evaluate(arithmetic_intensity(y, 2), dict(B=1, D=4096, K=4096))
    Fraction(2048, 2049)
    """
    bytes_ = size("bytes_per_number", bytes_per_number)
    given = list(products) if isinstance(products, Iterable) else [products]
    for product in given:
        if not isinstance(product, Product):
            raise TypeError(
                f"{quoted(product)} is not a product: write matmul('x[B,D] @ w[D,K] -> y[B,K]'), or step.forward"
            )
    if not given:
        raise ValueError("no products are given: write arithmetic_intensity(step.forward, 4)")
    numbers = elements(*(tensor for product in given for tensor in (product.left, product.right, product.output)))
    return sympy.cancel(flops(given) / (bytes_ * numbers))


def attainable_flop_per_s(intensity: Quantity, peak_flop_per_s: Quantity, bytes_per_s: Quantity) -> Quantity:
    """Predict the FLOP/s that peak and bandwidth allow at an arithmetic intensity: the roofline.

    Holds where computing and moving overlap. Otherwise their times add up.

    Raises
    ------
    ValueError
        If one of them is not a positive number.

    Notes
    -----
    Williams, Waterman and Patterson, *Roofline: An Insightful Visual Performance Model for Multicore Architectures*
    (2009). Derived in the lecture *From FLOPs to seconds*.

    Examples
    --------
    >>> attainable_flop_per_s(1.0, peak_flop_per_s=312e12, bytes_per_s=2.039e12)
    2039000000000.0
    """
    _check_positive(intensity=intensity, peak_flop_per_s=peak_flop_per_s, bytes_per_s=bytes_per_s)
    limits = (peak_flop_per_s, intensity * bytes_per_s)
    return sympy.Min(*limits) if any(isinstance(limit, Expr) for limit in limits) else min(limits)


def least_seconds(flops: Quantity, moved: Quantity, peak_flop_per_s: Quantity, bytes_per_s: Quantity) -> Quantity:
    """Predict the seconds that work takes at least: those of its FLOPs or of its bytes, whichever are more.

    Parameters
    ----------
    flops, moved : number or Expr
        FLOPs, and bytes that are read or written.
    peak_flop_per_s, bytes_per_s : number or Expr
        Of the device.

    Raises
    ------
    ValueError
        If one of them is not a positive number.

    Examples
    --------
    A token of a model of 8 billion parameters on an H100, where each is read in 2 bytes and takes 2 FLOPs:

    >>> least_seconds(16e9, 16e9, peak_flop_per_s=989.4e12, bytes_per_s=3.35e12)
    0.00477...
    """
    _check_positive(flops=flops, moved=moved, peak_flop_per_s=peak_flop_per_s, bytes_per_s=bytes_per_s)
    limits = (flops / peak_flop_per_s, moved / bytes_per_s)
    return sympy.Max(*limits) if any(isinstance(limit, Expr) for limit in limits) else max(limits)
