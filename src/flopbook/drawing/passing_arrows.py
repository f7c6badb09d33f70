"""Draw what derivatives run: an arrow for each product, from one tensor's line to the next, in the order of time."""

import re
from collections.abc import Iterator, Mapping, Sequence

from flopbook import checks
from flopbook.drawing.controls import Choice, Slider, Tick
from flopbook.drawing.graph import check_layers
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, arrow, line, rect, words
from flopbook.predict.derivatives import ORDERS, hessian_vector, jvp
from flopbook.predict.products import Product
from flopbook.predict.steps import TrainingStep, training_step
from flopbook.predict.values import evaluate
from flopbook.tables import Table, Total
from flopbook.units import si

__all__ = ["derivative_arrows"]

_SIDE, _TOP, _LANES, _BELOW = 22.0, 26.0, 256.0, 78.0  # the first line, where lanes begin, their height, and the bar's
_THICKEST = 8.0
_KINDS = {
    "forward": "forward", "tangents": "forward full", "gradient": "backward", "second": "backward full",
}  # fmt: skip
_LOSS, _GRADIENT, _JVP = "the loss alone", "gradient", "jvp"
_TAUGHT = {
    _LOSS: "Methods of zeroth order run this alone, twice or more a step, and keep nothing for a way back.",
    _GRADIENT: "How many gradients does a Hessian-vector product cost? Guess, then choose one.",
    _JVP: "Two tangents for each product, and all to the right: nothing waits for a way back.",
    ORDERS[0]: "Each product of the gradient sends two adjoints back, some to the right, since the gradient ran left.",
    ORDERS[1]: "Each product of the gradient sends two tangents along, in its own direction.",
    ORDERS[2]: "The gradient itself is not made: that is the product that this order saves in each layer.",
}


def derivative_arrows(
    layers: Sequence[Product], sizes: Mapping[str, int], letter: str, values: Sequence[int]
) -> Picture:
    """Draw the products of a gradient, of a Jacobian- and of Hessian-vector products as arrows between tensors.

    Time runs downward. An arrow is as thick as its FLOPs; one that nobody needs is dashed.

    Parameters
    ----------
    layers : sequence of Product
        Each takes what the one before makes, and a weight of its own.
    sizes : mapping of str to int
        The size of each letter, and where the slider starts.
    letter : str
        The letter whose size the reader sets, and what it is, such as ``D, features``.
    values : sequence of int
        The sizes that the letter can be set to.

    Raises
    ------
    TypeError, ValueError
        If the layers do not follow each other, or a size is missing.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> layers = [matmul("x[B,D] @ w1[D,H] -> h1[B,H]"), matmul("h1[B,H] @ w2[H,K] -> y[B,K]")]
    >>> picture = derivative_arrows(layers, dict(B=2, D=3, H=5, K=7), "D", [3, 30])
    >>> print(picture.frame(way="jvp", zeros=True).sentence)
    jvp: 6 products, 600 FLOPs, 3.00 times the forward pass. Two tangents for each product, and all to the right: \
nothing waits for a way back.
    """
    check_layers(layers)
    known, label = checks.sizes(sizes), letter
    letter = checks.one_of("letter", label.partition(",")[0], known)
    step, every = training_step(*layers, data=layers[0].left.name), training_step(*layers)
    ways = {zeros: _ways(step, zeros) for zeros in (False, True)}
    drawn = {way: _lanes(layers, derived) for way, derived in _ways(every, True).items()}
    flops = {
        value: {
            product: int(evaluate(product.flops, {**known, letter: value}))
            for lanes in drawn.values()
            for product in lanes
        }
        for value in values
    }
    thickest = max(max(at.values()) for at in flops.values())

    def draw(way: str, zeros: bool, size: int) -> Frame:
        at, derived = flops[size], ways[zeros][way]
        runs = (*derived.forward, *derived.backward)
        shapes = list(_lines(layers))
        lanes = drawn[way]
        apart = min(80.0, _LANES / (1 + max(lane for lane, _ in lanes.values())))
        for product, (lane, number) in lanes.items():
            thick = 2 * round(_THICKEST / 2 * at[product] / thickest, 1) if product in runs else 0
            kind = _KINDS[_kind(product)] if product in runs else "left-out"
            shapes += _arrow(layers, number, product, _TOP + round((lane + 0.72) * apart), (thick, kind))
        once = sum(at[layer] for layer in layers)
        of_kind = {kind: sum(at[product] for product in runs if _kind(product) == kind) for kind in _KINDS}
        shapes += _bar(of_kind, once)
        total = sum(of_kind.values())
        rows = [(_kind(product), f"{product}", at[product] * (product in runs)) for product in lanes]
        sentence = (
            f"{way if way == _JVP else way.capitalize()}: {len(runs)} products, {total:,} FLOPs, "
            f"{total / once:.2f} times the forward pass. {_TAUGHT[way]}"
        )
        return Frame(
            shapes, sentence, Table(["for", "product", "FLOPs"], [*rows, Total(("all", "products", total))], labels=2)
        )

    return Picture(
        "derivative-arrows",
        "The products of a derivative",
        _TOP + _LANES + _BELOW,
        draw,
        [
            Choice("way", "Derivative", list(_TAUGHT), start=_GRADIENT),
            Tick("zeros", "multiply tangents that are zero, as PyTorch does"),
            Slider("size", label, values, start=known[letter]),
        ],
    )


