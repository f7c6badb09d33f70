"""Test how many keys a mask leaves to all queries, and to the last one."""

import pytest

from flopbook.predict import axis, evaluate
from flopbook.predict.models import in_chunks, in_window, in_window_around

W = axis("W")
#: Whether a query meets a key, for a width.
MEETS = {
    "window": (in_window, lambda q, k, width: 0 <= q - k < width),
    "window around": (in_window_around, lambda q, k, width: abs(q - k) <= (width - 1) // 2),
    "chunks": (in_chunks, lambda q, k, width: k <= q and q // width == k // width),
}


@pytest.mark.parametrize("width", [1, 3, 5, 9])
@pytest.mark.parametrize("name", MEETS)
def test_a_mask_leaves_the_pairs_that_meet(name, width):
    mask, meets = MEETS[name]
    for tokens in (1, 2, 4, 7):
        met = [sum(meets(q, k, width) for k in range(tokens)) for q in range(tokens)]
        found = [evaluate(amount, dict(T=tokens, W=width)) for amount in (mask(W).pairs, mask(W).last)]
        assert found == [sum(met), met[-1]]
