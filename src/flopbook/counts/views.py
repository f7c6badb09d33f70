"""Show one count as text, as HTML that folds, and as JSON."""

import csv
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from html import escape
from importlib import import_module
from io import StringIO
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TypeAlias

from flopbook import checks
from flopbook.checks import quoted
from flopbook.counts.breakdown import Breakdown, Cost, Node
from flopbook.counts.communication import Sent
from flopbook.counts.tally import times
from flopbook.files import write_whole
from flopbook.tables import Cell, Table, Total

if TYPE_CHECKING:
    import pandas

#: The heading of a part of the whole.
_SHARE = "share"

# The cells of one row.
Row: TypeAlias = tuple[str, ...]

#: Name and version of the JSON form; a field that changes its meaning changes the version.
SCHEMA = "flopbook.count/1"


def _grouped(number: int) -> str:
    """Write a number with its separators of thousands."""
    return f"{number:,}"


@dataclass(frozen=True)
class Column:
    """Describes a column of the module tree.

    Attributes
    ----------
    heading : str
        What stands above the column.
    value : callable
        Gives a module's number; None or 0 where there is none.
    write : callable
        Writes a number as people read it.
    """

    heading: str
    value: Callable[[Node], float | None]
    write: Callable[[Any], str] = _grouped

    def text(self, node: Node) -> str:
        """Write a module's number, and nothing where there is none."""
        return self.write(value) if (value := self.value(node)) else ""


@dataclass(frozen=True)
class Choice:
    """Chooses which modules a table shows, and in which order.

    Attributes
    ----------
    depth : int or None
        How many levels of modules to show.
    where : str or None
        A pattern of paths, such as ``*.attention``: only these modules are shown, with all that they hold.
    sort : str or None
        The heading of a column: modules are listed by their paths, the largest number first, not as a tree.
    top : int or None
        How many operators and modules to show at most.
    """

    depth: int | None = None
    where: str | None = None
    sort: str | None = None
    top: int | None = None

    def modules(self, step: Node, tree: Sequence[Column]) -> list[tuple[str, Node]]:
        """Return the modules to show, each with its title."""
        chosen = [(level, node) for level, node in step.walk(self.depth) if self._is_wanted(node)]
        if self.where is not None and not chosen:
            paths = [repr(node.path) for _, node in step.walk() if node.path]
            some = ", ".join([*paths[:5], *(["..."] if len(paths) > 5 else [])])
            raise ValueError(f"where={quoted(self.where)} fits no module: give a pattern for one of {some}")
        if self.sort is None:
            return self._first([("  " * level + node.title, node) for level, node in chosen])
        value = self._column(tree).value
        by_size = sorted(chosen, key=lambda pair: value(pair[1]) or 0, reverse=True)
        return self._first([(node.path or node.title, node) for _, node in by_size])

    def operators(self, rows: list[Row]) -> list[Row]:
        """Return the rows of operators to show."""
        return self._first(rows)

    def _first(self, rows: list[Any]) -> list[Any]:
        return rows[: checks.size("top", self.top)] if self.top is not None else rows

    def _is_wanted(self, node: Node) -> bool:
        if self.where is None:
            return True
        checks.text("where", self.where)
        parts = node.path.split(".")
        return any(fnmatchcase(".".join(parts[:end]), self.where) for end in range(1, len(parts) + 1))

    def _column(self, tree: Sequence[Column]) -> Column:
        for column in tree:
            if column.heading == self.sort:
                return column
        headings = ", ".join(dict.fromkeys(repr(column.heading) for column in tree))
        raise ValueError(f"sort={quoted(self.sort)} is not a column: give one of {headings}")


