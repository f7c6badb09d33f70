"""Draw a model as a treemap: an area for each module, as large as its share of the whole."""

from collections.abc import Iterator, Mapping, Sequence
from colorsys import hls_to_rgb
from dataclasses import dataclass

from flopbook.checks import quoted
from flopbook.counts.breakdown import Node
from flopbook.drawing.controls import Choice
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, rect, words
from flopbook.tables import Table, Total
from flopbook.units import si

_TOP, _HEIGHT = 26.0, 250.0  # where the areas begin, and how high all of them are
_LETTER, _LINE = 6.8, 16.0  # room that a letter and a line take
_GOLDEN = 0.618034  # turns of the colour wheel between two modules: no two of them come close for long

_FLOPS, _POINTWISE, _SECONDS = "FLOPs of contractions", "pointwise FLOPs", "seconds forward"
_MEASURES = {
    "parameters": lambda node: node.parameters,
    _FLOPS: lambda node: node.flops,
    _POINTWISE: lambda node: node.cost.pointwise,
}

_Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True)
class _Part:
    """Holds what one area stands for: a module, or what a module has beside the modules that it holds."""

    name: str
    colour: str
    opens: str
    amounts: Mapping[str, float]


def module_areas(step: Node, seconds: Mapping[str, float] | None = None) -> Picture:
    """Draw a model as areas: parameters, FLOPs or seconds of each module.

    Parameters
    ----------
    step : Node
        A tree of modules, such as ``report.counted.step``, or a part of it.
    seconds : mapping of str to float, optional
        Seconds of the forward pass by path, such as ``report.latency``. A module that was not called has those of the
        modules that it holds.

    Raises
    ------
    TypeError
        If `step` is not a tree of modules.
    ValueError
        If it holds no module, or more than a thousand of its modules hold others.

    Notes
    -----
    What a module has beside the modules that it holds is an area *itself*: its own parameters, and what its
    ``forward`` computes. It is negative in the table, and has no area, where modules share parameters, which the module
    around them counts once, or where medians of times do not add up.

    The areas are laid out as in M. Bruls, K. Huizing, J. van Wijk, *Squarified treemaps*, 2000.

    Examples
    --------
    >>> from flopbook.counts.breakdown import break_down
    >>> from flopbook.counts.tally import Tally
    >>> tally = Tally()
    >>> tally.witness = "counted"
    >>> tally.note("forward", "Net.layer", "aten::addmm", 1280, 40)
    >>> kinds = {"Net": "Net", "Net.words": "Embedding", "Net.layer": "Linear"}
    >>> parameters = {"": 485, "Net": 485, "Net.words": 400, "Net.layer": 85}
    >>> picture = module_areas(break_down(tally, kinds, parameters).step)
    >>> print(picture.frame(measure="FLOPs of contractions").sentence)
    Of the FLOPs of contractions of Net, layer Linear has most: 100.0%. It has 17.5% of the parameters.
    """
    if not isinstance(step, Node):
        raise TypeError(f"{quoted(step)} is not a tree of modules: give one, such as report.counted.step")
    nodes = [node for _, node in step.walk()]
    holders = {node.path or node.title: node for node in nodes if node.children}
    if not holders:
        raise ValueError(f"{step.title} holds no module: give a tree with at least one, such as report.counted.step")
    around = {child.path: name for name, node in holders.items() for child in node.children}
    colours = {node.path: _colour(number) for number, node in enumerate(nodes)}
    measures = [*_MEASURES, *[_SECONDS] * (seconds is not None)]

    def amounts(node: Node) -> dict[str, float]:
        found: dict[str, float] = {measure: amount(node) for measure, amount in _MEASURES.items()}
        return found if seconds is None else found | {_SECONDS: _spent(node, seconds)}

    start = next((name for name, node in holders.items() if len(node.children) > 1), next(iter(holders)))

    def draw(measure: str, opened: str = start) -> Frame:
        node = holders[opened]
        whole = _Part(node.title, "", around.get(node.path, ""), amounts(node))
        held = [
            _Part(child.title, colours[child.path], child.path if child.children else "", amounts(child))
            for child in node.children
        ]
        own = {name: amount - sum(part.amounts[name] for part in held) for name, amount in whole.amounts.items()}
        parts = [_Part(f"{node.title} itself", "none", "", own), *held]
        return Frame(
            [*_top(whole, measure), *_areas(parts, whole, measure)],
            _lesson(parts, whole, measure),
            Table(["module", *measures], [_row(part) for part in [*held, parts[0]]] + [Total(_row(whole))]),
        )

    controls = [Choice("measure", "Areas", measures)]
    if len(holders) > 1:
        controls.append(Choice("opened", "Module", list(holders), start=start))
    return Picture("module-areas", "A model as areas", _TOP + _HEIGHT + 1, draw, controls)


