"""Test the picture of a cache that grows with each token."""

import pytest

from flopbook.drawing import growing_cache
from flopbook.predict import evaluate, matmul

SCORES = matmul("q[B,H,T,E] @ k[B,H,S,E] -> s[B,H,T,S]")
SIZES = dict(B=2, H=3, E=5)


def test_every_state_has_the_flops_of_the_product(states):
    picture = growing_cache(SCORES, SIZES, prompt=3, tokens=7)
    so_far = {True: 0, False: 0}
    for state, frame in states(picture):
        token, cache = state["token"], state["cache"]
        asking = token if token == 3 or not cache else 1
        now = evaluate(SCORES.flops, {**SIZES, "T": asking, "S": token})
        so_far[cache] += now
        _, *row = frame.table.rows[0 if cache else 1]
        assert row == [now, so_far[cache], 2 * 3 * 5 * token if cache else 0]
        assert f"{now:,} FLOPs" in frame.sentence
        computed = sum("forward full" in shape or '"recomputed"' in shape for shape in frame.shapes)
        assert 2 * 2 * 3 * 5 * computed == now


def test_the_cache_has_a_column_for_each_token():
    picture = growing_cache(SCORES, SIZES, prompt=3, tokens=7)
    for token in range(3, 8):
        assert sum('"bytes' in shape for shape in picture.frame(token=token).shapes) == token
        assert not any('"bytes' in shape for shape in picture.frame(token=token, cache=False).shapes)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        (("s", SIZES, 3, 7), TypeError, "'s' is not a product"),
        ((matmul("x[B,D] @ w[D,K] -> y[B,K]"), dict(D=2), 3, 3), ValueError, "tokens"),
        ((SCORES, dict(B=1), 3, 7), ValueError, "needs a size for"),
        ((matmul("q[T,E] @ k[E] -> s[T]"), dict(E=1), 3, 7), ValueError, "is not queries times keys"),
        ((matmul("q[S,T,E] @ k[S,E] -> s[T,S]"), dict(E=1), 3, 7), ValueError, "is not queries times keys"),
    ],
)
def test_what_cannot_be_drawn_is_refused(given, error, says):
    with pytest.raises(error, match=says):
        growing_cache(*given)
