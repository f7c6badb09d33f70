"""Draw a block of a transformer to scale: a box for each product, as large as its share of the FLOPs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import ceil, sqrt

from flopbook import checks
from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, line, path, rect, words
from flopbook.predict.models import decoder_block
from flopbook.predict.products import Product
from flopbook.predict.values import evaluate
from flopbook.tables import Table

#: Tokens of a sequence, from 128 to 131,072.
LENGTHS = tuple(2**power for power in range(7, 18))

_PASSES = ("forward", "backward", "backward, fused")
_OWN_KEYS, _UNGATED = "keys and values for every head", "feed-forward without a gate"
_FORMS = ("as published", _OWN_KEYS, _UNGATED)
_LETTERS = ("D", "H", "G", "E", "F", "matrices")

_BLOCK = 137.0  # side of a square for the whole block
_ATTENTION, _FEED_FORWARD, _BAR = 64.0, 186.0, 250.0  # where the rows of boxes and the bar are


@dataclass(frozen=True)
class _Box:
    """Says where the box of a product is, and where its label."""

    name: str
    x: float
    y: float
    label: tuple[float, float]
    group: int  # 0 without weights, 1 other products of attention, 2 feed-forward


#: By the result of the product in `decoder_block`; "again" is what fused attention computes again.
_BOXES = {
    "q": _Box("q", 62, _ATTENTION - 41, (34, _ATTENTION - 41), 1),
    "k": _Box("k", 62, _ATTENTION, (34, _ATTENTION), 1),
    "v": _Box("v", 62, _ATTENTION + 41, (34, _ATTENTION + 41), 1),
    "s": _Box("q · k", 143, _ATTENTION, (143, _ATTENTION + 58), 0),
    "again": _Box("q · k again", 229, _ATTENTION, (229, _ATTENTION + 58), 0),
    "o": _Box("p · v", 316, _ATTENTION, (316, _ATTENTION + 58), 0),
    "y": _Box("out", 396, _ATTENTION, (396, _ATTENTION + 58), 1),
    "g": _Box("gate", 92, _FEED_FORWARD, (92, _FEED_FORWARD + 48), 2),
    "f": _Box("up", 196, _FEED_FORWARD, (196, _FEED_FORWARD + 48), 2),
    "z": _Box("down", 300, _FEED_FORWARD, (300, _FEED_FORWARD + 48), 2),
}
#: Kinds of products, and where the bar names them.
_GROUPS = ("q · k, p · v: no weights", 0, "start"), ("q, k, v, out", WIDTH / 2 + 20, ""), ("feed-forward", WIDTH, "end")


def transformer_block(models: Mapping[str, Mapping[str, int]], start: str = "") -> Picture:
    """Draw a block of a transformer decoder, each product as large as its share of the block's FLOPs.

    Parameters
    ----------
    models : mapping of str to mapping
        The sizes of each model by its name, such as `flopbook.predict.models.PUBLISHED`.
    start : str
        The model that is shown first; without it, the first one.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two models, or a size is missing.

    Notes
    -----
    The products are those of `flopbook.predict.models.decoder_block`, for one token: attention is counted dense, with
    as many keys as queries. Backward, fused attention computes the scores again.

    Examples
    --------
    >>> from flopbook.predict.models import PUBLISHED
    >>> print(transformer_block(PUBLISHED).frame(model="Llama 3 8B", T=32768).sentence)
    At T = 32,768, the products without weights take 55.2% of the block. They take half from T = 26,624 on, 6.5 \
