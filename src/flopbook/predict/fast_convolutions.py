"""Predict convolutions that multiply less: tile by tile as Winograd's, and through Fourier transforms."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil, log2, prod

import sympy

from flopbook import checks
from flopbook.checks import quoted
from flopbook.predict.fast_products import Work

__all__ = [
    "TileTransforms",
    "direct_convolution",
    "fft_convolution",
    "fft_flops",
    "tile_convolution",
    "tile_transforms",
]

#: Where the polynomials are evaluated, beside infinity: small numbers and their inverses, which round little.
_POINTS = [Fraction(point) for point in ["0", "1", "-1", "2", "-2", "1/2", "-1/2", "3", "-3"]]


@dataclass(frozen=True)
class TileTransforms:
    """Holds the three matrices of Winograd's F(m, r), made by :func:`tile_transforms`.

    Along one axis, ``result @ ((kernel @ g) * (data @ d))`` are m places of a kernel g of r numbers on m + r - 1
    numbers d.

    Attributes
    ----------
    outputs, taps : int
        m and r.
    data, kernel, result : sympy.Matrix
        Of rationals.
    """

    outputs: int
    taps: int
    data: sympy.Matrix
    kernel: sympy.Matrix
    result: sympy.Matrix

    @property
    def side(self) -> int:
        """Return the numbers of a tile along one axis, m + r - 1: as many as there are multiplications."""
        return self.outputs + self.taps - 1

    def saving(self, axes: int = 2) -> Fraction:
        """Return how many times fewer multiplications a tile takes.

        Parameters
        ----------
        axes : int
            Along how many axes the kernel moves.

        Examples
        --------
        >>> tile_transforms(2, 3).saving()
        Fraction(9, 4)
        """
        return Fraction(self.outputs * self.taps, self.side) ** checks.size("axes", axes)

    def around(self, axes: int = 2) -> tuple[int, int, int]:
        """Count the FLOPs to transform a tile of data, a kernel and a tile of products, written out row by row.

        A row of a matrix takes an addition for each further number that is not 0, and a multiplication for each
        that is neither 1 nor -1. Along further axes the same is done for all rows that the first have left.

        Parameters
        ----------
        axes : int
            Along how many axes the kernel moves.

        Examples
        --------
        >>> tile_transforms(2, 3).around()
        (32, 70, 24)
        """
        rank = checks.size("axes", axes)
        matrices = self.data, self.kernel, self.result
        data, kernel, result = (_along(matrix, rank) for matrix in matrices)
        return data, kernel, result


def _along(matrix: sympy.Matrix, axes: int) -> int:
    """Count the operations of a matrix along each axis of a block in turn."""
    each = sum(_operations(matrix.row(row)) for row in range(matrix.rows))
    return sum(each * matrix.rows**done * matrix.cols ** (axes - 1 - done) for done in range(axes))


def _operations(row: sympy.Matrix) -> int:
    factors = [factor for factor in row if factor]
    return len(factors) - 1 + sum(abs(factor) != 1 for factor in factors)


def tile_transforms(outputs: int, taps: int) -> TileTransforms:
    """Derive Winograd's F(m, r): m places of a kernel of r numbers in m + r - 1 multiplications.

    A convolution multiplies polynomials. Both are evaluated at m + r - 2 points and at infinity, the values are
    multiplied, and the result is read off by interpolation; transposed, this gives the places of a kernel.

    Parameters
    ----------
    outputs, taps : int
        m and r, together at most 11: there are points for no more, and larger tiles round badly.

    Raises
    ------
    ValueError
        If they are not sizes, or too large.

    Notes
    -----
    Winograd, *Arithmetic Complexity of Computations* (1980); Lavin and Gray, *Fast Algorithms for Convolutional Neural
    Networks* (2016), whose matrices these are up to signs. Derived in the lecture *Fewer FLOPs than the formula*.

    Examples
    --------
    >>> tile_transforms(2, 3).data
    Matrix([
    [1,  0, -1,  0],
    [0,  1,  1,  0],
    [0, -1,  1,  0],
    [0, -1,  0,  1]])
    """
    m, r = checks.size("outputs", outputs), checks.size("taps", taps)
    if m + r - 2 > len(_POINTS):
        raise ValueError(
            f"outputs={quoted(outputs)} and taps={quoted(taps)} need {m + r - 2} points, and there are "
            f"{len(_POINTS)}: take fewer outputs, such as tile_transforms(4, 3)"
        )
    return _derived(m, r)


@cache
def _derived(m: int, r: int) -> TileTransforms:
    side = m + r - 1
    points = [sympy.Rational(point.numerator, point.denominator) for point in _POINTS[: side - 1]]
    data = _powers(points, side).inv().T
    kernel = _powers(points, r)
    for row in range(side - 1):  # whole numbers for the data, which are transformed more often than the kernel
        factor = sympy.ilcm(*(entry.q for entry in data.row(row)))
        data[row, :] *= factor
        kernel[row, :] /= factor
    return TileTransforms(m, r, *map(sympy.ImmutableMatrix, (data, kernel, _powers(points, m).T)))


def _powers(points: Sequence[sympy.Rational], length: int) -> sympy.Matrix:
    """Return the matrix that evaluates a polynomial of so many numbers at points and at infinity."""
    finite = [[point**power for power in range(length)] for point in points]
    return sympy.Matrix([*finite, [0] * (length - 1) + [1]])


def direct_convolution(B: int, C: int, K: int, places: Sequence[int], taps: Sequence[int]) -> Work:
    """Predict a convolution that multiplies each tap, without padding and with stride 1.

    Parameters
    ----------
    B, C, K : int
        Images, channels that enter, and channels that leave.
    places, taps : sequence of int
        Size of the result, and of the kernel, along each axis.

    Raises
    ------
    ValueError
        If one is not a size, or the two sequences have different lengths.

    Examples
    --------
    >>> direct_convolution(1, 2, 3, places=[4, 6], taps=[3, 3]).flops
    2592
    """
    _check(B, C, K, places=places, taps=taps)
    number_of, each = B * K * prod(places), C * prod(taps)
    return Work(*map(sympy.Integer, (number_of * each, number_of * (each - 1), 0)))


def tile_convolution(B: int, C: int, K: int, places: Sequence[int], transforms: TileTransforms) -> Work:
    """Predict a convolution by Winograd's tiles, with stride 1 and a kernel of equal sides.

    The result is cut into tiles; what the last ones have too much is worked out, too, and thrown away. Every tile of
    each channel and every kernel is transformed once, and the sum over channels is taken before the way back. Where
    weights stay as they are, their transforms can be kept: that is ``C * K * transforms.around(len(places))[1]`` less.

    Parameters
    ----------
    B, C, K : int
        Images, channels that enter, and channels that leave.
    places : sequence of int
        Size of the result along each axis.
    transforms : TileTransforms
        As :func:`tile_transforms` gives them.

    Raises
    ------
    ValueError
        If one is not a size.
    TypeError
        If the transforms are something else.

    Examples
    --------
    >>> tile_convolution(1, 2, 3, [4, 6], tile_transforms(2, 3))
    Work(multiplications=576, additions=288, around=1236)
    """
    if not isinstance(transforms, TileTransforms):
        raise TypeError(f"transforms={quoted(transforms)} are not transforms: write tile_transforms(2, 3)")
    _check(B, C, K, places=places)
    rank = len(places)
    tiles = B * prod(ceil(size / transforms.outputs) for size in places)
    numbers = tiles * transforms.side**rank
    data, kernel, result = transforms.around(rank)
    around = tiles * (C * data + K * result) + K * C * kernel
    return Work(*map(sympy.Integer, (numbers * C * K, numbers * K * (C - 1), around)))


def fft_flops(*sizes: int, real: bool = False) -> int:
    """Return the FLOPs of a fast Fourier transform, by the convention of its benchmarks.

    5 N log2 N for N complex numbers, half of that where input or result is real, rounded. What a library runs
    depends on its algorithm, and is mostly less.

    Parameters
    ----------
    *sizes : int
        Along each axis; N is their product.
    real : bool
        Whether what enters, or what leaves, is real.

    Raises
    ------
    ValueError
        If there are none, or one is not a size.

    Notes
    -----
    Frigo and Johnson, *FFT benchmark methodology*, fftw.org/speed/method.html.

    Examples
    --------
    >>> fft_flops(1024), fft_flops(32, 32, real=True)
    (51200, 25600)
    """
    if not sizes:
        raise ValueError("no sizes are given: write fft_flops(1024)")
    N = prod(checks.size(f"sizes[{place}]", size) for place, size in enumerate(sizes))
    return round((2.5 if real else 5) * N * log2(N))


def fft_convolution(B: int, C: int, K: int, image: Sequence[int]) -> Work:
    """Predict a convolution through Fourier transforms, of kernels of any size up to the image's.

    Images and kernels are transformed, the latter padded to the size of the former; at each frequency the channels are
    a complex product, of 4 multiplications and 4 additions for each multiply-accumulate; then the results are
    transformed back. Of a real image's frequencies along the last axis, only half and one are kept. The places at
    which the kernel lies on the image are right, and the others wrap around.

    Parameters
    ----------
    B, C, K : int
        Images, channels that enter, and channels that leave.
    image : sequence of int
        Size of the image along each axis, with its padding.

    Raises
    ------
    ValueError
        If one is not a size.

    Examples
    --------
    >>> fft_convolution(1, 2, 3, [8, 8]).flops
    12480
    """
    _check(B, C, K, image=image)
    frequencies = prod(image[:-1]) * (image[-1] // 2 + 1)
    products = B * K * C * frequencies
    transforms = (B * C + K * C + B * K) * fft_flops(*image, real=True)
    return Work(*map(sympy.Integer, (4 * products, 4 * products - 2 * B * K * frequencies, transforms)))


def _check(B: int, C: int, K: int, **along: Sequence[int]) -> None:
    """Refuse what is not a size, and sequences that are empty or of different lengths."""
    for name, size in dict(B=B, C=C, K=K).items():
        checks.size(name, size)
    for name, sizes in along.items():
        if not isinstance(sizes, Sequence) or isinstance(sizes, str):
            raise ValueError(f"{name}={quoted(sizes)} are not sizes along axes: write {name}=[8, 8]")
        for place, size in enumerate(sizes):
            checks.size(f"{name}[{place}]", size)
    if 0 in (lengths := {len(sizes) for sizes in along.values()}) or len(lengths) > 1:
        given = " and ".join(f"{name}={quoted(sizes)}" for name, sizes in along.items())
        raise ValueError(f"{given} need a size for each axis: write {', '.join(f'{name}=[8, 8]' for name in along)}")