def _ways(step: TrainingStep, zeros: bool) -> dict[str, TrainingStep]:
    alone = TrainingStep(step.forward, (), step.data)
    orders = {order: hessian_vector(step, order, zeros=zeros) for order in ORDERS}
    return {_LOSS: alone, _GRADIENT: step, _JVP: jvp(step, zeros=zeros), **orders}


def _kind(product: Product) -> str:
    first, *derived = product.output.name.split(".")[1:] or [""]
    if derived or first == "bar":
        return "second"
    return {"": "forward", "dot": "tangents", "grad": "gradient"}[first]


def _lanes(layers: Sequence[Product], derived: TrainingStep) -> dict[Product, tuple[int, int]]:
    """Give each product the number of its layer, and a lane that it shares with its like in the other layers."""
    lanes: dict[tuple[str, ...], int] = {}
    placed = {}
    for product in (*derived.forward, *derived.backward):
        tensors = product.left, product.right, product.output
        bases, _, rests = zip(*(tensor.name.partition(".") for tensor in tensors), strict=True)
        number = next(number for number, layer in enumerate(layers) if layer.right.name in bases)
        layer = layers[number]
        own = {layer.left.name: "in", layer.right.name: "weight", layer.output.name: "out"}
        like = (*(own[base] for base in bases), *rests)
        placed[product] = lanes.setdefault(like, len(lanes)), number
    return placed


def _places(layers: Sequence[Product]) -> list[float]:
    apart = (WIDTH - 2 * _SIDE) / len(layers)
    return [_SIDE + number * apart for number in range(len(layers) + 1)]


def _lines(layers: Sequence[Product]) -> Iterator[str]:
    """Draw a line for each tensor, along which time runs."""
    for x, tensor in zip(_places(layers), [layers[0].left, *(layer.output for layer in layers)], strict=True):
        yield words(x, 11, tensor.name, "strong")
        yield line(x, 21, x, _TOP + _LANES, "faint")


def _arrow(
    layers: Sequence[Product], number: int, product: Product, y: float, look: tuple[float, str]
) -> Iterator[str]:
    """Draw a product: to its result's line, or half way where it makes something of a weight."""
    left, right = _places(layers)[number : number + 2]
    base = product.output.name.partition(".")[0]
    layer, (thick, kind) = layers[number], look
    if base == layer.output.name:
        yield arrow((left + 3, y), (right - 3, y), thick, kind)
        yield "<g/>"
    else:
        of_weight = base == layer.right.name
        yield arrow((right - 3, y), ((left + right) / 2 if of_weight else left + 3, y), thick, kind)
        made = "Hv" if _kind(product) == "second" else "∇"
        yield (
            words((left + right) / 2 - 4, y + 4, f"{made} {base}", "end")
            if of_weight and kind != "left-out"
            else "<g/>"
        )
    said = " · ".join(_short(tensor.name, layer.right.name) for tensor in (product.left, product.right))
    yield words((left + right) / 2, y - 10, said if kind != "left-out" else f"({said})")


def _short(name: str, weight: str) -> str:
    """Write a gradient as g, which is the adjoint of a tangent too, and the direction that a weight moves in as v.

    >>> _short("h2.grad.dot", "w2"), _short("x.dot.bar", "w1"), _short("w2.dot", "w2"), _short("h1.dot", "w2")
    ('g2.dot', 'gx', 'v2', 'h1.dot')
    """
    if name in (f"{weight}.dot", f"{weight}.grad.bar"):
        return re.sub(r"^\D*", "v", weight)
    base, grad, rest = name.replace(".dot.bar", ".grad").partition(".grad")
    return f"g{re.sub(r'^.*?(?=[0-9])', '', base)}{rest}" if grad else name


def _bar(of_kind: Mapping[str, int], once: int) -> Iterator[str]:
    """Draw the FLOPs by kind, in units of the forward pass, and write what each takes."""
    top, unit, x = _TOP + _LANES + 24, (WIDTH - 2 * _SIDE) / 9, _SIDE
    for number, (kind, amount) in enumerate(of_kind.items()):
        yield rect(x, top, round(unit * amount / once, 1), 14, _KINDS[kind]) if amount else "<g/>"
        x += round(unit * amount / once, 1)
        column, row = number % 2, number // 2
        left, y = _SIDE + 200.0 * column, top + 27 + 17 * row
        yield rect(left, y - 5, 10, 10, _KINDS[kind])
        yield words(left + 15, y, f"{kind}: {si(amount, 'FLOPs')}" if amount else f"{kind}: none", "start")
    for times in range(10):
        yield line(_SIDE + times * unit, top - 3, _SIDE + times * unit, top + 17, "faint")
    for times in (3, 6, 9):
        yield words(_SIDE + times * unit, top - 10, f"{times} ×")
