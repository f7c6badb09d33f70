"""Derive matrix products."""

from dataclasses import replace

from flopbook.predict.products import matmul
from flopbook.predict.steps import training_step
from flopbook.specimens.on_paper.derivation import Derivation


def mlp() -> Derivation:
    first = matmul("x[B,D] @ w1[D,H] -> h1[B,H]")
    second = matmul("h1[B,H] @ w2[H,J] -> h2[B,J]")
    third = matmul("h2[B,J] @ w3[J,K] -> y[B,K]")
    return Derivation(training_step(first, second, third, data="x"))


def linear_on_four_axes() -> Derivation:
    return Derivation(training_step(matmul("x[A,B,T,D] @ w[D,K] -> y[A,B,T,K]"), data="x"))


def vectors() -> Derivation:
    """Derive products with vectors; a linear layer takes one as a batch of one.

    The other gradients but one sum over nothing: they scale a vector, or multiply each element of
    one with each of another. Such products are pointwise.
    """
    linear = matmul("x[B,D] @ w[D,H] -> h[B,H]")
    matrix = matmul("h1[H] @ m[K,H] -> y[K]")
    dot = matmul("y[K] @ v[K] -> z[]")
    step = training_step(linear, matrix, dot, data="x")
    summing = tuple(product for product in step.backward if set(product.axes) - set(product.output.axes))
    return Derivation(replace(step, backward=summing), letters={"B": 1})


def einsum() -> Derivation:
    split = matmul("x[B,T,D] @ ws[D,H,E] -> h[B,H,T,E]")
    join = matmul("h[B,H,T,E] @ wj[H,E,K] -> y[B,T,K]")
    return Derivation(training_step(split, join, data="x"))
