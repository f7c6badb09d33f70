"""Test the picture of a cache that grows with each token."""

import pytest

from flopbook.drawing import growing_cache
from flopbook.predict import T, evaluate
from flopbook.predict.inference import decoder_inference

SIZES = dict(L=2, D=8, H=6, E=4, F=12, V=20, matrices=3, tables=2)
MODEL = decoder_inference()


@pytest.fixture(scope="module")
def picture():
    return growing_cache(SIZES, prompt=3, tokens=6, batches=[1, 4], groups=[6, 2])


def test_every_state_has_the_flops_and_bytes_of_the_decoder(picture, states):
    for state, frame in states(picture):
        token, whole = state["token"], state["token"] == 3 or not state["cache"]
        at = SIZES | dict(B=state["B"], G=state["G"], S=token, T=token)
        weights, pairs, together, _ = frame.table.rows
        assert together[1] == weights[1] + pairs[1] == evaluate(MODEL.prefill if whole else MODEL.decode, at)
        assert pairs[1] == 4 * state["B"] * 2 * 6 * 4 * (evaluate(T * (T + 1) / 2, at) if whole else token)
        cache = (1 if state["small"] else 2) * evaluate(MODEL.cache, at) if state["cache"] else 0
        assert pairs[2] == cache
        assert together[2] == weights[2] + cache == 2 * evaluate(MODEL.read, at) + cache


def test_squares_are_the_pairs_that_run(picture, states):
    for state, frame in states(picture):
        token, whole = state["token"], state["token"] == 3 or not state["cache"]
        grid = frame.shapes[:-18]
        run = sum("forward full" in shape or '"recomputed"' in shape for shape in grid)
        assert run == (token * (token + 1) // 2 if whole else token)
        assert sum('"bytes' in shape for shape in grid) == (token if state["cache"] else 0)


def test_a_long_text_has_more_keys_and_values_than_weights():
    picture = growing_cache(SIZES, prompt=198, tokens=200, batches=[1, 4], groups=[6, 2])
    sentences = {G: picture.frame(token=200, G=G).sentence for G in (6, 2)}
    assert "Most bytes are keys and values" in sentences[6]
    assert 2 * evaluate(MODEL.cache, SIZES | dict(B=1, G=6, S=200)) > 2 * evaluate(MODEL.read, SIZES | dict(G=6))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (dict(prompt=6), "tokens=6 is not a size"),
        (dict(sizes=dict(L=1)), "needs a size for"),
        (dict(groups=[6, 4]), "H=6 heads cannot share G=4"),
        (dict(groups=[6, 0]), "G=0 is not a size"),
        (dict(batches=[1, 0]), "B=0 is not a size"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changed, says):
    given = dict(sizes=SIZES, prompt=3, tokens=6, batches=[1, 4], groups=[6, 2])
    with pytest.raises(ValueError, match=says):
        growing_cache(**given | changed)
