"""Test the bytes of sparse tensors at the ends of what can be stored."""

import pytest
from sympy import Integer, Rational

from flopbook.predict.sparse_products import empty_blocks, n_of_m_bytes


@pytest.mark.parametrize(
    ("numbers", "n", "m", "bits_of_a_place"), [(8, 2, 4, 2), (8, 1, 2, 1), (10, 2, 5, 3), (4, 4, 4, 2), (1, 1, 1, 0)]
)
def test_each_stored_number_has_the_bits_that_tell_its_place_among_m(numbers, n, m, bits_of_a_place):
    assert 8 * n_of_m_bytes(numbers, n=n, m=m, number_bytes=2) == numbers * n // m * (16 + bits_of_a_place)


def test_of_no_numbers_every_block_is_empty_and_of_all_numbers_none():
    assert (empty_blocks(0, 4), empty_blocks(1, 4)) == (1, 0)
    assert (empty_blocks(Integer(0), 4), empty_blocks(Integer(1), 4)) == (1, 0)


@pytest.mark.parametrize("wrong", [-0.5, 1.5, Rational(-1, 2), Rational(3, 2)])
def test_what_is_not_a_share_is_refused(wrong):
    with pytest.raises(ValueError, match="is not a share: write a number from 0 to 1"):
        empty_blocks(wrong, 4)
