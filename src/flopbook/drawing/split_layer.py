"""Draw two products whose matrices are split over ranks: each rank's part, its FLOPs, and what it sends."""

from collections.abc import Iterator, Mapping, Sequence

from flopbook import checks
from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, rect, words
from flopbook.predict.notation import Tensor
from flopbook.predict.parallel.splitting import MeshAxis, OnRank, Split, split
from flopbook.predict.parallel.transfers import carried
from flopbook.predict.products import Product, matmul
from flopbook.predict.steps import training_step
from flopbook.tables import Table, Total

__all__ = ["SPLITS", "split_product"]

#: The letter along which each product is split, by the name of its result. A picture opens on the first, which says
#: nothing yet about a matrix that is cut.
SPLITS = {
    "the batch": {"h": "B", "y": "B"},
    "columns, then rows": {"h": "H", "y": "H"},
    "columns twice": {"h": "H", "y": "K"},
    "rows, then columns": {"h": "D", "y": "K"},
    "rows twice": {"h": "D", "y": "H"},
}
_PRODUCTS = matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]")
_STEP = training_step(*_PRODUCTS)
_LENGTHS = {"B": 48.0, "D": 60.0, "H": 112.0, "K": 60.0}  # units; a batch of any size is drawn alike
_TOPS, _SIGNS, _LEFT = (22.0, 118.0), ("·", "=", ""), 30.0
_LIST, _BARS = 250.0, 326.0
_MOST_MOVES, _MOST_RANKS, _BAR = 4, 4, 200.0


def split_product(sizes: Mapping[str, int], batches: Sequence[int], ranks: Sequence[int] = (2, 4)) -> Picture:
    """Draw an MLP of two matrices over ranks: choose which letter of each product is split.

    Parameters
    ----------
    sizes : mapping of str to int
        The widths D, H and K of ``x[B,D] @ w1[D,H] -> h[B,H]`` and ``h[B,H] @ w2[H,K] -> y[B,K]``.
    batches, ranks : sequence of int
        Values of B, and numbers of ranks, at most 4, that divide all sizes.

    Raises
    ------
    TypeError, ValueError
        If a size is missing, or ranks do not divide it, or there are more than 4.

    Examples
    --------
    >>> picture = split_product(dict(D=64, H=256, K=64), batches=[8, 512])
    >>> print(picture.frame(letters="columns, then rows").sentence)
    Each of 2 ranks runs half of the FLOPs. H is kept in h, and H is summed over in y: so there is an all-reduce of y \
forward and an all-reduce of x.grad backward. Each rank sends 4,096 bytes in a step. That is the fewest of these splits.
    """
    known = checks.sizes(sizes)
    for number in ranks:
        if checks.size("ranks", number, least=2) > _MOST_RANKS:
            raise ValueError(f"ranks={number} are more than can be drawn: give 2 to 4")
    splits = {(name, number): split(_STEP, MeshAxis(letters, number), weights="w1 w2")
              for name, letters in SPLITS.items() for number in ranks}  # fmt: skip
    found = {(*key, B): part.at({**known, "B": B}) for key, part in splits.items() for B in batches}
    most_sent = max(map(_sent, found.values()))
    whole = {B: split(_STEP, weights="w1 w2").at({**known, "B": B}) for B in batches}

    def draw(letters: str, ranks: int, B: int) -> Frame:
        part, now = splits[letters, ranks], found[letters, ranks, B]
        given = {**known, "B": B}
        others = [_sent(found[name, ranks, B]) for name in SPLITS]
        moves = [
            (move.transfer.phase, move.transfer.collective, move.tensor, _only(carried([move.transfer], given)))
            for move in part.moves
        ]
        rows = [
            ("FLOPs forward", now.forward), ("FLOPs backward", now.backward),
            *((f"{phase}: {collective} of {tensor}", ring) for phase, collective, tensor, (_, _, ring) in moves),
            Total(("bytes that a rank sends", _sent(now))),
        ]  # fmt: skip
        return Frame(
            [*_tensors(SPLITS[letters], given, ranks), *_moves(moves), *_bars(now, whole[B], _sent(now), most_sent)],
            _sentence(part, now, ranks, SPLITS[letters], _sent(now) == min(others)),
            Table(["on each rank", "amount"], rows),
        )

    return Picture(
        "split-product",
        "Two products, split over ranks",
        _BARS + 56,
        draw,
        [
            Choice("letters", "Split", list(SPLITS)),
            Slider("ranks", "Ranks", list(ranks)),
            Slider("B", "B, the batch", list(batches)),
        ],
    )


def _only(found: dict[tuple[str, str], tuple[int, int, int]]) -> tuple[int, int, int]:
    (one,) = found.values()
    return one


