"""Lay out one table as text and as accessible HTML."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

#: As people and reports write numbers: "1,280", "+3.5%", "26.3 ms", "× 0.5", "~34 KB", "2:46:00".
_NUMBER = re.compile(r"[-+−×~<>]? ?\d[\d,.:]*(e[-+]?\d+)?( ?%| ?[^\W\d_][\w/]*)?")


class Styled(NamedTuple):
    """Holds a cell that looks different in HTML; its HTML is used as it is."""

    text: str
    html: str


#: None is a dash: nobody gives this number. An integer gets its thousands separators.
Cell = int | str | Styled | None


class Total(tuple[Cell, ...]):
    """Marks a row that sums up those above it."""

    __slots__ = ()


class Group(tuple[Cell, ...]):
    """Holds the title of the rows that follow, a cell of its own."""

    __slots__ = ()


def code(text: str) -> Styled:
    """Set a cell as code.

    Examples
    --------
    >>> code("a < b").html
    '<code>a &lt; b</code>'
    """
    return Styled(text, f"<code>{escape(text)}</code>")


def strong(text: str) -> Styled:
    """Set a cell so that it stands out.

    Examples
    --------
    >>> strong("wrong").html
    '<strong>wrong</strong>'
    """
    return Styled(text, f"<strong>{escape(text)}</strong>")


def same(number: int) -> Styled:
    """Set a number that repeats another of its row.

    Examples
    --------
    >>> same(1280).html
    '<span class="same">1,280</span>'
    """
    return Styled(f"{number:,}", f'<span class="same">{number:,}</span>')


@dataclass(frozen=True, repr=False)
class Table:
    """Shows rows of cells under a heading, as text, and in a notebook as HTML.

    A column of numbers is set to the right, any other to the left.

    Parameters
    ----------
    head : sequence of str
        The heading of each column.
    rows : sequence of sequences
        Cells: text, integers, None, or what :func:`code` and :func:`strong` make. A row may be a `Total`, or the
        `Group` that the next rows belong to.
    caption : str
        What the table shows; stands in the HTML only.
    labels : int
        How many of the first columns say what a row is about.
    kind : str
        Class of the HTML table, for a style of its own.

    Raises
    ------
    TypeError
        If a cell is of another type.
    ValueError
        If a row has more or fewer cells than the head.

    Examples
    --------
    >>> Table(["FLOPs", "counted"], [("forward", 1280), ("backward", None), Total(("all", 1280))])
    FLOPs     counted
    forward     1,280
    backward        —
    all         1,280
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    labels: int = 1
    kind: str = ""

    def __post_init__(self):
        for row in self.rows:
            for cell in row:
                if not isinstance(cell, (int, str, Styled, type(None))):
                    raise TypeError(f"{cell!r} is not a cell: write an integer, or text with the digits to show")
            if not isinstance(row, Group) and len(row) != len(self.head):
                raise ValueError(
                    f"the row {tuple(row)!r} has {len(row)} cells, "
                    f"but the table {len(self.head)} columns: give each a cell"
                )

    @property
    def text(self) -> str:
        """Lay the table out in columns of characters."""
        lines = [self.head, *self.rows]
        columns = zip(*(map(_text, line) for line in lines if not isinstance(line, Group)), strict=True)
        widths = [max(map(len, column)) for column in columns]
        aligned: list[Callable[[str, int], str]] = [
            str.rjust if number else str.ljust for number in self._are_numbers()
        ]
        return "\n".join(
            "  ".join(
                align(_text(cell), width) for align, cell, width in zip(aligned, line, widths, strict=False)
            ).rstrip()
            for line in lines
        )

    @property
    def html(self) -> str:
        """Write the table as HTML, with a caption and a scope for each heading."""
        kinds = [' class="number"' if number else "" for number in self._are_numbers()]
        head = "".join(
            f'<th scope="col"{kind}>{escape(cell)}</th>' for kind, cell in zip(kinds, self.head, strict=True)
        )
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        kind = f"flopbook-table {self.kind}".rstrip()
        body = "".join(self._body(kinds))
        return f'<table class="{kind}">{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'

    @property
    def html_rows(self) -> list[str]:
        """Write each row below the head as HTML.

        Examples
        --------
        >>> Table(["FLOPs"], [(96,)], labels=0).html_rows
        ['<tr><td class="number">96</td></tr>']
        """
        kinds = [' class="number"' if number else "" for number in self._are_numbers()]
        return [part for part in self._body(kinds) if part.startswith("<tr")]

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html

    def _are_numbers(self) -> list[bool]:
        """Tell of each column whether it holds numbers and nothing else."""
        rows = [row for row in self.rows if not isinstance(row, Group)]
        return [n >= self.labels and _holds_numbers([row[n] for row in rows]) for n in range(len(self.head))]

    def _body(self, kinds: Sequence[str]) -> Iterator[str]:
        for number, row in enumerate(self.rows):
            if isinstance(row, Group):
                # a cell of its own, so that the title stays in sight when the table is scrolled sideways
                rest = f'<td colspan="{len(self.head) - 1}"></td>'
                yield "</tbody><tbody>" if number else ""
                yield f'<tr><th scope="rowgroup">{_html(row[0])}</th>{rest}</tr>'
            else:
                cells = (self._cell(n, cell, kinds[n]) for n, cell in enumerate(row))
                total = ' class="total"' if isinstance(row, Total) else ""
                yield f"<tr{total}>{''.join(cells)}</tr>"

    def _cell(self, column: int, cell: Cell, kind: str) -> str:
        if column < self.labels and cell != "":
            return f'<th scope="row">{_html(cell)}</th>'
        return f"<td{kind}>{_html(cell)}</td>"


def _holds_numbers(cells: Sequence[Cell]) -> bool:
    return any(cells) and all(
        isinstance(cell, int) or _text(cell) in ("", _text(None)) or _NUMBER.fullmatch(_text(cell)) for cell in cells
    )


def _text(cell: Cell) -> str:
    if cell is None:
        return "—"
    if isinstance(cell, Styled):
        return cell.text
    return cell if isinstance(cell, str) else f"{cell:,}"


def _html(cell: Cell) -> str:
    return cell.html if isinstance(cell, Styled) else escape(_text(cell))
