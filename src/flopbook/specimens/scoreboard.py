"""Show what counters say of the specimens, each in a word beside what is derived."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from flopbook.predict.values import evaluate
from flopbook.specimens import Specimen
from flopbook.tables import Cell, Group, Styled, Table, Total


def verdict(count: int, derived: int, pointwise: int = 0) -> str:
    """Judge a count, in a word or as a multiple of the derived one.

    Parameters
    ----------
    count : int
        FLOPs that a counter reports.
    derived : int
        FLOPs of the contractions.
    pointwise : int
        FLOPs of the pointwise arithmetic beside them. A count that is too
        large by no more than twice as much (once for each addition that is
        taken for a multiply-accumulate) is put down to it.

    Examples
    --------
    >>> [verdict(count, 100, pointwise=10) for count in (100, 0, 115, 50, 121)]
    ['exact', 'counts 0', '+ pointwise', '× 0.5', '× 1.21']
    """
    if count == derived:
        return "exact"
    if count == 0:
        return "counts 0"
    if 0 < count - derived <= 2 * pointwise:
        return "+ pointwise"
    return f"× {count / derived:.3g}"


@dataclass(frozen=True)
class Standings:
    """Shows a table of specimens by counters, made by a page.

    Attributes
    ----------
    caption : str
        What is counted.
    specimens : sequence of Specimen
        The rows.
    columns : dict of str to dict of str to str
        For each counter, the verdict on each specimen, by its name.
    """

    caption: str
    specimens: Sequence[Specimen]
    columns: Mapping[str, Mapping[str, str]]

    def exact(self, counter: str) -> int:
        """Count the specimens that a counter counts exactly."""
        return sum(self.columns[counter][specimen.name] == "exact" for specimen in self.specimens)

    def __repr__(self) -> str:
        rows = (f"{counter}: {self.exact(counter)} of {len(self.specimens)}" for counter in self.columns)
        return "\n".join([self.caption, *rows])

    def _repr_html_(self) -> str:
        rows: list[Sequence[Cell]] = []
        for family, members in groupby(self.specimens, key=lambda specimen: specimen.family):
            rows.append(Group((family,)))
            rows += ((one.name, *(_cell(column[one.name]) for column in self.columns.values())) for one in members)
        rows.append(Total(("Exact", *(f"{self.exact(counter)} of {len(self.specimens)}" for counter in self.columns))))
        return Table(("Specimen", *self.columns), rows, self.caption, kind="standings").html


def _cell(words: str) -> Cell:
    return Styled(words, '<span class="exact">exact</span>') if words == "exact" else words


@dataclass(frozen=True)
class Derivations:
    """Shows the products of specimens with their FLOPs, as folded lists."""

    specimens: Sequence[Specimen]

    def __repr__(self) -> str:
        return "\n".join(_listing(specimen) for specimen in self.specimens)

    def _repr_html_(self) -> str:
        return "".join(
            f"<details><summary>{escape(_summary(specimen))}</summary><pre>{escape(_listing(specimen))}</pre></details>"
            for specimen in self.specimens
        )


def _summary(specimen: Specimen) -> str:
    phases = (phase for phase, products in specimen.derivation.phases.items() if products)
    return f"{specimen.name}: " + ", ".join(f"{phase} {getattr(specimen, phase):,}" for phase in phases)


def _listing(specimen: Specimen) -> str:
    lines = [", ".join(f"{letter} = {size}" for letter, size in specimen.letters.items())]
    for phase, products in specimen.derivation.phases.items():
        counts = [f"{evaluate(product.flops, specimen.letters):,}" for product in products]
        width = max(map(len, counts), default=0)
        lines += [f"{phase}: {getattr(specimen, phase):,} FLOPs"] if products else []
        lines += [f"  {count:>{width}}  {product}" for count, product in zip(counts, products, strict=True)]
    return "\n".join(lines)
