"""Put what witnesses say side by side, row by row."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from flopbook.checks import quoted
from flopbook.counts.tally import PHASES, Tally, times
from flopbook.predict.products import Product
from flopbook.predict.steps import TrainingStep
from flopbook.predict.values import evaluate
from flopbook.tables import Cell, Table, Total, code, same


@dataclass(frozen=True)
class Row:
    """Holds what each witness says of one product or operator; None where it says nothing."""

    phase: str
    label: str
    flops: Mapping[str, int | None]


@dataclass(frozen=True)
class Comparison:
    """Shows what the witnesses say of one training step, made by :func:`compare`.

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
        """Tell whether all witnesses give the same integers in each phase, with nothing uncounted."""
        equal = all(len(set(flops.values())) == 1 for flops in self.totals.values())
        return equal and not self.uncounted

    @property
    def _verdict(self) -> str:
        if self.uncounted:
            listed = ", ".join(f"{name} ({times(calls)})" for name, calls in self.uncounted.items())
            return f"Not decided: no rule for {listed}."
        if self.agrees:
            return "All witnesses agree."
        apart = [phase for phase, flops in self.totals.items() if len(set(flops.values())) > 1]
        return f"The witnesses differ: {', '.join(apart)}."

    @property
    def _table(self) -> Table:
        rows: list[tuple[Cell, ...]] = []
        for phase, flops in self.totals.items():
            lines = [row for row in self.rows if row.phase == phase]
            rows += [(phase, code(row.label), *self._side_by_side(row.flops)) for row in lines]
            if len(self.totals) > 1 or len(lines) > 1:
                rows.append(Total((phase, "all", *self._side_by_side(flops))))
        sums = {witness: sum(flops[witness] for flops in self.totals.values()) for witness in self.witnesses}
        rows.append(Total(("total", "", *self._side_by_side(sums))))
        head = ("phase", "product", *self.witnesses)
        return Table(head, rows, f"FLOPs. {self._verdict}", labels=2, kind="comparison")

    def _side_by_side(self, flops: Mapping[str, int | None]) -> list[Cell]:
        """Mark the numbers that repeat the first, so that a narrow page can show them as a sign."""
        first, *others = map(flops.get, self.witnesses)
        return [first, *(other if other is None or other != first else same(other) for other in others)]

    def __repr__(self):
        return f"{self._table}\n{self._verdict}"

    def _repr_html_(self) -> str:
        return self._table.html


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
        If `predicted` is not a step, or something else than a count or a profile
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
    phase     product                                predicted  counted
    forward   x[B,D] @ w[D,K] -> y[B,K]                   48       48
    forward   all                                         48       48
    backward  x[B,D] @ y.grad[B,K] -> w.grad[D,K]         48       48
    backward  all                                         48       48
    total                                                 96       96
    All witnesses agree.
    """
    if not isinstance(predicted, TrainingStep):
        raise TypeError(f"{quoted(predicted)} is not a predicted step: write compare(step, counted, sizes=...)")
    for tally in measured:
        if not isinstance(tally, Tally):
            raise TypeError(f"{quoted(tally)} is not a count or a profile: write compare(step, counted, sizes=...)")
    if not measured:
        raise ValueError("nothing to compare with: write compare(step, counted, sizes=...)")
    witnesses = ("predicted", *(tally.witness for tally in measured))
    if twice := [witness for witness, times in Counter(witnesses).items() if times > 1]:
        raise ValueError(f"two measurements are both {twice[0]!r}: give at most one of each witness")
    unpaired = {tally.witness: _contractions(tally) for tally in measured}
    rows: list[Row] = []
    totals: dict[str, dict[str, int]] = {}
    for phase in PHASES:
        products = [
            _pair(phase, product, int(evaluate(product.flops, sizes)), unpaired)
            for product in getattr(predicted, phase, ())
        ]
        rows += products + _leftovers(phase, unpaired)
        totals[phase] = {"predicted": sum(filter(None, (row.flops["predicted"] for row in products)))}
        totals[phase] |= {tally.witness: getattr(tally, phase) for tally in measured}
    totals = {phase: flops for phase, flops in totals.items() if any(flops.values())}
    uncounted = {name: calls for tally in measured for name, calls in tally.uncounted.items()}
    return Comparison(witnesses, tuple(rows), totals, uncounted)


def _contractions(tally: Tally) -> Counter[tuple[str, str, int]]:
    """Count how often each phase, operator and FLOPs occur together."""
    times_each: Counter[tuple[str, str, int]] = Counter()
    for call, calls in tally.calls.items():
        if call.flops:
            times_each[call.phase, call.operator, call.flops] += calls
    return times_each


def _pair(phase: str, product: Product, flops: int, unpaired: Mapping[str, Counter]) -> Row:
    """Pair a product with one call of each witness that took as many FLOPs."""
    by_witness: dict[str, int | None] = {"predicted": flops}
    for witness, calls in unpaired.items():
        by_witness[witness] = None
        for (ran_in, operator, took), number in calls.items():
            if (ran_in, took) == (phase, flops) and number:
                calls[ran_in, operator, took] -= 1
                by_witness[witness] = flops
                break
    return Row(phase, str(product), by_witness)


def _leftovers(phase: str, unpaired: Mapping[str, Counter]) -> list[Row]:
    """Make a row of each operator that ran without a product to go with it."""
    rows: dict[str, dict[str, int | None]] = {}
    for witness, calls in unpaired.items():
        for (ran_in, operator, flops), number in calls.items():
            if ran_in == phase and number:
                row = rows.setdefault(operator, {})
                row[witness] = (row.get(witness) or 0) + flops * number
    return [Row(phase, operator, by_witness) for operator, by_witness in rows.items()]
