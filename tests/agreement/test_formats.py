"""Hold the values of floating-point formats to PyTorch's."""

import math
from fractions import Fraction

import pytest
import torch

from flopbook.predict.formats import FORMATS

DTYPES = {
    "fp32": (torch.float32, torch.int32),
    "bf16": (torch.bfloat16, torch.int16),
    "fp16": (torch.float16, torch.int16),
    "e5m2": (torch.float8_e5m2, torch.uint8),
    "e4m3": (torch.float8_e4m3fn, torch.uint8),
}
NUMBERS = [
    0,
    0.1,
    1 / 3,
    1,
    1.5,
    3.3,
    447.0,
    460.0,
    65_504,
    65_519,
    65_520,
    100_000,
    1e-8,
    1e-7,
    2.0**-149,
    3e38,
    -0.7,
    -5e5,
]


#: PyTorch 2.11 makes nan of what is too large for e4m3, later ones 448.
SATURATES = torch.tensor(1e5).to(torch.float8_e4m3fn).item() == 448


def same(value, other):
    return math.isnan(value) and math.isnan(other) if math.isnan(value) or math.isnan(other) else value == other


@pytest.mark.parametrize("name", DTYPES)
def test_every_pattern_has_the_value_of_pytorch(name):
    format_, (dtype, integers) = FORMATS[name], DTYPES[name]
    step = max(1, 2**format_.bits // 65_536 - 3)
    patterns = list(range(0, 2**format_.bits, step))
    signed = [
        pattern if integers is torch.uint8 or pattern < 2 ** (format_.bits - 1) else pattern - 2**format_.bits
        for pattern in patterns
    ]
    values = torch.tensor(signed, dtype=integers).view(dtype).double().tolist()
    assert all(same(float(format_.value(pattern)), value) for pattern, value in zip(patterns, values, strict=True))


@pytest.mark.parametrize("name", DTYPES)
def test_a_number_becomes_what_pytorch_makes_of_it(name):
    format_, (dtype, _) = FORMATS[name], DTYPES[name]
    for number in torch.tensor(NUMBERS).tolist():  # as float32: a double would be rounded twice
        stored = torch.tensor(number).to(dtype).double().item()
        if name == "e4m3" and not SATURATES and abs(number) > 464:
            assert math.isnan(stored)
        else:
            assert same(float(format_.rounded(number)), stored)


@pytest.mark.parametrize("name", DTYPES)
def test_the_limits_are_those_of_finfo(name):
    format_, info = FORMATS[name], torch.finfo(DTYPES[name][0])
    assert (format_.bits, float(format_.largest), float(format_.smallest_normal)) == (info.bits, info.max, info.tiny)
    assert float(format_.value(format_.nearest(Fraction(1)) + 1) - 1) == info.eps


def test_tf32_is_the_one_format_that_is_never_stored():
    with_scales = {"e3m2", "e2m3", "e2m1"}  # PyTorch stores them packed, two or more to a byte
    assert FORMATS.keys() - DTYPES.keys() - with_scales == {"tf32"}
    reach, fineness = FORMATS["fp32"], FORMATS["fp16"]
    assert FORMATS["tf32"].smallest_normal == reach.smallest_normal
    assert FORMATS["tf32"].fraction_bits == fineness.fraction_bits
