"""Derive convolutions."""

from dataclasses import replace

from sympy import floor

from flopbook.predict.axes import C, D, S, axis
from flopbook.predict.models.convolutions import depthwise_separable as separable
from flopbook.predict.models.convolutions import places
from flopbook.predict.products import conv, matmul
from flopbook.predict.steps import training_step
from flopbook.specimens.on_paper.derivation import Derivation, Size

R, U, X, Y, Z = map(axis, "RUXYZ")


def _convolution(text: str, **letters: Size) -> Derivation:
    return Derivation(training_step(conv(text), data="x"), letters=letters)


def dilated() -> Derivation:
    return _convolution("x[B,C,X] * w[K,C,R] -> y[B,K,P]", P=places(X, R, dilation=2))


def strided() -> Derivation:
    P, Q = places(X, R, stride=2, padding=1), places(Y, S, stride=2, padding=1)
    return _convolution("x[B,C,X,Y] * w[K,C,R,S] -> y[B,K,P,Q]", P=P, Q=Q)


def volumetric() -> Derivation:
    text = "x[B,C,X,Y,Z] * w[K,C,R,S,U] -> y[B,K,P,Q,O]"
    return _convolution(text, P=places(X, R), Q=places(Y, S), O=places(Z, U))


def grouped() -> Derivation:
    return _convolution("x[B,G,C,X,Y] * w[G,K,C,R,S] -> y[B,G,K,P,Q]", P=places(X, R), Q=places(Y, S))


def depthwise_separable() -> Derivation:
    return Derivation(separable(), letters={"P": places(X, R), "Q": places(Y, S)})


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
    P, Q = places(X, R, padding=1), places(Y, R, padding=1)
    X2, Y2 = floor(P / 2), floor(Q / 2)
    smaller = {"X2": X2, "Y2": Y2, "P2": places(X2, R, padding=1), "Q2": places(Y2, R, padding=1)}
    return Derivation(training_step(first, second, last, data="x"), letters={"S": R, "P": P, "Q": Q, **smaller})


def circular() -> Derivation:
    """Derive a kernel over a padded image, as large as its result."""
    return _convolution("x[B,C,X,Y] * w[K,C,R,S] -> y[B,K,P,Q]", P=X, Q=Y)


def transposed_in_groups() -> Derivation:
    """Derive what each number of the image is spread over; P does not count, as no number of the result does."""
    straight = conv("y[B,G,K,P] * w[G,C,K,R] -> x[B,G,C,X]")
    turned = replace(straight, left=straight.output, output=straight.left)
    return Derivation(training_step(turned, data="x"), letters={"P": 3 * (X - 1) + R})


def unfolded() -> Derivation:
    """Derive a product with the unfolded image: M numbers under the kernel at each of N places."""
    product = matmul("w[K,M] @ x[B,M,N] -> y[B,K,N]")
    return Derivation(training_step(product, data="x"), letters={"M": C * R * S, "N": places(X, R) * places(Y, S)})


def bottleneck() -> Derivation:
    """Derive three convolutions and the shortcut, whose kernel of 1 by 1 meets every second number either way."""
    step = training_step(
        matmul("x[B,C,X,Y] @ w1[D,C] -> h1[B,D,X,Y]"),
        conv("h1[B,D,X,Y] * w2[H,D,R,S] -> h2[B,H,P,Q]"),
        matmul("h2[B,H,P,Q] @ w3[K,H] -> y1[B,K,P,Q]"),
        matmul("z[B,C,P,Q] @ w4[K,C] -> y2[B,K,P,Q]"),
        data=["x", "z"],
    )
    P, Q = (places(side, 3, stride=2, padding=1) for side in (X, Y))
    return Derivation(step, letters={"H": D, "K": 4 * D, "R": 3, "S": 3, "P": P, "Q": Q})
