"""Draw a text that is read and written on, token by token: the cache that grows, FLOPs and bytes of each step."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache as memo
from itertools import product as pairs
from typing import NamedTuple

from flopbook import checks
from flopbook.drawing.controls import Choice, Slider, Steps, Tick
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, rect, words
from flopbook.predict.axes import S
from flopbook.predict.inference import decoder_inference
from flopbook.predict.values import evaluate
from flopbook.tables import Cell, Table
from flopbook.units import plain

_LEFT, _TOP, _LARGEST = 36.0, 54.0, 20.0
_WEIGHT_BYTES = 2


class _Step(NamedTuple):
    """Holds what one step takes for all sequences: FLOPs and bytes, of weights and of what tokens keep."""

    by_weights: int
    by_pairs: int
    of_weights: int
    of_cache: int

    @property
    def flops(self) -> int:
        return self.by_weights + self.by_pairs

    @property
    def bytes(self) -> int:
        return self.of_weights + self.of_cache


def _check_choices(sizes: Mapping[str, int], batches: Sequence[int], groups: Sequence[int]) -> None:
    for each in batches:
        checks.size("B", each)
    for each in groups:
        if sizes.get("H", 0) % checks.size("G", each):
            raise ValueError(f"H={sizes['H']} heads cannot share G={each} of keys and values alike: give divisors of H")


def growing_cache(
    sizes: Mapping[str, int], prompt: int, tokens: int, batches: Sequence[int], groups: Sequence[int]
) -> Picture:
    """Draw the pairs of attention while tokens come one by one, and what each step of a decoder takes.

    First the prompt is read at once, then tokens follow one by one. With a cache only the new token is read, and the
    keys and values of the others are kept; without it every token is read again. Weights have 2 bytes a number.

    Parameters
    ----------
    sizes : mapping of str to int
        The letters of `flopbook.predict.models.decoder`, without B, G, S and T.
    prompt, tokens : int
        The tokens of the prompt, and how many there are in the end.
    batches : sequence of int
        How many sequences run side by side.
    groups : sequence of int
        How many heads of keys and values there may be.

    Raises
    ------
    TypeError, ValueError
        If a size is missing, no token follows the prompt, or heads cannot be shared alike.

    Examples
    --------
    >>> sizes = dict(L=2, D=16, H=4, E=4, F=32, V=40, matrices=2, tables=2)
    >>> picture = growing_cache(sizes, prompt=3, tokens=6, batches=[1, 64], groups=[4, 1])
    >>> print(picture.frame(token=5).sentence)
    Token 5 is read alone and meets 5 tokens, itself among them: 10,112 FLOPs and 10,272 bytes, 0.984 FLOPs for \
