"""Make the tables of the build."""

from collections.abc import Sequence

from docutils import nodes

Cell = Sequence[nodes.Node]


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> nodes.table:
    """Make a table of cells, each a sequence of inline nodes, under headings."""
    group = nodes.tgroup(cols=len(head))
    group += [nodes.colspec(colwidth=1) for _ in head]
    group += nodes.thead("", _row([[nodes.Text(text)] for text in head]))
    group += nodes.tbody("", *(_row(row) for row in rows))
    return nodes.table("", group, classes=["made-by-the-build"])


def _row(cells: Sequence[Cell]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells))
