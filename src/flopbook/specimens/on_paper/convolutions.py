"""Derive convolutions."""

from dataclasses import replace

from sympy import Expr, floor

from flopbook.predict.axes import S, axis
from flopbook.predict.products import conv, matmul
from flopbook.predict.steps import training_step
from flopbook.specimens.on_paper.derivation import Derivation, Size

R, U, X, Y, Z = map(axis, "RUXYZ")


def _places(size: Expr, kernel: Expr, stride: int = 1, padding: int = 0, dilation: int = 1) -> Expr:
    """Count the places of a kernel that moves by the stride over the padded size."""
    return floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1


def _convolution(text: str, **letters: Size) -> Derivation:
    return Derivation(training_step(conv(text), data="x"), letters=letters)


def dilated() -> Derivation:
    return _convolution("x[B,C,X] * w[K,C,R] -> y[B,K,P]", P=_places(X, R, dilation=2))


def strided() -> Derivation:
    P, Q = _places(X, R, stride=2, padding=1), _places(Y, S, stride=2, padding=1)
    return _convolution("x[B,C,X,Y] * w[K,C,R,S] -> y[B,K,P,Q]", P=P, Q=Q)


def volumetric() -> Derivation:
    text = "x[B,C,X,Y,Z] * w[K,C,R,S,U] -> y[B,K,P,Q,O]"
    return _convolution(text, P=_places(X, R), Q=_places(Y, S), O=_places(Z, U))


def grouped() -> Derivation:
    return _convolution("x[B,G,C,X,Y] * w[G,K,C,R,S] -> y[B,G,K,P,Q]", P=_places(X, R), Q=_places(Y, S))


def depthwise_separable() -> Derivation:
    """Derive a convolution of each channel by itself, then a matrix product at each place."""
    depthwise = conv("x[B,C,X,Y] * w1[C,R,S] -> h[B,C,P,Q]")
    pointwise = matmul("h[B,C,P,Q] @ w2[K,C] -> y[B,K,P,Q]")
    letters = {"P": _places(X, R), "Q": _places(Y, S)}
    return Derivation(training_step(depthwise, pointwise, data="x"), letters=letters)


def transposed() -> Derivation:
    """Derive a convolution with stride 2 from y to x, run backwards, letters unchanged."""
    straight = conv("y[B,K,P,Q] * w[C,K,R,S] -> x[B,C,X,Y]")
    turned = replace(straight, left=straight.output, output=straight.left)
    return Derivation(training_step(turned, data="x"), letters={"P": 2 * (X - 1) + R, "Q": 2 * (Y - 1) + S})


def cnn() -> Derivation:
    """Derive square kernels over padded images, with pooling between that halves each side."""
    first = conv("x[B,C,X,Y] * w1[D,C,R,S] -> y1[B,D,P,Q]")
    second = conv("h1[B,D,X2,Y2] * w2[H,D,R,S] -> y2[B,H,P2,Q2]")
    last = matmul("h2[B,H] @ w3[H,K] -> y[B,K]")
    P, Q = _places(X, R, padding=1), _places(Y, R, padding=1)
    X2, Y2 = floor(P / 2), floor(Q / 2)
    smaller = {"X2": X2, "Y2": Y2, "P2": _places(X2, R, padding=1), "Q2": _places(Y2, R, padding=1)}
    return Derivation(training_step(first, second, last, data="x"), letters={"S": R, "P": P, "Q": Q, **smaller})
