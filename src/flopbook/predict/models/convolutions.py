"""Predict convolutions: the places of a kernel, the taps that meet the image, and networks of convolutions."""

from collections.abc import Sequence

import sympy
from sympy import Expr, floor

from flopbook import checks
from flopbook.checks import quoted
from flopbook.predict.axes import D, axis
from flopbook.predict.models.model import Model, model_of
from flopbook.predict.notation import tensors
from flopbook.predict.products import conv, matmul
from flopbook.predict.steps import TrainingStep, training_step

__all__ = ["bottleneck_network", "depthwise_separable", "places", "real_taps"]

X, Y = axis("X"), axis("Y")

_Sides = tuple[Expr, Expr]


def places(size: Expr | int, kernel: Expr | int, stride: int = 1, padding: Expr | int = 0, dilation: int = 1) -> Expr:
    """Count the places of a kernel along one axis: the size of the result.

    The kernel reaches over ``dilation * (kernel - 1) + 1`` numbers of the padded axis, and moves on by the stride as
    long as it fits.

    Parameters
    ----------
    size, kernel : Expr or int
        Numbers along the axis of the image, and of the kernel.
    stride : int
        How far the kernel moves from place to place.
    padding : Expr or int
        Zeros that are put before the image, and as many behind it.
    dilation : int
        How far the numbers of the kernel lie apart; 1 if they are neighbours.

    Raises
    ------
    ValueError
        If the numbers leave no place for the kernel.

    Notes
    -----
    Dumoulin and Visin, *A guide to convolution arithmetic for deep learning* (2016); derived in the lecture *Count a
    convolution*.

    Examples
    --------
    >>> places(7, 3, stride=2, padding=1)
    4
    >>> places(X, axis("R"), padding=2)
    -R + X + 5
    """
    free = sympy.sympify(size + 2 * padding - dilation * (kernel - 1) - 1)
    if free.is_negative:
        raise ValueError(
            f"a kernel of {quoted(kernel)} with dilation={quoted(dilation)} does not fit into {quoted(size)} "
            f"with padding={quoted(padding)}: pad more, or take a smaller kernel"
        )
    return floor(free / stride) + 1


