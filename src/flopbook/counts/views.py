"""Show one count as text, as HTML that folds, and as JSON."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from itertools import zip_longest
from typing import Any, NamedTuple

from flopbook.counts.breakdown import Breakdown, Cost, Node
from flopbook.counts.tally import times
from flopbook.files import write_whole
from flopbook.tables import Table

#: Name and version of the JSON form; a field that changes its meaning changes the version.
SCHEMA = "flopbook.count/1"


class Column(NamedTuple):
    """Describes a column of the module tree: its heading, and each module's cell."""

    heading: str
    text: Callable[[Node], str]


class Views(ABC):
    """Gives a count that has a `breakdown` its tables and its JSON."""

    @property
    @abstractmethod
    def breakdown(self) -> Breakdown:
        """Return the count as plain data."""

    def table(self, depth: int | None = None) -> str:
        """Return the count as text: by phase, by operator, and by module.

        Parameters
        ----------
        depth : int, optional
            How many levels of modules to show; all unless given.

        Returns
        -------
        str
            Three tables.
        """
        counted = self.breakdown
        tables = (phase_table(counted), operator_table(counted), module_table(counted.step, columns(counted), depth))
        return "\n\n".join([*(table.text for table in tables), *notes(counted)])

    def to_json(self, path: str | os.PathLike | None = None) -> str:
        """Return the count as JSON, in the form that the reference describes.

        Parameters
        ----------
        path : str or path, optional
            A file to write the JSON to, whole or not at all.

        Returns
        -------
        str
            The JSON.
        """
        return dump(as_dict(self.breakdown), path)

    def _repr_html_(self) -> str:
        return html_of(self.breakdown)


def columns(counted: Breakdown) -> list[Column]:
    """Return the columns of a module tree; a phase without contractions has none."""
    found = [Column("parameters", lambda node: number(node.parameters)), Column("MACs", lambda node: number(node.macs))]
    for phase in counted.phases:
        if whole := counted.step.costs[phase].contractions:
            found += _phase_columns(phase, whole)
    for kind in kinds(counted):
        if getattr(counted.step.cost, kind):
            found.append(Column(kind, lambda node, kind=kind: number(getattr(node.cost, kind))))  # type: ignore[misc]
    return found


def _phase_columns(phase: str, whole: int) -> tuple[Column, Column]:
    def flops(node: Node) -> int:
        return node.costs[phase].contractions

    return (
        Column(phase, lambda node: number(flops(node))),
        Column("share", lambda node: share(flops(node), whole)),
    )


def number(value: int) -> str:
    """Write an integer as people read it, and nothing for zero."""
    return f"{value:,}" if value else ""


def share(part: float, whole: float) -> str:
    """Write a part in percent of the whole, and nothing for zero."""
    return f"{part / whole:.1%}" if part else ""


def kinds(counted: Breakdown) -> list[str]:
    """Return the kinds of cost beside contractions, the last two only where they occur."""
    return ["pointwise", "fused", *(kind for kind in ("transcendental", "integer") if getattr(counted.step.cost, kind))]


def phase_table(counted: Breakdown) -> Table:
    """Make the table of the FLOPs of each phase and of all phases."""
    costs = {phase: counted.step.costs[phase] for phase in counted.phases} | {"total": counted.step.cost}
    fields = ["contractions", *kinds(counted)]
    fields.insert(3, "flops")  # the sum of the first three
    rows = [(phase, *(f"{getattr(cost, field):,}" for field in fields)) for phase, cost in costs.items()]
    head = ("FLOPs", *("all" if field == "flops" else field for field in fields))
    return Table(head, rows, f"FLOPs, {counted.witness}")


def operator_table(counted: Breakdown) -> Table:
    """Make the table of the calls and FLOPs of each operator in all phases."""
    totals: dict[str, tuple[int, Cost]] = {}
    for row in counted.operators:
        calls, cost = totals.get(row.operator, (0, Cost()))
        totals[row.operator] = calls + row.calls, Cost.sum([cost, row.cost])
    whole, rest = counted.step.cost.contractions, kinds(counted)
    rows = [
        (
            operator,
            number(calls),
            number(cost.contractions),
            share(cost.contractions, whole),
            *(number(getattr(cost, kind)) for kind in rest),
        )
        for operator, (calls, cost) in sorted(totals.items(), key=lambda item: item[1][1], reverse=True)
    ]
    head = ("operator", "calls", "contractions", "share", *rest)
    return Table(head, rows, "FLOPs of each operator, in all phases")


