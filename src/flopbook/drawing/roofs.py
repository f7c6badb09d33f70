"""Draw the roofline of a device, with a point to drag along it."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache
from itertools import pairwise
from math import log10
from typing import NamedTuple

from sympy import Expr

from flopbook import checks
from flopbook.checks import quoted
from flopbook.devices import DEVICES, peaks
from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, element, line, path, rect, words
from flopbook.predict.axes import axis
from flopbook.predict.pointwise import elements
from flopbook.predict.products import Product
from flopbook.predict.roofline import attainable_flop_per_s
from flopbook.predict.values import evaluate
from flopbook.tables import Table
from flopbook.units import plain, si

__all__ = ["Work", "roofline"]

_BYTES: dict[str, int | Fraction] = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "fp8": 1, "fp4": Fraction(1, 2)}
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, WIDTH - 8.0, 24.0, 226.0
_LEAST, _MOST = (0.05, 1e11), (1e4, 1e16)  # FLOP per byte and FLOP/s at the corners
_LARGEST_BATCH = 2**20


class Work(NamedTuple):
    """Says what a piece of work computes and moves.

    Attributes
    ----------
    flops, numbers : Expr
        The FLOPs, and how many numbers are read or written.
    bytes_per_number : int or None
        Bytes of each number; None where they follow from the format.
    """

    flops: Expr
    numbers: Expr
    bytes_per_number: int | None = None


class _Roof(NamedTuple):
    device: str
    format: str

    @property
    def peak(self) -> float:
        return DEVICES[self.device].peak_flop_per_s[self.format]

    @property
    def bandwidth(self) -> float:
        return DEVICES[self.device].bytes_per_s

    @property
    def ridge(self) -> float:
        return self.peak / self.bandwidth

    def height(self, intensity: float) -> float:
        return attainable_flop_per_s(float(intensity), self.peak, self.bandwidth)


def roofline(
    works: Mapping[str, Product | Work],
    sizes: Mapping[str, int],
    *,
    batches: Sequence[int],
    roofs: Sequence[str],
    named: Mapping[str, int],
) -> Picture:
    """Draw the rate that a device allows at each arithmetic intensity, and where work lies.

    Parameters
    ----------
    works : mapping of str to Product or Work
        What is done. The first has the batch, B, among its letters, and its point can be dragged. A product reads its
        operands and writes its result once.
    sizes : mapping of str to int
        The size of each other letter.
    batches : sequence of int
        Values of B, upwards.
    roofs : sequence of str
        Devices and formats, as :func:`flopbook.devices.peaks` names them.
    named : mapping of str to int
        Batches that have a name, such as ``dict(decode=1)``.

    Raises
    ------
    TypeError, ValueError
        If a device is not known, a size is missing, a named batch is not among the batches, or works are neither
        products nor of the class `Work`.

    Examples
    --------
    >>> from flopbook.predict import D, K, matmul
    >>> layer, update = matmul("x[B,D] @ w[D,K] -> y[B,K]"), Work(14 * D * K, 7 * D * K, bytes_per_number=4)
    >>> picture = roofline(
    ...     {"a layer": layer, "AdamW": update},
    ...     dict(D=4096, K=4096),
    ...     batches=[1, 64, 1024],
    ...     roofs=["H100 SXM, bf16", "H100 SXM, fp8"],
    ...     named=dict(decode=1),
    ... )
    >>> print(picture.frame(B=64, roof="H100 SXM, fp8").sentence)
    A layer at a batch of 64: 124 FLOP/B of the 591 that the H100 SXM needs in fp8. So its arithmetic waits for memory
    79% of the time. A batch of 346 would do.
    """
    known = checks.sizes(sizes)
    given = {name: _work(work) for name, work in works.items()}
    by_name = {name: _Roof(*checks.one_of("roof", name, peaks()).split(", ")) for name in roofs}
    for name, batch in named.items():
        if batch not in batches:
            raise ValueError(f"{name}={quoted(batch)} is not among the batches: give one of {quoted(list(batches))}")
    first, start = next(iter(given)), batches[len(batches) // 2]

    @cache
    def intensity(name: str, format_: str, batch: int) -> Fraction:
        work = given[name]
        flops, numbers = (evaluate(each, known | dict(B=batch)) for each in (work.flops, work.numbers))
        return Fraction(flops) / (numbers * (work.bytes_per_number or _BYTES[format_]))

    @cache
    def enough(name: str, roof: _Roof) -> int | None:
        """Find the first batch that keeps the arithmetic busy."""
        at = bisect_left(
            range(1, _LARGEST_BATCH), roof.ridge, key=lambda batch: float(intensity(name, roof.format, batch))
        )
        return None if at == _LARGEST_BATCH - 1 else at + 1

    def draw(work: str, roof: str, B: int) -> Frame:
        on = by_name[roof]
        points = {name: float(intensity(name, on.format, B)) for name in given}
        by_batch = {batch: float(intensity(first, on.format, batch)) for batch in batches}
        asks = (work, roof, B) == (first, roofs[0], start)
        batch = f" at a batch of {B:,}" if axis("B") in given[work].flops.free_symbols else ""
        return Frame(
            [
                *_axes(),
                *_roof(on),
                *_batches(on, by_batch, named),
                *_point(on, points[work], f"B = {B:,}" if batch else work),
                *_handles(first, by_batch),
                *_others(on, first, points),
            ],
            f"{work[0].upper()}{work[1:]}{batch}: {_what(on, points[work], enough(work, on), asks)}",
            Table(
                ["work", "FLOP per byte", "FLOP/s at most", "waits for memory"],
                [
                    (name, plain(at), si(on.height(at), "FLOP/s"), _percent(max(0, 1 - at / on.ridge)))
                    for name, at in points.items()
                ],
            ),
        )

    return Picture(
        "roofline",
        "How fast work can be on a device",
        _BOTTOM + 34,
        draw,
        [
            Choice("work", "Work", list(given)),
            Choice("roof", "Device and format", list(roofs)),
            Slider("B", "B, rows or tokens at once", list(batches), start),
        ],
    )


def _work(given: object) -> Work:
    if isinstance(given, Product):
        return Work(given.flops, elements(given.left, given.right, given.output))
    if not isinstance(given, Work):
        raise TypeError(f"{quoted(given)} is neither a product nor work: write matmul(...) or Work(flops, numbers)")
    return given


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0.99 < share < 1 else f"{share:.0%}"


def _what(roof: _Roof, intensity: float, enough: int | None, asks: bool) -> str:
    """Say what waits for what, and what would help."""
    needs = f"the {plain(round(roof.ridge))} that the {roof.device} needs in {roof.format}."
    if intensity >= roof.ridge:
        rests = _percent(1 - roof.ridge / intensity)
        busy = f"Its arithmetic is busy all the time, and memory rests {rests} of it."
        return f"{plain(intensity)} FLOP/B, more than {needs} {busy}"
    share = _percent(1 - intensity / roof.ridge)
    waits = f"{plain(intensity)} FLOP/B of {needs} So its arithmetic waits for memory {share} of the time."
    if asks:
        return f"{waits} At which batch does it stop? Drag the point, and look where a single row lies."
    return f"{waits} {f'A batch of {enough:,} would do.' if enough else 'No batch changes that.'}"


def _x(intensity: float) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * log10(intensity / _LEAST[0]) / log10(_MOST[0] / _LEAST[0]), 1)


def _y(rate: float) -> float:
    return round(_BOTTOM - (_BOTTOM - _TOP) * log10(rate / _LEAST[1]) / log10(_MOST[1] / _LEAST[1]), 1)


def _axes() -> Iterator[str]:
    yield words(_LEFT - 42, _TOP - 15, "TFLOP/s", "start")
    yield words(_RIGHT, _BOTTOM + 27, "FLOP per byte", "end")
    for power in range(11, 17):
        yield line(_LEFT, _y(10.0**power), _RIGHT, _y(10.0**power), "faint", stroke_width=0.8)
        yield words(_LEFT - 5, _y(10.0**power), f"{10.0 ** (power - 12):,g}", "end")
    for power in range(4):
        yield line(_x(10.0**power), _TOP, _x(10.0**power), _BOTTOM, "faint", stroke_width=0.8)
        yield words(_x(10.0**power), _BOTTOM + 11, f"{10**power:,}")


def _roof(roof: _Roof) -> Iterator[str]:
    ridge, top = _x(roof.ridge), _y(roof.peak)
    left = _x(_LEAST[0]), _y(roof.height(_LEAST[0]))
    yield path(left, (ridge, top), (_RIGHT, top), kind="", closed=False, stroke_width=2.5)
    yield line(ridge, top, ridge, _BOTTOM, "", stroke_dasharray="3 3")
    yield words(_RIGHT, top - 9, si(roof.peak, "FLOP/s"), "end")
    yield words(_x(12) - 8, _y(roof.height(12)) - 8, si(roof.bandwidth, "B/s"), "end")
    yield words(ridge + 6, (top + _BOTTOM) / 2, f"{round(roof.ridge):,} FLOP/B", "start")
    yield words(ridge - 6, _BOTTOM - 10, "waits for memory", "end")
    yield words(ridge + 6, _BOTTOM - 10, "is busy", "start")


def _batches(roof: _Roof, points: Mapping[int, float], named: Mapping[str, int]) -> Iterator[str]:
    for intensity in points.values():
        yield element("circle", cx=_x(intensity), cy=_y(roof.height(intensity)), r=3.5, kind="forward")
    for name, batch in named.items():
        yield words(_x(points[batch]) + 8, _y(roof.height(points[batch])) + 9, name, "start")


def _point(roof: _Roof, intensity: float, name: str) -> Iterator[str]:
    x, y = _x(intensity), _y(roof.height(intensity))
    yield line(x, y, x, _BOTTOM, "forward faint")
    yield element("circle", cx=x, cy=y, r=7, kind="forward full")
    yield words(
        _LEFT + 8, _TOP + 12, f"{name}: {plain(intensity)} FLOP/B, {si(roof.height(intensity), 'FLOP/s')}", "start"
    )


def _handles(first: str, points: Mapping[int, float]) -> Iterator[str]:
    """Let a reader drag from batch to batch."""
    places = [_x(intensity) for intensity in points.values()]
    middles = [(one + other) / 2 for one, other in pairwise(places)]
    for batch, (start, end) in zip(points, pairwise([_LEFT, *middles, _RIGHT]), strict=True):
        yield rect(start, _TOP, round(end - start, 1), _BOTTOM - _TOP, "handle", data_set=f"work={first};B={batch}")


def _others(roof: _Roof, first: str, points: Mapping[str, float]) -> Iterator[str]:
    """Draw the works that cannot be dragged; a click chooses them."""
    for number, name in enumerate(name for name in points if name != first):
        x, y, side = _x(points[name]), _y(roof.height(points[name])), (-1, 1)[number % 2]
        yield rect(x - 4, y - 4, 8, 8, "optimizer", data_set=f"work={name}")
        yield words(x + 8 * side, y + 8 * side, name, ("start", "", "end")[1 - side], data_set=f"work={name}")
