"""The meeting room: witnesses side by side, row by row."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from flopbook.counts.tally import PHASES, Tally, times
from flopbook.predict.products import Product
from flopbook.predict.steps import TrainingStep, evaluate


@dataclass(frozen=True)
class Row:
    """One product or operator, and what each witness says of it; None where it says nothing."""

    phase: str
    label: str
    flops: Mapping[str, int | None]


@dataclass(frozen=True)
class Comparison:
    """What the witnesses say of one training step, made by :func:`compare`.

    Attributes
    ----------
    witnesses : tuple of str
        ``predicted`` and those that measured.
    rows : tuple of Row
        One for each product; then one for each operator that no product
        was found for.
    totals : dict of str to dict of str to int
        FLOPs by phase, then by witness.
    uncounted : dict of str to int
        Calls of operators that have no rule.
    """

    witnesses: tuple[str, ...]
    rows: tuple[Row, ...]
    totals: Mapping[str, Mapping[str, int]]
    uncounted: Mapping[str, int]

    @property
    def agrees(self) -> bool:
        """Whether all say the same integers, phase by phase, and nothing is left uncounted."""
        equal = all(len(set(flops.values())) == 1 for flops in self.totals.values())
        return equal and not self.uncounted

    def _lines(self) -> list[tuple[str, str, list[int | None], bool]]:
        """Phase, label and FLOPs of every line of the table; whether it is a total."""
        lines: list[tuple[str, str, list[int | None], bool]] = []
        for phase in self.totals:
            for row in self.rows:
                if row.phase == phase:
                    lines.append((phase, row.label, [row.flops.get(w) for w in self.witnesses], False))
            if len(self.totals) > 1 or len(lines) > 1:
                lines.append((phase, "all", [self.totals[phase][w] for w in self.witnesses], True))
        sums: list[int | None] = [sum(flops[w] for flops in self.totals.values()) for w in self.witnesses]
        return [*lines, ("total", "", sums, True)]

    @property
    def _verdict(self) -> str:
        if self.uncounted:
            listed = ", ".join(f"{name} ({times(calls)})" for name, calls in self.uncounted.items())
            return f"Not decided: no rule for {listed}."
        if self.agrees:
            return "All witnesses agree."
        apart = [phase for phase, flops in self.totals.items() if len(set(flops.values())) > 1]
        return f"The witnesses differ: {', '.join(apart)}."

    def __repr__(self):
        head = ("", "", *self.witnesses)
        table = [(phase, label, *map(_number, flops)) for phase, label, flops, _ in self._lines()]
        widths = [max(map(len, column)) for column in zip(head, *table, strict=True)]
        lines = []
        for line in (head, *table):
            words = [cell.ljust(width) for cell, width in zip(line[:2], widths[:2], strict=True)]
            numbers = [cell.rjust(width) for cell, width in zip(line[2:], widths[2:], strict=True)]
            lines.append("  ".join(words + numbers).rstrip())
        return "\n".join([*lines, self._verdict])

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{witness}</th>' for witness in self.witnesses)
        body = []
        for phase, label, flops, is_total in self._lines():
            cells = "".join(f"<td>{_number(value)}</td>" for value in flops)
            name = f"<code>{escape(label)}</code>" if label and not is_total else label
            kind = ' class="total"' if is_total else ""
            named = f'<td>{phase}</td><th scope="row">{name}</th>'
            first = named if name else f'<th scope="row" colspan="2">{phase}</th>'
            body.append(f"<tr{kind}>{first}{cells}</tr>")
        return (
            f'<table class="flopbook-comparison"><caption>FLOPs. {escape(self._verdict)}</caption>'
            f'<thead><tr><th scope="col">phase</th><th scope="col">product</th>{head}</tr></thead>'
            f"<tbody>{''.join(body)}</tbody></table>"
        )


def _number(value: int | None) -> str:
    return "—" if value is None else f"{value:,}"


def compare(predicted: TrainingStep, *measured: Tally, sizes: Mapping[str, int]) -> Comparison:
    """Put a predicted step beside what was measured.

    Parameters
    ----------
    predicted : TrainingStep
        The formula's side.
    *measured : Tally
        Counts and profiles of the same step, such as a `FlopCount`.
    sizes : mapping of str to int
        The size of each axis.

    Returns
    -------
    Comparison
        A table. Its `agrees` says whether all integers are equal.

    Raises
    ------
    TypeError
        If `predicted` is no step, or something else than a count or a profile
        is given as measured.
    ValueError
        If nothing measured is given, or a size is missing.

    Examples
    --------
    >>> import torch
    >>> from flopbook.measure import FlopCount
    >>> from flopbook.predict import matmul, training_step
    >>> step = training_step(matmul("x[B,D] @ w[D,K] -> y[B,K]"), data="x")
    >>> x, w = torch.randn(4, 3), torch.randn(3, 2, requires_grad=True)
    >>> with FlopCount() as counted:
    ...     (x @ w).sum().backward()
    >>> compare(step, counted, sizes=dict(B=4, D=3, K=2))
                                                   predicted  counted
    forward   x[B,D] @ w[D,K] -> y[B,K]                   48       48
    forward   all                                         48       48
    backward  x[B,D] @ y.grad[B,K] -> w.grad[D,K]         48       48
    backward  all                                         48       48
    total                                                 96       96
    All witnesses agree.
    """
    if not isinstance(predicted, TrainingStep) or not all(isinstance(tally, Tally) for tally in measured):
        raise TypeError("compare a predicted step with counts or profiles: write compare(step, counted, sizes=...)")
    if not measured:
        raise ValueError("nothing to compare with: write compare(step, counted, sizes=...)")
    witnesses = ("predicted", *(tally.witness for tally in measured))
    if len(set(witnesses)) < len(witnesses):
        raise ValueError(f"one of each witness, please, not {', '.join(witnesses[1:])}")
    unpaired = {tally.witness: _contractions(tally) for tally in measured}
    rows: list[Row] = []
    totals: dict[str, dict[str, int]] = {}
    for phase in PHASES:
        found = [
            _pair(phase, product, int(evaluate(product.flops, sizes)), unpaired)
            for product in getattr(predicted, phase, ())
        ]
        rows += found + _leftovers(phase, unpaired)
        totals[phase] = {"predicted": sum(row.flops["predicted"] or 0 for row in found)}
        totals[phase] |= {tally.witness: getattr(tally, phase) for tally in measured}
    totals = {phase: flops for phase, flops in totals.items() if any(flops.values())}
    uncounted = {name: calls for tally in measured for name, calls in tally.uncounted.items()}
    return Comparison(witnesses, tuple(rows), totals, uncounted)


def _contractions(tally: Tally) -> Counter[tuple[str, str, int]]:
    """How often each phase, operator and FLOPs occur together."""
    found: Counter[tuple[str, str, int]] = Counter()
    for call, calls in tally.calls.items():
        if call.flops:
            found[call.phase, call.operator, call.flops] += calls
    return found


def _pair(phase: str, product: Product, flops: int, unpaired: Mapping[str, Counter]) -> Row:
    """Row of a product: with each witness, a call of this phase that took as many FLOPs."""
    said: dict[str, int | None] = {"predicted": flops}
    for witness, calls in unpaired.items():
        match = next((key for key in calls if key[::2] == (phase, flops) and calls[key]), None)
        calls.subtract([match] if match else [])
        said[witness] = flops if match else None
    return Row(phase, str(product), said)


def _leftovers(phase: str, unpaired: Mapping[str, Counter]) -> list[Row]:
    """One row for each operator that ran without a product to go with it."""
    rows: dict[str, dict[str, int | None]] = {}
    for witness, calls in unpaired.items():
        for (ran_in, operator, flops), number in calls.items():
            if ran_in == phase and number:
                row = rows.setdefault(operator, {})
                row[witness] = (row.get(witness) or 0) + flops * number
    return [Row(phase, operator, said) for operator, said in rows.items()]