def real_taps(size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> list[int]:
    """Count, at each place along one axis, the taps that fall on the image; the others fall on padding.

    A tap is one number of the kernel. Along several axes the counts multiply.

    Parameters
    ----------
    size, kernel, stride, padding, dilation : int
        As for :func:`places`.

    Raises
    ------
    ValueError
        If the numbers leave no place for the kernel.

    Notes
    -----
    Derived in the lecture *Count a convolution*.

    Examples
    --------
    >>> real_taps(5, 3, padding=1), real_taps(5, 3)
    ([2, 3, 3, 3, 2], [3, 3, 3])
    >>> sum(real_taps(5, 3, padding=1)), 3 * places(5, 3, padding=1)
    (13, 15)
    """
    starts = (stride * place - padding for place in range(int(places(size, kernel, stride, padding, dilation))))
    return [sum(0 <= start + dilation * tap < size for tap in range(kernel)) for start in starts]


def depthwise_separable() -> TrainingStep:
    """Derive a convolution of each channel by itself, and a matrix product that mixes the channels.

    B images of C channels become K channels of P by Q; the kernel is R by S. The images need no gradient.

    Notes
    -----
    Howard and others, *MobileNets* (2017), section 3.1.

    Examples
    --------
    >>> depthwise_separable()
    forward: 2*B*C*K*P*Q + 2*B*C*P*Q*R*S FLOPs
      x[B,C,X,Y] * w1[C,R,S] -> h[B,C,P,Q]
      h[B,C,P,Q] @ w2[K,C] -> y[B,K,P,Q]
    backward: 4*B*C*K*P*Q + 2*B*C*P*Q*R*S FLOPs
    ...
    """
    depthwise = conv("x[B,C,X,Y] * w1[C,R,S] -> h[B,C,P,Q]")
    return training_step(depthwise, matmul("h[B,C,P,Q] @ w2[K,C] -> y[B,K,P,Q]"), data="x")


def bottleneck_network(blocks: Sequence[int], strided: int = 3) -> Model:
    """Predict a residual network of bottleneck blocks, with a batch norm behind each convolution.

    B images of C channels, X by Y, are told apart into K classes. A stem halves the images twice. Then come stages of
    blocks: the first D wide, each further one twice as wide and half as large. A block has convolutions of 1 by 1, 3
    by 3 and 1 by 1, the last four times as wide, and adds what came in; where the sizes change, another convolution
    of 1 by 1 adapts that. A mean over each image and a linear layer with a bias end it. Whole numbers that are kept,
    such as the places of each maximum, are left out of the activations.

    Parameters
    ----------
    blocks : sequence of int
        Blocks of each stage: 3, 4, 6, 3 for ResNet-50; 3, 4, 23, 3 for 101; 3, 8, 36, 3 for 152.
    strided : int
        Which kernel of a block halves the image where a stage begins: the first, 1, as in the paper, or 3.

    Raises
    ------
    ValueError
        If `blocks` are not sizes, there are none, or `strided` is neither 1 nor 3.

    Notes
    -----
    He and others, *Deep Residual Learning for Image Recognition* (2016), table 1 and figure 5. Derived in the lecture
    *Count a convolution*.

    Examples
    --------
    >>> from flopbook.predict import evaluate
    >>> network = bottleneck_network([3, 4, 6, 3])
    >>> sizes = dict(B=1, C=3, D=64, K=1000, X=224, Y=224)
    >>> evaluate(network.parameters, sizes), evaluate(network.forward / 2, sizes)
    (25557032, 4089184256)
    """
    counts = [checks.size(f"blocks[{stage}]", count) for stage, count in enumerate(blocks)]
    if not counts:
        raise ValueError(f"blocks={quoted(blocks)} has no stage: write bottleneck_network([3, 4, 6, 3])")
    if strided not in {1, 3}:
        raise ValueError(f"strided={quoted(strided)} is not a kernel of a block: give 1 or 3")
    after_stem = _moved((X, Y), 7, stride=2)
    sides = _moved(after_stem, 3, stride=2)
    network, channels = _stem(after_stem, sides), D
    for stage, count in enumerate(counts):
        width, before = D * 2**stage, sides
        sides = _moved(before, 1, stride=2) if stage else before
        first = _block(channels, width, before if strided == 3 else sides, sides)
        shortcut = _layer(channels, 4 * width, 1, sides, relu=False)
        channels = 4 * width
        network += first + shortcut + (count - 1) * _block(channels, width, sides, sides)
    return network + _classes(channels)


def _moved(sides: _Sides, kernel: int, stride: int) -> _Sides:
    """Return how many places a padded kernel has along either side."""
    first, second = (places(side, kernel, stride, kernel // 2) for side in sides)
    return first, second


def _stem(sides: _Sides, pooled: _Sides) -> Model:
    """Predict a kernel of 7 by 7 over the images, and a pool."""
    step = training_step(conv("images[B,C,X,Y] * w[D,C,R,S] -> y[B,D,P,Q]"), data="images")
    kept_here = tensors("images[B,C,X,Y] y[B,D,P,Q] mean[D] deviation[D] h[B,D,P,Q] pooled[B,D,M,N]")
    seven = sympy.Integer(7)
    stem = model_of(step, tensors("w[D,C,R,S] scale[D] shift[D]"), kept_here)
    return stem.at(R=seven, S=seven, P=sides[0], Q=sides[1], M=pooled[0], N=pooled[1])


def _block(channels: Expr, width: Expr, middle: _Sides, sides: _Sides) -> Model:
    return _layer(channels, width, 1, middle) + _layer(width, width, 3, sides) + _layer(width, 4 * width, 1, sides)


def _layer(entering: Expr, leaving: Expr, kernel: int, sides: _Sides, relu: bool = True) -> Model:
    """Predict a convolution without a bias, and its norm, which keeps its input, means and deviations."""
    step = training_step(conv("x[B,I,Y,Z] * w[O,I,R,S] -> y[B,O,P,Q]"))
    kept_here = tensors("y[B,O,P,Q] mean[O] deviation[O]" + " h[B,O,P,Q]" * relu)
    layer = model_of(step, tensors("w[O,I,R,S] scale[O] shift[O]"), kept_here)
    square = sympy.Integer(kernel)
    return layer.at(I=entering, O=leaving, R=square, S=square, P=sides[0], Q=sides[1])


def _classes(channels: Expr) -> Model:
    """Predict a linear layer, and the cross-entropy, whose mean keeps what it divides by."""
    step = training_step(matmul("means[B,H] @ w[H,K] -> y[B,K]"))
    return model_of(step, tensors("w[H,K] b[K]"), tensors("means[B,H] logsoftmax[B,K] weight[]")).at(H=channels)
