"""Show what counters say of the specimens, each in a word beside what is derived."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain, combinations, groupby

from flopbook.predict.values import evaluate
from flopbook.specimens import Specimen
from flopbook.tables import Cell, Group, Styled, Table, Total

_MOST_MISSED = 4  # products that are looked for together


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


def off_by(count: int, products: Mapping[str, int]) -> str:
    """Say by how much a count is off, and which products it has missed.

    Parameters
    ----------
    count : int
        FLOPs that a counter reports.
    products : dict of str to int
        The FLOPs of each product.

    Examples
    --------
    >>> off_by(30, {"q @ k -> s": 40, "s @ v -> y": 50, "x @ w -> q": 30})
    '30 of 120 FLOPs; as many are missing as these take: q @ k -> s; s @ v -> y'
    >>> off_by(130, {"x @ w -> y": 120}), off_by(7, {"x @ w -> y": 120})
    ('10 FLOPs more than 120', '7 of 120 FLOPs')
    """
    derived = sum(products.values())
    if count > derived:
        return f"{count - derived:,} FLOPs more than {derived:,}"
    words = f"{count:,} of {derived:,} FLOPs"
    sets = chain.from_iterable(combinations(products, size) for size in range(1, min(len(products), _MOST_MISSED + 1)))
    missed = next((some for some in sets if sum(products[one] for one in some) == derived - count), None)
    return f"{words}; as many are missing as these take: {'; '.join(missed)}" if missed else words


@dataclass(frozen=True)
class Standings:
    """Shows a heat map of specimens by counters, made by a page; each name opens what its counters have missed.

    Attributes
    ----------
    caption : str
        What is counted.
    specimens : sequence of Specimen
        The rows.
    columns : dict of str to dict of str to str
        For each counter, the verdict on each specimen, by its name.
    counts : dict of str to dict of str to int or None
        For each counter, the FLOPs that it reports, if any.
    phases : sequence of str
        The parts of a step that are counted.
    """

    caption: str
    specimens: Sequence[Specimen]
    columns: Mapping[str, Mapping[str, str]]
    counts: Mapping[str, Mapping[str, int | None]]
    phases: Sequence[str] = ("forward",)

    def exact(self, counter: str) -> int:
        """Count the specimens that a counter counts exactly."""
        return sum(self.columns[counter][specimen.name] == "exact" for specimen in self.specimens)

    def __repr__(self) -> str:
        rows = (f"{counter}: {self.exact(counter)} of {len(self.specimens)}" for counter in self.columns)
        return "\n".join([self.caption, *rows])

    def _repr_html_(self) -> str:
        rows: list[Sequence[Cell]] = []
        families = []
        for family, members in groupby(self.specimens, key=lambda specimen: specimen.family):
            families.append(family)
            rows.append(Group((family,)))
            rows += (
                (self._name(one), *(_cell(column[one.name]) for column in self.columns.values())) for one in members
            )
        exact = (Styled(str(self.exact(counter)), str(self.exact(counter))) for counter in self.columns)
        rows.append(Total((f"Exact, of all {len(self.specimens)}", *exact)))
        head = Table(("Model", *self.columns), rows, self.caption, kind="standings").html
        ticks = "".join(f'<label><input type="checkbox" checked> {escape(family)}</label> ' for family in families)
        return f'<div class="standings-box"><fieldset><legend>My model has</legend>{ticks}</fieldset>{head}</div>'

    def _name(self, specimen: Specimen) -> Cell:
        """Make the name a button that opens what each counter has missed, where one has missed anything."""
        products: dict[str, int] = {}
        for phase in self.phases:
            for product in specimen.derivation.phases[phase]:
                name = str(product) if phase == self.phases[0] else f"{phase}: {product}"
                products[name] = products.get(name, 0) + int(evaluate(product.flops, specimen.letters))
        said = {counter: column[specimen.name] for counter, column in self.columns.items()}
        lines = "".join(
            f"<li><strong>{escape(counter)}</strong>: {escape(words + self._detail(counter, specimen, products))}</li>"
            for counter, words in said.items()
            if words != "exact"
        )
        if not lines:
            return specimen.name
        identity = f"standing-{self.phases[0]}-{[one.name for one in self.specimens].index(specimen.name)}"
        name = escape(specimen.name)
        return Styled(
            specimen.name,
            f'<button type="button" popovertarget="{identity}">{name}</button>'
            f'<div popover id="{identity}"><p><strong>{name}</strong></p><ul>{lines}</ul></div>',
        )

    def _detail(self, counter: str, specimen: Specimen, products: Mapping[str, int]) -> str:
        count = self.counts[counter][specimen.name]
        return "" if count is None else f": {off_by(count, products)}"


_GLYPHS = {"exact": "✓", "none": "○", "crash": "×", "low": "◣", "high": "◥"}


def _cell(words: str) -> Cell:
    """Show a verdict as a sign; its words are there for a screen reader, and under a pointer."""
    said = words.partition(",")[0]  # of "× 0.5, says so"
    kind = {"exact": "exact", "counts 0": "none", "crashes": "crash", "+ pointwise": "high"}.get(said)
    kind = kind or ("low" if float(said.removeprefix("× ")) < 1 else "high")
    sign = f'<span aria-hidden="true">{_GLYPHS[kind]}</span><span class="visually-hidden">{words}</span>'
    return Styled(words, f'<span class="{kind}" title="{words}">{sign}</span>')


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
