"""Test Fourier transforms by their convention."""

import math

import pytest
import torch
from torch import fft


def convention(factor, size, transforms):
    return round(factor * size * math.log2(size)) * transforms


COMPLEX, REAL = torch.ones(3, 8, dtype=torch.complex64), torch.ones(3, 8)
IMAGE = torch.ones(3, 4, 6)

TRANSFORMS = {
    "complex": (lambda: fft.fft(COMPLEX), convention(5, 8, 3)),
    "back": (lambda: fft.ifft(COMPLEX), convention(5, 8, 3)),
    "real": (lambda: fft.rfft(REAL), convention(2.5, 8, 3)),
    "real, to both halves": (lambda: fft.fft(REAL), convention(2.5, 8, 3)),
    "to real": (lambda: fft.irfft(COMPLEX[:, :5]), convention(2.5, 8, 3)),
    "to real, of odd length": (lambda: fft.irfft(COMPLEX[:, :5], n=9), convention(2.5, 9, 3)),
    "along the first axis": (lambda: fft.fft(COMPLEX, dim=0), convention(5, 3, 8)),
    "cut": (lambda: fft.fft(COMPLEX, n=5), convention(5, 5, 3)),
    "padded": (lambda: fft.fft(COMPLEX, n=11), convention(5, 11, 3)),
    "two dimensions": (lambda: fft.fft2(IMAGE.to(torch.complex64)), convention(5, 24, 3)),
    "two dimensions, real": (lambda: fft.rfft2(IMAGE), convention(2.5, 24, 3)),
    "three dimensions": (lambda: fft.rfftn(IMAGE), convention(2.5, 72, 1)),
    "one number": (lambda: fft.fft(COMPLEX[:, :1]), 0),
    "windows of a signal": (
        lambda: torch.stft(torch.ones(64), 16, window=torch.ones(16), return_complex=True),
        convention(2.5, 16, 17),
    ),
}


@pytest.mark.parametrize(("transform", "flops"), TRANSFORMS.values(), ids=TRANSFORMS)
def test_a_transform_takes_its_convention(count, transform, flops):
    assert count(transform).forward == flops


def test_of_32_complex_numbers_the_convention_is_800(count):
    assert count(lambda: fft.fft(torch.ones(32, dtype=torch.complex64))).forward == 800


def test_backward_of_a_real_transform_is_a_complex_one(count):
    x = torch.ones(3, 8, requires_grad=True)
    assert count(lambda: fft.rfft(x).abs().sum().backward()).backward == convention(5, 8, 3)


def test_moving_frequencies_takes_nothing(count):
    counted = count(lambda: (fft.fftshift(REAL), fft.fftfreq(5)))
    assert (counted.total, sum(counted.pointwise.values())) == (0, 0)
