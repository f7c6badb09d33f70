"""Draw which scores attention computes while tokens come one by one, and the cache of keys that grows."""

from collections.abc import Mapping
from itertools import product as pairs

from flopbook import checks
from flopbook.checks import quoted
from flopbook.drawing.controls import Steps, Tick
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, rect, words
from flopbook.predict.pointwise import elements
from flopbook.predict.products import Product
from flopbook.predict.values import evaluate
from flopbook.tables import Table

_LEFT, _TOP, _LARGEST = 70.0, 56.0, 20.0


def growing_cache(scores: Product, sizes: Mapping[str, int], prompt: int, tokens: int) -> Picture:
    """Draw the scores of attention, a row for each token that asks and a column for each key.

    First the prompt is read at once, then tokens follow one by one. With a cache only the new token asks, and the
    keys of the others are kept; without it every token asks again.

    Parameters
    ----------
    scores : Product
        Of queries with keys, such as ``matmul("q[B,H,T,E] @ k[B,H,S,E] -> s[B,H,T,S]")``. The last letters of the
        result are the tokens that ask, and the keys.
    sizes : mapping of str to int
        The sizes of the other letters.
    prompt, tokens : int
        The tokens of the prompt, and how many there are in the end.

    Raises
    ------
    TypeError, ValueError
        If it is not a product of queries with keys, a size is missing, or no token follows the prompt.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> scores = matmul("q[B,H,T,E] @ k[B,H,S,E] -> s[B,H,T,S]")
    >>> picture = growing_cache(scores, dict(B=1, H=2, E=8), prompt=3, tokens=6)
    >>> print(picture.frame(token=5).sentence)
    Token 5 asks 5 keys, of which 4 were kept: 160 FLOPs. The cache holds 80 numbers.
    >>> print(picture.frame(token=5, cache=False).sentence)
    5 tokens ask 5 keys, though only token 5 is new: 800 FLOPs, 5 times as many as with a cache.
    """
    written = "write matmul('q[T,E] @ k[S,E] -> s[T,S]')"
    if not isinstance(scores, Product):
        raise TypeError(f"{quoted(scores)} is not a product: {written}")
    asking, kept = ("", *scores.output.axes)[-2:]
    if asking not in scores.left.axes or asking in scores.right.axes or kept in scores.left.axes:
        raise ValueError(f"{scores} is not queries times keys: {written}")
    checks.size("prompt", prompt)
    checks.size("tokens", tokens, least=prompt + 1)
    counts = range(prompt, tokens + 1)

    def cost(rows: int, columns: int) -> int:
        return int(evaluate(scores.flops, {**sizes, asking: rows, kept: columns}))

    held = {count: int(evaluate(elements(scores.right), {**sizes, kept: count})) for count in counts}
    flops = {
        True: {count: cost(count if count == prompt else 1, count) for count in counts},
        False: {count: cost(count, count) for count in counts},
    }
    cell = min(_LARGEST, (WIDTH - _LEFT - 6) / tokens)

    def draw(token: int, cache: bool) -> Frame:
        first = 0 if token == prompt or not cache else token - 1  # the first token that asks now
        shapes = [
            words(_LEFT - 8, _TOP - 42, f"{scores.right.name}, kept", "end"),
            words(_LEFT - 8, _TOP - 9, f"{scores.left.name}, asks", "end"),
            *(words(_LEFT - 8, _TOP + (row + 0.5) * cell, f"{row + 1}", "end") for row in range(tokens)),
        ]
        for column in range(tokens):
            new = " full" * (column == token - 1)
            there = f"bytes{new}" if cache and column < token else "left-out"
            shapes.append(rect(_LEFT + column * cell + 1, _TOP - 42 - cell / 2, cell - 2, cell - 2, there))
            shapes.append(words(_LEFT + (column + 0.5) * cell, _TOP - 9, f"{column + 1}"))
        for row, column in pairs(range(tokens), repeat=2):
            now = first <= row < token and column < token
            again = now and token > prompt and (row, column) < (token - 1, 0)
            before = cache and row < token and column <= max(row, prompt - 1)
            kind = "recomputed" if again else "forward full" if now else "forward" if before else "left-out"
            shapes.append(rect(_LEFT + column * cell + 1, _TOP + row * cell + 1, cell - 2, cell - 2, kind))
        so_far = {name: sum(each[count] for count in counts if count <= token) for name, each in flops.items()}
        rows = [
            ("with a cache", flops[True][token], so_far[True], held[token]),
            ("without", flops[False][token], so_far[False], 0),
        ]
        head = ["", "FLOPs now", "FLOPs so far", "numbers kept"]
        return Frame(shapes, said(token, cache), Table(head, rows))

    def said(token: int, cache: bool) -> str:
        now = flops[cache][token]
        if token == prompt:
            return (
                f"The prompt: {token} tokens ask {token} keys at once, {now:,} FLOPs. "
                "How many FLOPs does the next token take, with a cache of the keys and without?"
            )
        if cache:
            return (
                f"Token {token} asks {token} keys, of which {token - 1} were kept: {now:,} FLOPs. "
                f"The cache holds {held[token]:,} numbers."
            )
        times = now // flops[True][token]
        return (
            f"{token} tokens ask {token} keys, though only token {token} is new: {now:,} FLOPs, "
            f"{times} times as many as with a cache."
        )

    return Picture(
        "growing-cache",
        "The scores of attention, token by token",
        _TOP + tokens * cell + 6,
        draw,
        [Steps("token", "Tokens", counts), Tick("cache", "keep the keys in a cache", start=True)],
    )
