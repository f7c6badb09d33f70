"""Count Fourier transforms by the convention of their benchmarks.

How many FLOPs a transform takes depends on the algorithm that the library
picks. By convention the FLOPs are those of radix 2 for every size:
5 N log2 N of N complex numbers, half of that where input or result is real
(Frigo and Johnson, "FFT benchmark methodology", fftw.org/speed/method.html).
In several dimensions N is the product of the sizes. The FLOPs of one transform
are rounded to the nearest integer.
"""

import math

from torch import Tensor

from flopbook.measure.operators.names import contraction


def _flops(whole: Tensor, axes, each: float) -> int:
    """Count the FLOPs of a tensor's transforms; `each` is the factor of N log2 N."""
    N = math.prod(whole.shape[axis] for axis in axes)
    return round(each * N * math.log2(N)) * (whole.numel() // N)  # no transform has 0 numbers


@contraction("_fft_c2c")
def complex_transform(out, values, axes, *_, **__):
    """5 N log2 N for each Fourier transform of N complex numbers, by convention."""
    return _flops(values, axes, 5)


@contraction("_fft_r2c")
def real_transform(out, values, axes, *_, **__):
    """2.5 N log2 N for each Fourier transform of N real numbers, by convention."""
    return _flops(values, axes, 2.5)


@contraction("_fft_c2r")
def transform_to_real(out, values, axes, *_, **__):
    """2.5 N log2 N for each Fourier transform whose result is N real numbers, by convention."""
    return _flops(out, axes, 2.5)
