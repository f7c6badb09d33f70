"""Draw which queries meet which keys under a mask, and what a kernel runs that skips whole blocks of pairs."""

from collections.abc import Callable, Mapping, Sequence

from sympy import Expr

from flopbook import checks
from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, line, rect, words
from flopbook.predict.axes import S, T
from flopbook.predict.models.attention import causal, chunks, documents, window
from flopbook.predict.products import matmul
from flopbook.predict.steps import flops
from flopbook.predict.values import evaluate
from flopbook.tables import Table

_LEFT, _TOP, _GRID = 36.0, 40.0, 240.0
_PANEL = _LEFT + _GRID + 18

#: The products of attention that have no weight: scores, and weighted sums of values.
_PRODUCTS = matmul("q[B,T,H,E] @ k[B,S,H,E] -> s[B,H,T,S]"), matmul("p[B,H,T,S] @ v[B,S,H,E] -> o[B,T,H,E]")

#: The keys that a query meets, from the first to before the last; all places are counted from 0.
_Keys = tuple[int, int]


def painted_mask(sizes: Mapping[str, int], tokens: int = 12) -> Picture:
    """Draw a row for each query and a column for each key, filled where they meet.

    Parameters
    ----------
    sizes : mapping of str to int
        The sequences B, the heads H, and their width E.
    tokens : int
        How many queries and keys there are, at least 4.

    Raises
    ------
    TypeError, ValueError
        If a size is missing, or there are fewer tokens.

    Examples
    --------
    >>> picture = painted_mask(dict(B=1, H=1, E=16))
    >>> print(picture.frame(mask="causal", M=4).sentence)
    Token t meets t keys, its own among them: 78 pairs of 144, half of them and half of the diagonal. A kernel that \
skips pairs in whole blocks of 4 × 4 runs 96.
    """
    checks.size("tokens", tokens, least=4)
    a_pair = int(evaluate(flops(_PRODUCTS) / (T * S), sizes))
    masks = _masks(tokens)
    cell = _GRID / tokens

    def draw(mask: str, W: int, M: int) -> Frame:
        meets, pairs = masks[mask]
        keys = [meets(query, W) for query in range(tokens)]
        run = [_in_blocks(keys, query, M) for query in range(tokens)]
        counts = {
            "dense": tokens * tokens,
            "run in blocks": sum(last - first for first, last in run),
            "needed": int(pairs(W)),
        }
        table = Table(["", "pairs", "FLOPs"], [(what, number, a_pair * number) for what, number in counts.items()])
        return Frame(
            [*_rows(run, keys, cell), *_lines(tokens, M, cell), *_panel(counts, a_pair), *_handles(tokens, cell)],
            _said(mask, W, M, tokens, counts),
            table,
        )

    blocks = [size for size in range(1, tokens + 1) if tokens % size == 0]
    return Picture(
        "painted-mask",
        "The pairs of queries and keys that a mask leaves",
        _TOP + _GRID + 6,
        draw,
        [
            Choice("mask", "Mask", list(masks)),
            Slider("W", "W, tokens of window, chunk or first document", range(1, tokens + 1), start=tokens // 3),
            Slider("M", "M, side of a block that is skipped whole", blocks, start=1),
        ],
    )


def _masks(tokens: int) -> dict[str, tuple[Callable[[int, int], _Keys], Callable[[int], Expr | int]]]:
    """Return the keys of a query, and the pairs of all, for each mask and W."""
    return {
        "none": (lambda query, W: (0, tokens), lambda W: tokens * tokens),
        "causal": (lambda query, W: (0, query + 1), lambda W: causal(tokens)),
        "window": (lambda query, W: (max(0, query - W + 1), query + 1), lambda W: window(tokens, W)),
        "chunks": (lambda query, W: (query // W * W, query + 1), lambda W: chunks(tokens, W)),
        "two documents": (
            lambda query, W: (0 if query < W else W, query + 1),
            lambda W: documents([W, tokens - W]),
        ),
    }


def _in_blocks(keys: Sequence[_Keys], query: int, size: int) -> _Keys:
    """Return the keys that a query meets in whole blocks, which all queries of its rows of blocks share."""
    rows = keys[query // size * size :][:size]
    return min(first for first, _ in rows) // size * size, -(-max(last for _, last in rows) // size) * size


def _rows(run: Sequence[_Keys], keys: Sequence[_Keys], cell: float) -> list[str]:
    shapes = []
    for kind, each in (("forward", run), ("forward full", keys)):
        for row, (first, last) in enumerate(each):
            shapes.append(
                rect(_LEFT + first * cell, _TOP + row * cell, (last - first) * cell, cell, kind, stroke="none")
            )
    return shapes


def _lines(tokens: int, size: int, cell: float) -> list[str]:
    shapes = [words(_LEFT + _GRID / 2, 10, "keys"), words(_LEFT - 34, 10, "queries", "start")]
    for number in range(tokens + 1):
        along = number * cell
        width = 1.8 if number % size == 0 and size > 1 else 0.4
        shapes += [
            line(_LEFT + along, _TOP, _LEFT + along, _TOP + _GRID, stroke_width=width),
            line(_LEFT, _TOP + along, _LEFT + _GRID, _TOP + along, stroke_width=width),
        ]
    for number in range(tokens):
        middle = (number + 0.5) * cell
        shapes += [
            words(_LEFT + middle, _TOP - 10, f"{number + 1}"),
            words(_LEFT - 6, _TOP + middle, f"{number + 1}", "end"),
        ]
    return shapes


def _panel(counts: Mapping[str, int], a_pair: int) -> list[str]:
    shapes, width = [], WIDTH - 4 - _PANEL
    for place, (what, number) in enumerate(counts.items()):
        y, kind = _TOP + 20 + 82.0 * place, {"dense": "", "run in blocks": "forward", "needed": "forward full"}[what]
        shapes += [
            words(_PANEL, y, what, "start strong"),
            rect(_PANEL, y + 10, width * number / counts["dense"], 12, kind),
            words(_PANEL, y + 34, f"{number} pairs", "start"),
            words(_PANEL, y + 50, f"{a_pair * number:,} FLOPs", "start"),
        ]
    return shapes


def _handles(tokens: int, cell: float) -> list[str]:
    """Let a click on a pair set W, so that the pair is the farthest that a window leaves."""
    return [
        rect(_LEFT + key * cell, _TOP + query * cell, cell, cell, "handle", data_set=f"W={query - key + 1}")
        for query in range(tokens)
        for key in range(query + 1)
    ]


def _said(mask: str, W: int, M: int, tokens: int, counts: Mapping[str, int]) -> str:
    dense, run, needed = counts.values()
    left = f"{needed} pairs of {dense}"
    if mask == "none":
        return (
            f"Every query meets every key: {tokens} × {tokens} = {dense} pairs. "
            "How many are left if a token meets only itself and the tokens before it: half, fewer or more? "
            "Say a number, then choose causal."
        )
    rest = tokens - W
    what = {
        "causal": f"Token t meets t keys, its own among them: {left}, half of them and half of the diagonal.",
        "window": f"A token meets at most {W} keys, its own among them: {left}. Click a pair, and W just reaches it.",
        "chunks": f"In chunks of {W}, a token meets itself and those before it in its chunk: {left}.",
        "two documents": f"Documents of {W} and {rest} tokens never meet each other: {left}.",
    }[mask]
    if mask == "window" and not rest:
        what = f"A window as long as the sequence is a causal mask: {left}."
    if mask == "two documents" and not rest:
        what = f"One document fills the sequence: {left}."
    blocks = "one by one" if M == 1 else f"in whole blocks of {M} × {M}"
    return f"{what} A kernel that skips pairs {blocks} runs {run}."