def module_table(step: Node, tree: Sequence[Column], depth: int | None = None) -> Table:
    """Make the table of every module down to a depth."""
    rows = [("  " * level + node.title, *(column.text(node) for column in tree)) for level, node in step.walk(depth)]
    return Table(("module", *(column.heading for column in tree)), rows)


def notes(counted: Breakdown) -> list[str]:
    """List what a reader has to know of these numbers beside their names."""
    cost, masked, remade = counted.step.cost, sum(counted.masked.values()), sum(counted.remade.values())
    lines = []
    if counted.uncounted:
        lines.append(f"Not counted, for want of a rule: {_listed(counted.uncounted)}.")
    if counted.masked_unknown:
        lines.append(f"Counted as if nothing were masked, for the mask is unknown: {_listed(counted.masked_unknown)}.")
    if masked:
        lines.append(
            f"masked: {masked:,} FLOPs of the contractions; needed without them: {cost.contractions - masked:,}."
        )
    if remade:
        lines.append(f"made again: {remade:,} FLOPs of the contractions, for scores that a fused kernel does not keep.")
    if cost.fused:
        lines.append("fused: pointwise arithmetic that a contraction's operator does besides, such as adding a bias.")
    if cost.transcendental:
        lines.append("transcendental: the part of pointwise and fused that is exponentials, logarithms and roots.")
    if cost.integer:
        lines.append("integer: operations on integers, which are not FLOPs.")
    return lines


def _listed(calls: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({times(number)})" for name, number in calls.items())


def html_of(counted: Breakdown) -> str:
    """Show phases, operators and modules as HTML."""
    tree = html_folded(counted, columns(counted))
    return html_block(phase_table(counted).html, tree, *html_lines(notes(counted)))


def html_block(*parts: str) -> str:
    """Join the parts of one output."""
    return f'<div class="flopbook-count">{"".join(parts)}</div>'


def html_lines(lines: Sequence[str]) -> list[str]:
    """Make a paragraph of each line."""
    return [f"<p>{escape(line)}</p>" for line in lines]


def html_folded(counted: Breakdown, tree: Sequence[Column]) -> str:
    """Show operators and modules in elements that the browser folds."""
    return (
        f"<details><summary>Operators</summary>{operator_table(counted).html}</details>"
        "<details open><summary>Modules</summary>"
        f'<ul class="modules">{_html_node(counted.step, tree, 2)}</ul></details>'
    )


def _html_node(node: Node, tree: Sequence[Column], unfolded: int) -> str:
    """Show a module with all that it holds, the first levels unfolded."""
    words = f"<strong>{escape(node.title)}</strong>{''.join(_html_numbers(node, tree))}"
    if not node.children:
        return f"<li>{words}</li>"
    below = "".join(_html_node(child, tree, unfolded - 1) for child in node.children)
    return f"<li><details{' open' if unfolded > 0 else ''}><summary>{words}</summary><ul>{below}</ul></details></li>"


def _html_numbers(node: Node, tree: Sequence[Column]) -> Iterator[str]:
    """Write each number of a module with its heading and share; one that is not there keeps its place in the row."""
    for column, following in zip_longest(tree, tree[1:]):
        if column.heading == "share":
            continue
        text = column.text(node)
        part = following.text(node) if following and following.heading == "share" else ""
        shown = f"<i> · </i><small>{escape(column.heading)}</small> {text}" if text else ""
        yield f"<span>{shown}{f' ({part})' if part else ''}</span>"


def as_dict(counted: Breakdown) -> dict[str, Any]:
    """Return a count as the dictionaries and lists of its JSON form."""
    return {
        "schema": SCHEMA,
        "witness": counted.witness,
        "flops": _costs(counted.step.costs) | {"total": counted.step.cost._asdict()},
        "operators": [
            {"operator": row.operator, "phase": row.phase, "calls": row.calls, **row.cost._asdict()}
            for row in counted.operators
        ],
        "modules": _module(counted.step),
        "masked": dict(counted.masked),
        "masked_unknown": dict(counted.masked_unknown),
        "remade": dict(counted.remade),
        "uncounted": dict(counted.uncounted),
    }


def _module(node: Node) -> dict[str, Any]:
    return {
        "path": node.path,
        "class": node.kind,
        "parameters": node.parameters,
        "macs": node.macs,
        "flops": _costs(node.costs),
        "modules": [_module(child) for child in node.children],
    }


def _costs(costs: Mapping[str, Cost]) -> dict[str, dict[str, int]]:
    return {phase: cost._asdict() for phase, cost in costs.items()}


def dump(content: Mapping[str, Any], path: str | os.PathLike | None) -> str:
    """Return content as JSON text, and write it to a file if one is named."""
    text = json.dumps(content, indent=2)
    if path is not None:
        write_whole(path, text)
    return text