times the width D. No rule that counts parameters sees them.
    """
    known = {name: checks.sizes(sizes) for name, sizes in models.items()}
    for name, sizes in known.items():
        if missing := [letter for letter in _LETTERS if letter not in sizes]:
            raise ValueError(f"{name} has no size {', '.join(missing)}: write dict({missing[0]}=3, ...)")

    @cache
    def flops(model: str, form: str, T: int) -> dict[str, tuple[int, int]]:
        sizes = known[model] | dict(B=1, T=T, S=T)
        if form == _OWN_KEYS:
            sizes["G"] = sizes["H"]
        gated = sizes["matrices"] == 3 and form != _UNGATED
        return {product.output.name: _of_a_token(product, sizes) for product in _products(gated)}

    def draw(kind: str, form: str, model: str, T: int) -> Frame:
        both = flops(model, form, T)
        shown = {name: backward if kind in _PASSES[1:] else forward for name, (forward, backward) in both.items()}
        if kind == _PASSES[2]:
            shown["again"] = both["s"][0]
        sizes = known[model]
        return Frame(
            [*_boxes(shown, kind), *_bar(shown, kind)],
            f"At T = {T:,}, the products without weights take {_share(shown, 0):.1%} of the block. "
            + _lesson(shown, T, sizes["D"])
            + _remark(kind, form, sizes),
            Table(["product", "FLOPs of one token"], [(box.name, shown.get(name)) for name, box in _BOXES.items()]),
        )

    return Picture(
        "transformer-block",
        "A block of a transformer, to scale",
        _BAR + 56,
        draw,
        [
            Choice("kind", "Pass", _PASSES),
            Choice("form", "Form", _FORMS),
            Choice("model", "Model", list(known), start=start or next(iter(known))),
            Slider("T", "T, tokens of a sequence", LENGTHS, start=1024),
        ],
    )


@cache
def _products(gated: bool) -> tuple[Product, ...]:
    return decoder_block(gated).forward


def _of_a_token(product: Product, sizes: Mapping[str, int]) -> tuple[int, int]:
    """Return the FLOPs of a product forward, and of its two gradients."""
    kinds = [product.flops], [gradient.flops for gradient in product.gradients]
    forward, backward = (sum(int(evaluate(flops, sizes)) // sizes["T"] for flops in kind) for kind in kinds)
    return forward, backward


def _share(shown: Mapping[str, int], group: int) -> float:
    return sum(value for name, value in shown.items() if _BOXES[name].group == group) / sum(shown.values())


def _boxes(shown: Mapping[str, int], kind: str) -> Iterator[str]:
    """Draw the residual stream, what leaves it and comes back, and a box for each product."""
    for row, below in (_ATTENTION, _ATTENTION + 70), (_FEED_FORWARD, _FEED_FORWARD + 56):
        yield path((12, row), (WIDTH - 8, row), (WIDTH - 8, below), (17, below), kind="faint", closed=False)
        yield words(17, below + 0.5, "◂", "start")
    yield line(12, 6, 12, _BAR - 4, stroke_width=3)
    total = sum(shown.values())
    for name, box in _BOXES.items():
        side = _BLOCK * sqrt(shown.get(name, 0) / total)
        look = "recomputed full" if name == "again" else _look(box.group, kind)
        at = f"translate({box.x:g} {box.y:g}) scale({side:.1f})"  # so that one number says how large it is
        yield rect(-0.5, -0.5, 1, 1, look, transform=at, vector_effect="non-scaling-stroke")
    for name, box in _BOXES.items():
        yield words(*box.label, box.name, "" if name in shown else "faint")


def _look(group: int, kind: str) -> str:
    """Return the colour of the pass: filled without weights, an outline for the rest of attention."""
    return f"{'forward' if kind == _PASSES[0] else 'backward'} {('full', 'line', '')[group]}".strip()


def _bar(shown: Mapping[str, int], kind: str) -> Iterator[str]:
    """Draw the shares of the three groups of products, the first from the left and the last from the right."""
    shares = [f"{_share(shown, group):.1%}" for group in range(3)]
    yield rect(0, _BAR, WIDTH, 18, _look(1, kind))
    yield rect(0, _BAR, shares[0], 18, _look(0, kind))
    yield rect(0, _BAR, shares[2], 18, _look(2, kind), transform=f"translate({WIDTH}) scale(-1 1)")
    yield line(WIDTH / 2, _BAR - 5, WIDTH / 2, _BAR + 23, stroke_width=2)
    yield words(WIDTH / 2 + 6, _BAR - 10, "half", "start")
    for (name, x, side), share in zip(_GROUPS, shares, strict=True):
        yield words(x, _BAR + 32, name, side)
        yield words(x, _BAR + 48, share, side)


def _lesson(shown: Mapping[str, int], T: int, D: int) -> str:
    """Ask where these products take one half, or say it once they do."""
    without = sum(value for name, value in shown.items() if _BOXES[name].group == 0)
    rest = sum(shown.values()) - without
    if without < rest:
        return "At which T do they take half? Guess, then slide."
    half = ceil(rest * T / without)  # these products grow with T, the rest of a token does not
    times = f"{half / D:.3g} times the width D"
    return f"They take half from T = {half:,} on, {times}. No rule that counts parameters sees them."


def _remark(kind: str, form: str, sizes: Mapping[str, int]) -> str:
    """Say what the pass and the form change."""
    said = {
        "forward": "",
        "backward": " Backward, each product takes twice what it takes forward, so that no share changes.",
        "backward, fused": " Fused attention did not keep its scores, and computes q · k again.",
    }[kind]
    if form == _OWN_KEYS:
        times = sizes["H"] // sizes["G"]
        said += f" Its k and v are {times} times as large as published." if times > 1 else " It has them as published."
    if form == _UNGATED:
        said += " Two matrices are left of three." if sizes["matrices"] == 3 else " It has none as published."
    return said
