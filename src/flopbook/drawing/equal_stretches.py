"""Draw how Muon makes the singular values of a matrix nearly equal, and what that takes."""

from collections.abc import Iterator, Sequence
from math import prod, sqrt

from flopbook import checks
from flopbook.drawing.controls import Choice, Slider, Steps
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, line, rect, words
from flopbook.predict.matrix_optimizers import newton_schulz
from flopbook.predict.optimizers import OPTIMIZERS
from flopbook.predict.products import matmul
from flopbook.predict.steps import flops
from flopbook.predict.values import evaluate
from flopbook.tables import Table
from flopbook.units import si

__all__ = ["orthogonalize"]

#: The factors of x, of its third and of its fifth power, in a step.
_FACTORS = {"Muon's": (3.4445, -4.7750, 2.0315), "gentle": (2.0, -1.5, 0.5)}
#: Singular values before the first step, the next one always this part of the one before.
_FALL, _MANY = 0.62, 12
_ONE, _FLOOR, _LEFT, _STEP = 110.0, 150.0, 12.0, 35.0  # units: height of a value of 1, the floor, where bars begin


def orthogonalize(matrices: Sequence[tuple[int, int]], tokens: Sequence[int], most: int = 10) -> Picture:
    """Draw the singular values of a matrix step by step, and the FLOPs beside those of a training step.

    Parameters
    ----------
    matrices : sequence of (int, int)
        Rows and columns of the matrices to choose from.
    tokens : sequence of int
        How many tokens a training step can have.
    most : int
        Steps of the iteration that can be taken.

    Raises
    ------
    TypeError, ValueError
        If a size is not one, a matrix has not two, or there are fewer than two matrices or numbers of tokens.

    Notes
    -----
    Jordan and others, *Muon: An optimizer for hidden layers in neural networks* (2024), for both sets of factors.

    Examples
    --------
    >>> picture = orthogonalize([(768, 768), (768, 3072)], [4096, 524288])
    >>> print(picture.frame(step=5, matrix="768 × 3,072", tokens=524288).sentence)
    After 5 steps all values lie between 0.74 and 1.20. That takes 17,280 FLOPs for each parameter, 0.55% of this \
layer's training step. What do 10 steps do?
    """
    matrices = checks.several("matrices", matrices, "[(768, 3072), (768, 768)]")
    for given in matrices:
        if not (isinstance(given, Sequence) and len(given) == 2):
            raise ValueError(f"{checks.quoted(given)} is not a matrix: write its rows and columns, (768, 3072)")
        checks.sizes(dict(zip(("rows", "columns"), given, strict=True)))
    shapes = {f"{rows:,} × {columns:,}": (rows, columns) for rows, columns in matrices}
    numbers = [checks.size("tokens", each) for each in checks.several("tokens", tokens, "[4096, 524288]")]
    layer = 3 * flops(matmul("x[B,D] @ w[D,K] -> y[B,K]"))
    of_step = {name: int(newton_schulz(*shape, steps=1)) for name, shape in shapes.items()}
    of_token = {name: int(evaluate(layer, dict(B=1, D=shape[0], K=shape[1]))) for name, shape in shapes.items()}

    def draw(step: int, matrix: str, tokens: int, factors: str) -> Frame:
        taken, trained, parameters = step * of_step[matrix], tokens * of_token[matrix], prod(shapes[matrix])
        values = _values(step, factors)
        drawn = [*_bars(values), *_work(taken, trained, parameters)]
        table = Table(
            ["", "amount"],
            [
                *((f"singular value {place}", f"{value:.3f}") for place, value in enumerate(values, 1)),
                ("FLOPs of the steps", taken),
                ("FLOPs of the layer's training step", trained),
            ],
        )
        return Frame(drawn, _said(step, values, taken / parameters, taken / trained, most), table)

    return Picture(
        "equal-stretches",
        "The singular values of a matrix, made equal",
        246,
        draw,
        [
            Steps("step", "Step", range(most + 1)),
            Choice("matrix", "Matrix", list(shapes)),
            Slider("tokens", "Tokens of a training step", numbers, start=numbers[len(numbers) // 2]),
            Choice("factors", "Factors", list(_FACTORS)),
        ],
    )


def _values(steps: int, factors: str) -> list[float]:
    """Work out the singular values after some steps; at first their squares add up to 1."""
    values = [_FALL**place for place in range(_MANY)]
    values = [value / sqrt(sum(each**2 for each in values)) for value in values]
    first, third, fifth = _FACTORS[factors]
    for _ in range(steps):
        values = [first * value + third * value**3 + fifth * value**5 for value in values]
    return values


def _bars(values: Sequence[float]) -> Iterator[str]:
    """Draw a bar for each value, and a line where it would be 1."""
    yield words(0, 10, "Singular values", "start strong")
    yield line(0, _FLOOR, WIDTH, _FLOOR)
    yield line(0, _FLOOR - _ONE, WIDTH, _FLOOR - _ONE, "left-out")
    yield words(WIDTH, _FLOOR - _ONE - 9, "1", "end")
    for place, value in enumerate(values):
        x = _LEFT + _STEP * place
        yield rect(x, _FLOOR - _ONE * value, 26, _ONE * value, "optimizer")
        yield words(x + 13, _FLOOR + 10, f"{value:.2f}" if value >= 0.005 else f"{value:.3f}"[1:])


def _work(taken: int, trained: int, parameters: int) -> Iterator[str]:
    """Draw the FLOPs of the steps beside those of a training step, to one scale."""
    y = _FLOOR + 36
    usual = OPTIMIZERS["AdamW"].operations
    yield words(0, y, "FLOPs", "start strong")
    yield words(WIDTH, y, f"{taken // parameters:,} for each parameter (AdamW: {usual})", "end")
    whole = max(taken + trained, 1)
    share = taken / whole
    yield rect(0, y + 12, f"{1 - share:.2%}", 18, "forward")
    yield rect(f"{1 - share:.2%}", y + 12, f"{share:.2%}", 18, "optimizer full")
    yield words(0, y + 44, f"this layer's training step {si(trained, 'FLOPs')}", "start")
    yield words(WIDTH, y + 44, f"Muon {si(taken, 'FLOPs')}, {taken / trained:.2%} of it", "end")


def _said(step: int, values: Sequence[float], each: float, share: float, most: int) -> str:
    least, largest = min(values), max(values)
    if not step:
        return (
            f"The largest of these singular values is {largest / least:,.0f} times the smallest. "
            "Muon makes them nearly equal. How many FLOPs will 5 steps take for each parameter?"
        )
    lie = f"After {step} step{'s' * (step > 1)} all values lie between {least:.2f} and {largest:.2f}."
    took = f"That takes {each:,.0f} FLOPs for each parameter, {share:.2%} of this layer's training step."
    ask = f"What do {most} steps do?" if least > 0.5 and step < most else ""
    return " ".join(part for part in (lie, took, ask or "The smallest are not there yet." * (least <= 0.5)) if part)