def _spent(node: Node, seconds: Mapping[str, float]) -> float:
    """Return the seconds of a module, or of what it holds if it was not called itself."""
    return seconds.get(node.path) or sum(_spent(child, seconds) for child in node.children)


def _colour(number: int) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in hls_to_rgb(number * _GOLDEN % 1, 0.5, 0.5))


def _top(whole: _Part, measure: str) -> Iterator[str]:
    """Draw the line above the areas: what is open, and the way up."""
    up = f"opened={whole.opens}" if whole.opens else ""
    yield rect(0.6, 0.6, WIDTH - 1.2, 22, data_set=up, pointer_events="all")
    yield words(6, 12, f"{whole.name}: {_said(whole, measure)}", "start", data_set=up)
    yield words(WIDTH - 6, 12, "▴ up" if up else "", "end", data_set=up)


def _areas(parts: Sequence[_Part], whole: _Part, measure: str) -> Iterator[str]:
    """Draw an area for each part that has any, and its name and share where these have room."""
    shown = sorted((part for part in parts if part.amounts[measure] > 0), key=lambda part: -part.amounts[measure])
    rectangles = _squarified([part.amounts[measure] for part in shown], (0.6, _TOP, WIDTH - 1.2, _HEIGHT))
    places = dict(zip([part.name for part in shown], rectangles, strict=True))
    for part in parts:
        x, y, width, height = places.get(part.name, (0.0, _TOP, 0.0, 0.0))
        opens = f"opened={part.opens}" if part.opens else ""
        yield rect(x, y, width, height, fill=part.colour, data_set=opens, pointer_events="all")
        names = [name + " ▸" * bool(opens) for name in (part.name, part.name.partition(" ")[0])]
        name = next((name for name in names if _LETTER * len(name) + 4 < width), "")
        lines = [name, f"{_share(part, whole, measure):.1%}"]
        room = int(height // _LINE) if name else 0
        for number in range(2):
            text = lines[number] if number < room else ""
            yield words(x + width / 2, y + height / 2 + (number - (room > 1) / 2) * _LINE, text, data_set=opens)


def _squarified(amounts: Sequence[float], space: _Rectangle) -> Iterator[_Rectangle]:
    """Divide a rectangle in proportion to amounts, the largest first, into parts that are nearly squares.

    >>> list(_squarified([6, 6, 4], (0, 0, 4, 4)))
    [(0, 0.0, 3.0, 2.0), (0, 2.0, 3.0, 2.0), (3.0, 0, 1.0, 4.0)]
    """
    if not amounts:
        return
    x, y, width, height = space
    short, scale = min(width, height), width * height / sum(amounts)

    def longest(count: int) -> float:
        """Return how many times as long as wide a part is at the most, if this many stand in the first row."""
        thick = scale * sum(amounts[:count]) / short
        sides = [scale * amount / thick for amount in amounts[:count]]
        return max(max(thick / side, side / thick) for side in sides)

    count = 1
    while count < len(amounts) and longest(count + 1) <= longest(count):
        count += 1
    thick, along = scale * sum(amounts[:count]) / short, 0.0
    for amount in amounts[:count]:
        side = scale * amount / thick
        yield (x, y + along, thick, side) if height <= width else (x + along, y, side, thick)
        along += side
    rest = (x + thick, y, width - thick, height) if height <= width else (x, y + thick, width, height - thick)
    yield from _squarified(amounts[count:], rest)


def _lesson(parts: Sequence[_Part], whole: _Part, measure: str) -> str:
    """Say which part is largest, and how much it has of everything else."""
    if not whole.amounts[measure]:
        return f"{whole.name} has no {measure}."
    largest = max(parts, key=lambda part: part.amounts[measure])
    others = [
        f"{_share(largest, whole, other):.1%} of the {other}"
        for other in whole.amounts
        if other != measure and whole.amounts[other]
    ]
    said = f"Of the {measure} of {whole.name}, {largest.name} has most: {_share(largest, whole, measure):.1%}."
    if others:
        said += f" It has {', '.join(others[:-1])}{' and ' * (len(others) > 1)}{others[-1]}."
    if largest is parts[0]:
        said += f" It is what {whole.name} has outside the modules that it holds."
    if measure == "parameters" and (shared := -parts[0].amounts[measure]) > 0:
        said += f" Its modules share {shared:,} parameters, which it counts once."
    if measure == "parameters":
        said += " And which module has most FLOPs? Guess, then change what areas mean."
    return said


def _share(part: _Part, whole: _Part, measure: str) -> float:
    return part.amounts[measure] / whole.amounts[measure] if whole.amounts[measure] else 0.0


def _said(part: _Part, measure: str) -> str:
    amount = part.amounts[measure]
    return f"{si(amount, 's')} forward" if measure == _SECONDS else f"{amount:,} {measure}"


def _row(part: _Part) -> tuple[int | str, ...]:
    return part.name, *(si(amount, "s") if name == _SECONDS else int(amount) for name, amount in part.amounts.items())