class Views(ABC):
    """Gives a count that has a `breakdown` its tables, its CSV and its JSON."""

    @property
    @abstractmethod
    def breakdown(self) -> Breakdown:
        """Return the count as plain data."""

    def _columns(self) -> list[Column]:
        """Return the columns of the module tree."""
        return columns(self.breakdown)

    def _tables(self, chosen: Choice) -> Iterator[str]:
        """Write each table as text, then what to know of the numbers."""
        counted = self.breakdown
        yield phase_table(counted).text
        yield operator_table(counted, chosen).text
        yield module_table(counted.step, self._columns(), chosen).text
        yield from (table.text for table in communication_tables(counted))
        yield from notes(counted)

    def table(
        self, depth: int | None = None, *, where: str | None = None, sort: str | None = None, top: int | None = None
    ) -> str:
        """Return the count as text: by phase, by operator, and by module.

        Parameters
        ----------
        depth : int, optional
            How many levels of modules to show; all unless given.
        where : str, optional
            A pattern of paths, such as ``*.attention``, in which ``*`` stands for anything: only these modules are
            shown, with all that they hold.
        sort : str, optional
            The heading of a column of modules, such as ``forward`` or ``parameters``: modules are listed by their
            paths, the largest number first, and not as a tree.
        top : int, optional
            How many operators and how many modules to show at most.

        Returns
        -------
        str
            Several tables. The table of phases is always that of the whole step.

        Raises
        ------
        ValueError
            If a value is not of that kind, no module fits, or there is no such column; quotes it.
        """
        return "\n\n".join(self._tables(Choice(depth, where, sort, top)))

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

    def to_csv(self, path: str | os.PathLike | None = None) -> str:
        """Return a line for each module as comma-separated values: its path, its class, and its numbers.

        Parameters
        ----------
        path : str or path, optional
            A file to write the lines to, whole or not at all.

        Returns
        -------
        str
            The lines, the first with the names of the columns.
        """
        lines = StringIO()
        rows = self._modules()
        writer = csv.DictWriter(lines, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        if path is not None:
            write_whole(path, lines.getvalue())
        return lines.getvalue()

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a data frame with a row for each module, as in :meth:`to_csv`.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            pandas = import_module("pandas")  # by its name, so that nothing else of this module needs pandas
        except ImportError:
            raise ImportError("to_pandas needs pandas: pip install pandas, or write to_csv()") from None
        return pandas.DataFrame(self._modules())

    def _modules(self) -> list[dict[str, str | float]]:
        """Return path, class and numbers of each module; without shares, which follow from the numbers."""
        numbers = {column.heading: column.value for column in self._columns() if column.heading != _SHARE}
        return [
            {"path": node.path, "class": node.kind, **{name: value(node) or 0 for name, value in numbers.items()}}
            for _, node in self.breakdown.step.walk()
        ]

    def _repr_html_(self) -> str:
        return html_of(self.breakdown)


def columns(counted: Breakdown) -> list[Column]:
    """Return the columns of a module tree; a phase without contractions has none."""
    found = [Column("parameters", lambda node: node.parameters), Column("MACs", lambda node: node.macs)]
    for phase in counted.phases:
        if whole := counted.step.costs[phase].contractions:
            found += _phase_columns(phase, whole)
    for kind in kinds(counted):
        if getattr(counted.step.cost, kind):
            found.append(Column(kind, lambda node, kind=kind: getattr(node.cost, kind)))  # type: ignore[misc]
    return found


def _phase_columns(phase: str, whole: int) -> tuple[Column, Column]:
    def flops(node: Node) -> int:
        return node.costs[phase].contractions

    return Column(phase, flops), Column(_SHARE, lambda node: flops(node) / whole, "{:.1%}".format)


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


def operator_table(counted: Breakdown, chosen: Choice = Choice()) -> Table:
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
    head = ("operator", "calls", "contractions", _SHARE, *rest)
    return Table(head, chosen.operators(rows), "FLOPs of each operator, in all phases")


def communication_tables(counted: Breakdown) -> list[Table]:
    """Make the table of what was sent to other ranks, where anything was."""
    if not counted.communication:
        return []
    found = counted.communication
    rows: list[tuple[Cell, ...]] = [
        (each.collective, each.phase, each.module or "step", each.ranks, *sent) for each, sent in found.items()
    ]
    if len(rows) > 1:
        rows.append(Total(("all", "", "", "", *Sent.sum(found.values()))))
    head = ("collective", "phase", "module", "ranks", "calls", "payload bytes", "sent in a ring")
    return [Table(head, rows, "Communication of this rank", labels=3)]


def module_table(step: Node, tree: Sequence[Column], chosen: Choice = Choice()) -> Table:
    """Make the table of the chosen modules."""
    rows = [(title, *(column.text(node) for column in tree)) for title, node in chosen.modules(step, tree)]
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
    if counted.communication:
        lines.append(
            "payload: the whole tensor that is summed, gathered or exchanged; sent in a ring: what this rank sends."
        )
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
    communication = "".join(table.html for table in communication_tables(counted))
    return (
        f"<details><summary>Operators</summary>{operator_table(counted).html}</details>"
        "<details open><summary>Modules</summary>"
        f'<ul class="modules">{_html_node(counted.step, tree, 2)}</ul></details>{communication}'
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
        if column.heading == _SHARE:
            continue
        text = column.text(node)
        part = following.text(node) if following and following.heading == _SHARE else ""
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
        "communication": [{**transfer._asdict(), **sent._asdict()} for transfer, sent in counted.communication.items()],
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
