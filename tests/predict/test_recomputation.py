"""Test the plans of what to keep and what to run again, on paper."""

import pytest

from flopbook.predict import B, D, E, F, H, L, T, axis, evaluate
from flopbook.predict.recomputation import Block, BlockFormats

GPT3 = dict(B=1, T=2048, D=12288, H=96, E=128, F=4 * 12288)
USUAL = {E: D / H, F: 4 * D}


def test_the_published_formulas_follow_from_the_lines():
    paper = Block(dropout=True, formats=BlockFormats(statistic=0))
    assert paper.kept.subs(USUAL).expand() == 34 * B * D * T + 5 * B * H * T**2
    assert (paper.kept - paper.squares).subs(USUAL).expand() == 34 * B * D * T
    assert evaluate(paper.kept, GPT3) == 2048 * 12288 * (34 + 5 * 96 * 2048 // 12288) == 2_868_903_936


def one_by_one(each, kept, every, layers):
    """Go back through checkpoints in numbers: bytes when the forward pass ends, and at the most."""
    starts = list(range(0, layers, every))
    blocks = [min(every, layers - start) for start in starts]
    most = [place * each + blocks[place] * kept for place in range(len(starts))]
    return [len(starts) * each, max(most)]


@pytest.mark.parametrize("layers", [1, 2, 5, 7])
@pytest.mark.parametrize("every", [1, 2, 3, 9])
def test_checkpoints_are_those_that_go_back_one_by_one(every, layers):
    sizes = dict(B=2, T=3, D=5, H=2, E=3, F=7)
    block = Block()
    expected = one_by_one(evaluate(block.input, sizes), evaluate(block.kept, sizes), every, layers)
    for trade in block.checkpoint_every(every, layers), block.checkpoint_every(axis("k"), L):
        assert [evaluate(size, sizes | dict(k=every, L=layers)) for size in trade[:2]] == expected


@pytest.mark.parametrize("layers", [1, 2, 5])
@pytest.mark.parametrize("length", [1, 3, 200])
def test_squares_come_back_beside_what_was_made_before_them(layers, length):
    sizes = dict(B=2, T=length, D=5, H=2, E=3, F=7)
    trade, block = Block().recompute_squares(L), Block()
    kept, squares = (evaluate(size, sizes) for size in (block.kept, block.squares))
    norm, heads = 2 * 5 + 2 * 5 + 2 * 4, 3 * 2 * (2 * 3)  # bytes of a token: two activations, two statistics; q, k, v
    before = 2 * length * (norm + heads)
    most = max(layers * (kept - squares), (layers - 1) * (kept - squares) + before + squares)
    assert [evaluate(size, sizes | dict(L=layers)) for size in trade[:2]] == [layers * (kept - squares), most]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Block(fused="yes"), "fused='yes' is neither True nor False"),
        (lambda: Block(formats=2), "formats=2 are not formats: write ON_GPU, ON_CPU or BlockFormats"),
        (lambda: BlockFormats(mask=-1), "mask"),
        (lambda: Block().checkpoint_every(0, 3), "every"),
        (lambda: Block().checkpoint_every(2.5, 3), "every=2.5 is not an amount"),
        (lambda: Block().checkpoint_every(2, 3, early_stop="no"), "early_stop='no' is neither True nor False"),
        (lambda: Block().recompute_squares(3, early_stop=1), "early_stop=1 is neither True nor False"),
        (lambda: Block().keep_all("L"), "layers='L' is not an amount"),
        (lambda: Block(fused=True).recompute_squares(3), "fused=True keeps no squares"),
    ],
)
def test_what_cannot_be_is_refused(call, said):
    with pytest.raises((TypeError, ValueError), match=said):
        call()