def _sent(found: OnRank) -> int:
    return sum(ring for _, _, ring in found.carried.values())


def _tensors(letters: Mapping[str, str], sizes: Mapping[str, int], ranks: int) -> Iterator[str]:
    """Draw both products, and in each tensor which rank has which part."""
    for product, top in zip(_PRODUCTS, _TOPS, strict=True):
        tensors = (product.left, product.right, product.output)
        left, letter = _LEFT, letters[product.output.name]
        tallest = max(_LENGTHS[tensor.axes[0]] for tensor in tensors)
        for tensor, sign in zip(tensors, _SIGNS, strict=True):
            height, width = (_LENGTHS[axis] for axis in tensor.axes)
            named = f"{tensor.name}[{','.join(str(sizes[axis]) for axis in tensor.axes)}]"
            yield words(left + width / 2, top - 11, named, "code")
            yield from _parts(product, tensor, letter, ranks, (left, top, width, height))
            left += width + 30
            yield words(left - 15, top + tallest / 2, sign, "strong") if sign else "<g/>"


def _parts(
    product: Product, tensor: Tensor, letter: str, ranks: int, place: tuple[float, float, float, float]
) -> Iterator[str]:
    """Draw the part of each rank with the number of the rank; that of rank 0 is full."""
    left, top, width, height = place
    split_here = letter in tensor.axes
    by_rows = split_here and tensor.axes.index(letter) == 0
    for rank in range(_MOST_RANKS):
        if rank >= (ranks if split_here else 1):
            yield from ["<g/>"] * 2
            continue
        share = ranks if split_here else 1
        wide, high = (width, height / share) if by_rows else (width / share, height)
        x, y = left + (0 if by_rows else rank * wide), top + (rank * high if by_rows else 0)
        partial = not split_here and tensor is product.output
        look = "left-out" if partial else "forward" if rank == 0 else "forward faint"
        yield rect(x + 0.5, y + 0.5, wide - 1, high - 1, look, stroke_width=2 if rank == 0 else 1)
        text = f"{rank}" if split_here else "+".join("0123"[:ranks]) if partial else "all"
        yield words(x + wide / 2, y + high / 2 + 1, text, "strong" if rank == 0 else "")


def _moves(moves: Sequence[tuple[str, str, Tensor, tuple[int, int, int]]]) -> Iterator[str]:
    for number in range(_MOST_MOVES):
        y = _LIST + 16 * number
        if number < len(moves):
            phase, collective, tensor, (_, _, ring) = moves[number]
            yield words(4, y, f"{phase}: {collective} of {tensor.name}", "start")
            yield words(WIDTH - 4, y, f"{ring:,} bytes sent", "end")
        else:
            yield from ["<g/>"] * 2


def _bars(now: OnRank, whole: OnRank, sent: int, most: int) -> Iterator[str]:
    """Draw the FLOPs of a rank against those of one that runs all, and the bytes against the most of any split."""
    longest = whole.forward + whole.backward
    bars = (
        ("forward", "forward", now.forward, longest, "FLOPs"),
        ("backward", "backward", now.backward, longest, "FLOPs"),
        ("sent", "bytes", sent, most, "bytes"),
    )
    for number, (name, look, amount, of, unit) in enumerate(bars):
        y = _BARS + 18 * number
        yield words(4, y + 7, name, "start")
        yield rect(70, y, _BAR, 13, "faint")
        yield rect(70, y, _BAR * amount / of, 13, look)
        yield words(WIDTH - 4, y + 7, f"{amount:,} {unit}", "end")


def _sentence(part: Split, now: OnRank, ranks: int, letters: Mapping[str, str], fewest: bool) -> str:
    share = {2: "half", 3: "a third", 4: "a quarter"}[ranks]
    said = []
    for product in _PRODUCTS:
        letter, name = letters[product.output.name], product.output.name
        fate = "is kept" if letter in product.output.axes else "is summed over"
        said.append(f"{letter} {fate} in {name}")
    moved = [
        f"an {move.transfer.collective} of {move.tensor.name} {move.transfer.phase}"
        .replace("an reduce", "a reduce") for move in part.moves
    ]  # fmt: skip
    listed = " and ".join([", ".join(moved[:-1]), moved[-1]] if len(moved) > 1 else moved)
    end = "That is the fewest of these splits." if fewest else "Another of these splits sends fewer."
    return (
        f"Each of {ranks} ranks runs {share} of the FLOPs. {said[0]}, and {said[1]}: "
        f"so there is {listed}. Each rank sends {_sent(now):,} bytes in a step. {end}"
    )