each byte. Most bytes are weights, read for one token. What if 64 sequences shared them?
    """
    checks.size("prompt", prompt)
    checks.size("tokens", tokens, least=prompt + 1)
    counts = range(prompt, tokens + 1)
    known = checks.sizes(sizes)
    _check_choices(known, batches, groups)
    model, no_pairs = decoder_inference(), decoder_inference(pairs=0)
    read_whole, read_one = (model.prefill, no_pairs.prefill), (model.decode, model.decode.subs(S, 0))

    @memo
    def step(token: int, cache: bool, groups: int, batch: int, cache_bytes: int) -> _Step:
        at = known | dict(B=batch, G=groups, S=token, T=token)
        run = read_whole if token == prompt or not cache else read_one
        flops, by_weights, read, kept = (int(evaluate(each, at)) for each in (*run, model.read, model.cache))
        return _Step(by_weights, flops - by_weights, _WEIGHT_BYTES * read, cache_bytes * kept * cache)

    cell = min(_LARGEST, (WIDTH * 0.56 - _LEFT) / tokens)
    most = step(tokens, False, max(groups), 1, 2), step(tokens, True, max(groups), 1, 2)

    def draw(token: int, cache: bool, G: int, B: int, small: bool) -> Frame:
        now = step(token, cache, G, B, 1 if small else 2)
        right = _LEFT + tokens * cell + 20
        flops = {"weights": (now.by_weights / B, "forward full"), "pairs": (now.by_pairs / B, "forward")}
        moved = {"weights": (now.of_weights / B, "bytes full"), "cache": (now.of_cache / B, "bytes")}
        shapes = [
            *_grid(token, prompt, tokens, cache, cell),
            *_gauge(right, 24, "FLOPs for a sequence", flops, most[0].flops),
            *_gauge(right, 144, "bytes for a sequence", moved, most[1].bytes),
        ]
        rows: list[tuple[Cell, ...]] = [
            ("weights", now.by_weights, now.of_weights), ("pairs and cache", now.by_pairs, now.of_cache),
            ("together", now.flops, now.bytes), ("for one sequence", plain(now.flops / B), plain(now.bytes / B)),
        ]  # fmt: skip
        return Frame(shapes, said(token, cache, G, B, now), Table(["this step", "FLOPs", "bytes"], rows))

    def said(token: int, cache: bool, G: int, B: int, now: _Step) -> str:
        each = " for each sequence" if B > 1 else ""
        amounts = f"{plain(now.flops / B)} FLOPs and {plain(now.bytes / B)} bytes{each}"
        ratio = f"{plain(now.flops / now.bytes)} FLOPs for each byte"
        if token == prompt:
            return (
                f"The prompt: {token} tokens are read at once, {amounts}, {ratio}. "
                "By what factor do FLOPs and bytes fall when one more token is read alone? Step on."
            )
        if not cache:
            times = now.flops / step(token, True, G, B, 2).flops
            return (
                f"All {token} tokens are read again, though only token {token} is new: {amounts}. "
                f"That is {plain(times)} times the FLOPs that it takes with a cache."
            )
        share = now.of_cache / now.bytes
        first = f"Token {token} is read alone and meets {token} tokens, itself among them: {amounts}, {ratio}. "
        if B == 1:
            if share > 0.5:
                return f"{first}Most bytes are keys and values. How many of them would {batches[-1]} sequences share?"
            return f"{first}Most bytes are weights, read for one token. What if {batches[-1]} sequences shared them?"
        return f"{first}The {B} sequences share the weights, but each has a cache of its own: {share:.0%} of the bytes."

    return Picture(
        "growing-cache",
        "Reading and writing, token by token",
        max(_TOP + tokens * cell + 6, 250),
        draw,
        [
            Steps("token", "Tokens", counts),
            Tick("cache", "keep keys and values", start=True),
            Choice("G", "Heads of keys and values", list(groups)),
            Slider("B", "B, sequences side by side", list(batches)),
            Tick("small", "cache in 8 bits, not 16"),
        ],
    )


def _grid(token: int, prompt: int, tokens: int, cache: bool, cell: float) -> Iterator[str]:
    """Draw which tokens are kept, and which pairs of a query and a key run now, ran before, or never run."""
    first = 0 if token == prompt or not cache else token - 1  # the first token that is read now
    yield words(0, 10, "keys and values, kept", "start")
    for column in range(tokens):
        new = " full" * (column == token - 1)
        there = f"bytes{new}" if cache and column < token else "left-out"
        yield rect(_LEFT + column * cell + 1, 20, cell - 2, 14, there)
        yield words(_LEFT + (column + 0.5) * cell, 44, f"{column + 1}")
    for row in range(tokens):
        yield words(_LEFT - 8, _TOP + (row + 0.5) * cell, f"{row + 1}", "end")
    for row, column in pairs(range(tokens), repeat=2):
        met = column <= row < token
        again = not cache and token > prompt and row < token - 1
        now = "recomputed" if again else "forward full"
        kind = "left-out" if not met else now if row >= first else "forward"
        yield rect(_LEFT + column * cell + 1, _TOP + row * cell + 1, cell - 2, cell - 2, kind)


def _gauge(left: float, top: float, title: str, parts: Mapping[str, tuple[float, str]], most: float) -> Iterator[str]:
    """Draw a bar of parts under their sum, in a frame as long as the most of all states."""
    width = WIDTH - left - 1
    yield words(left, top, title, "start")
    yield words(left, top + 17, plain(sum(amount for amount, _ in parts.values())), "start strong")
    x = left
    for amount, look in parts.values():
        yield rect(x, top + 30, amount / most * width, 20, look)
        x += amount / most * width
    yield rect(left, top + 30, width, 20)
    for row, (name, (amount, look)) in enumerate(parts.items()):
        yield rect(left, top + 57 + 17 * row, 10, 10, look)
        yield words(left + 16, top + 63 + 17 * row, f"{name} {plain(amount)}", "start")
