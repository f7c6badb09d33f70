"""Test numbers that share a scale."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbook.predict import D, K, evaluate
from flopbook.predict.formats import FORMATS
from flopbook.predict.models import nf4_bytes
from flopbook.predict.packing import PACKINGS, Packing, Scale, Whole, find_packing, grouped, share_scale


def test_bits_of_a_number_are_those_that_are_published():
    """MX: 136, 200 and 264 bits for 32 numbers; QLoRA: 0.127 bits for the scales."""
    bits = {name: float(packing.bits_a_number) for name, packing in PACKINGS.items()}
    assert (bits["MXFP4"], bits["MXFP6"]) == (136 / 32, 200 / 32)
    assert bits["MXFP8"] == bits["MXINT8"] == 264 / 32
    assert (bits["NVFP4"], round(bits["NF4"], 3)) == (4.5, 4.127)
    assert nf4_bytes(D) == D * Fraction(2113, 4096)


@settings(max_examples=40)
@given(st.sampled_from([*PACKINGS.values(), grouped(3, group=7, scale_bits=24)]), st.integers(1, 70), st.integers(1, 5))
def test_bytes_by_letters_are_those_by_numbers_and_at_least_those_of_full_blocks(packing, row, rows):
    predicted = packing.bytes(row, rows=rows)
    assert evaluate(packing.bytes(D, rows=K), dict(D=row, K=rows)) == predicted
    assert 8 * predicted >= row * rows * packing.bits_a_number
    full = row * 7 * 2**14 * rows
    assert 8 * packing.bytes(row * 7 * 2**14, rows=rows) == full * packing.bits_a_number + packing.tensor_bits


def test_formats_of_whole_bytes_are_packings_too():
    whole = {name for name, known in FORMATS.items() if known.bits in (8, 16, 32)}
    shared = {"MXFP8", "MXFP6", "MXFP4", "MXINT8", "NVFP4", "NF4"}
    assert PACKINGS.keys() == whole | shared
    assert all(PACKINGS[name].bits_a_number == FORMATS[name].bits for name in whole)


def test_a_tensor_is_one_row_unless_told():
    for packing in PACKINGS.values():
        assert packing.bytes(100) == packing.bytes(100, rows=1, tensors=1) < packing.bytes(100, rows=2)


@settings(max_examples=40)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.sampled_from(["e2m1", "e4m3", "e3m2"]))
def test_a_shared_power_of_two_keeps_the_largest_within_a_gap_and_loses_none_that_fits(numbers, element):
    block, known = share_scale(numbers, element), FORMATS[element]
    largest = Fraction(max(map(abs, numbers)))
    if largest > Fraction(2) ** -100:
        assert block.scale.numerator == 1 or block.scale.denominator == 1
        assert known.largest / 2 < largest / block.scale < 2 * known.largest
    for number, kept in zip(numbers, block.kept, strict=True):
        if abs(number) <= known.largest * block.scale:
            assert kept == known.rounded(Fraction(number) / block.scale) * block.scale


def test_a_shared_power_is_one_of_a_byte():
    """As in the Open Compute Project's *OCP Microscaling Formats (MX) Specification* 1.0, section 5.4.1."""
    assert [share_scale([Fraction(2) ** power], "e2m1").scale for power in (129, 130, -125, -126)] == [
        2**127, 2**127, Fraction(1, 2**127), Fraction(1, 2**127)
    ]  # fmt: skip


def test_one_large_number_takes_the_small_ones_with_it():
    small = [Fraction(n, 32) for n in range(1, 32)]
    assert share_scale([*small, 1], "e2m1").lost < share_scale([*small, 64], "e2m1").lost == 31
    assert share_scale([*small, 64], "e4m3").lost == 0


def test_whole_numbers_share_a_scale_that_makes_the_largest_the_largest():
    block = share_scale([Fraction(7, 2), -1, Fraction(1, 8)], Whole(4), scale="fp32")
    assert block == (Fraction(1, 2), (Fraction(7, 2), -1, 0))
    assert share_scale([0, 0], Whole(8), scale="fp16") == (1, (0, 0))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: find_packing("MXFP5"), "packing='MXFP5' is not known; did you mean 'MXFP8'?"),
        (lambda: grouped(4, group=0), "group=0 is not a size: write a whole number of at least 1"),
        (lambda: Packing("mine", 4, tensor_bits=-1), "tensor_bits=-1 is not a size"),
        (lambda: Packing("mine", 0), "bits=0 is not a size"),
        (lambda: Packing("mine", 4, (Scale(8, 0),)), "numbers of a scale=0 is not a size"),
        (lambda: Packing("mine", 4, (Scale(0, 32),)), "bits of a scale=0 is not a size"),
        (lambda: PACKINGS["MXFP4"].bytes(-3), "row=-3 is not a size: write a whole number of at least 1"),
        (lambda: share_scale([], "e2m1"), "numbers=[] are not a block: give at least one number"),
        (lambda: share_scale([1.0], "e9m9"), "format='e9m9' is not known"),
        (lambda: Whole(1), "bits=1 is not a size: write a whole number of at least 2"),
    ],
)
def test_what_cannot_be_packed_is_refused_by_name(wrong, message):
    with pytest.raises(ValueError) as error:
        wrong()
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: share_scale("1", "e2m1"), "numbers='1' are not a block: write a list of numbers"),
        (lambda: share_scale([float("inf")], "e2m1"), "numbers=inf is not a number"),
        (lambda: PACKINGS["MXFP4"].bytes(2.5), "row=2.5 is not an amount"),
        (lambda: Packing(4, 4), "name=4 is not text"),
        (lambda: Packing("mine", 4, ((8, 32),)), "(8, 32) is not a scale: write Scale(bits=8, numbers=32)"),
    ],
)
def test_what_is_of_another_kind_is_quoted(wrong, message):
    with pytest.raises(TypeError) as error:
        wrong()
    assert str(error.value).startswith(message)
