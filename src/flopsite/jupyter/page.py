"""Turn the text of a page into a notebook, and a notebook back into the text, of which only what was changed is new."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

from flopbook.checks import quoted
from flopsite.takeaway.markdown import Resolve, pieces, plain_markdown, restored, shown

_OWN = "flopsite"  # the metadata that leads back to the text, which holds none of it
_FORMAT = "md:myst"
_NEW_CELL = "+++"  # between two cells of prose
_FENCE = re.compile(r"(`{3,}|~{3,}|:{3,})(?P<info>.*)")
#: How a notebook folds the cells of a page that the site folds or leaves out.
FOLDED = {
    "hide-input": {"source_hidden": True},
    "remove-input": {"source_hidden": True},
    "hide-cell": {"source_hidden": True, "outputs_hidden": True},
    "remove-cell": {"source_hidden": True, "outputs_hidden": True},
}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class ChangedFrameError(ValueError):
    """Refuses to write a cell in which the frame of a fold or a question was changed."""


@dataclass
class _Part:
    """Holds a cell's text, and what stands before it: empty lines, or a line that begins a new cell."""

    before: str
    text: str


def is_read_from_page(notebook: Mapping[str, Any]) -> bool:
    """Tell whether :func:`read` made a notebook, so that :func:`write` can write it."""
    return _OWN in notebook["metadata"]


def fold(cell: NotebookNode) -> None:
    """Fold a cell that the site folds or leaves out."""
    for tag in cell.metadata.get("tags", []):
        cell.metadata.setdefault("jupyter", {}).update(FOLDED.get(tag, {}))


def read(text: str, resolve: Resolve) -> NotebookNode:
    """Make the notebook of a page; each cell keeps its text.

    >>> page = read("---\\nkernelspec: {name: python3}\\n---\\n\\n{math}`B`\\n", lambda role, content: content)
    >>> page.cells[0].source
    '$B$'
    >>> page.cells[0].source += ", the batch"
    >>> print(write(page))
    ---
    kernelspec: {name: python3}
    ---
    <BLANKLINE>
    {math}`B`, the batch
    <BLANKLINE>
    """
    head, *parts, end = _parts(text)
    notebook = jupytext.reads(text.removeprefix(head.text), fmt=_FORMAT)
    notebook.metadata = {**METADATA, _OWN: {"head": head.text, "end": end.before}}
    follows = ""
    for cell, part in zip(notebook.cells, parts, strict=True):
        roles: dict[str, str] = {}
        source, metadata = cell.source, {**cell.metadata}
        if cell.cell_type == "markdown":
            cell.source = plain_markdown(source, partial(_noted, roles, resolve))
        fold(cell)
        cell.metadata[_OWN] = {
            "follows": follows,
            "before": part.before,
            "text": part.text,
            "source": source,
            "metadata": metadata,
            "roles": roles,
        }
        follows = cell.cell_type
    return nbformat.from_dict(notebook)


def _noted(roles: dict[str, str], resolve: Resolve, role: str, content: str) -> str:
    """Write a role as text, and note the text."""
    return roles.setdefault(f"{role} {content}", resolve(role, content))


def write(notebook: NotebookNode) -> str:
    """Write the text of a page.

    Raises
    ------
    ChangedFrameError
        If a reader has changed what the notebook shows for the frame of a directive.
    """
    own = notebook.metadata[_OWN]
    text, previous = [own["head"]], ""
    for cell in notebook.cells:
        kept = cell.metadata.get(_OWN)
        separator = f"\n{_NEW_CELL}\n\n" if previous == cell.cell_type == "markdown" else "\n"
        text.append(kept["before"] if kept and kept["follows"] == previous else separator)
        text.append(_text(cell, kept))
        previous = cell.cell_type
    return "".join([*text, own["end"]])


def _text(cell: NotebookNode, kept: Mapping[str, Any] | None) -> str:
    metadata = {name: value for name, value in cell.metadata.items() if name not in (_OWN, "jupyter", "trusted")}
    if not kept or metadata != kept["metadata"]:
        return _new_text(cell, metadata)
    if cell.cell_type == "markdown":
        return f"{_myst(cell.source, kept['source'], kept['roles'])}\n"
    if cell.source == kept["source"]:
        return kept["text"]
    opening, _, closing = kept["text"].rpartition(f"{kept['source']}\n")
    is_simple = kept["source"] and "```" not in cell.source
    return f"{opening}{cell.source}\n{closing}" if is_simple else _new_text(cell, metadata)


def _myst(edited: str, source: str, roles: Mapping[str, str]) -> str:
    """Return the MyST of an edited cell, which looks as the reader has written it."""

    def resolve(role: str, content: str) -> str:
        return roles.get(f"{role} {content}", content)

    parts = pieces(source, resolve)
    text = restored(parts, edited)
    if plain_markdown(text, resolve) != plain_markdown(edited, resolve):
        before = shown(parts).splitlines()
        changed = next((line for line in edited.splitlines() if line not in before), edited)
        raise ChangedFrameError(
            f"{quoted(changed)} is where the notebook shows a fold, a question or a term in its own way: "
            "undo that change, and make it in the page's text file"
        )
    return text


def _new_text(cell: NotebookNode, metadata: dict) -> str:
    """Let jupytext write a cell."""
    alone = nbformat.v4.new_notebook(cells=[nbformat.from_dict({**cell, "metadata": metadata})])
    text = jupytext.writes(alone, fmt=_FORMAT)
    return text.split("---\n", 2)[2].strip("\n") + "\n"


def _parts(text: str) -> Iterator[_Part]:
    """Yield the front matter, the text of each cell, and an empty part with what stands at the end."""
    lines = text.splitlines(keepends=True)
    end = lines.index("---\n", 1) + 1 if text.startswith("---\n") else 0
    yield _Part("", "".join(lines[:end]))
    before, prose, waiting = "", "", list(reversed(lines[end:]))
    while waiting:
        line = waiting.pop()
        fence = _FENCE.match(line)
        is_code = bool(fence and fence["info"].startswith("{code-cell}"))
        if prose and (is_code or line.startswith(_NEW_CELL)):
            stripped = prose.rstrip("\n") + "\n"
            yield _Part(before, stripped)
            before, prose = prose[len(stripped) :], ""
        block = line + "".join(_block(waiting, fence[1])) if fence else line
        if is_code:
            yield _Part(before, block)
            before = ""
        elif line.startswith(_NEW_CELL) or not (prose or line.strip()):
            before += line
        else:
            prose += block
    if prose:
        stripped = prose.rstrip("\n") + "\n"
        yield _Part(before, stripped)
        before = prose[len(stripped) :]
    yield _Part(before, "")


def _block(waiting: list[str], fence: str) -> Iterator[str]:
    """Take the lines of a block with the line that closes it."""
    closing = re.compile(rf"{fence[0]}{{{len(fence)},}}\s*")
    while waiting:
        line = waiting.pop()
        yield line
        if closing.fullmatch(line):
            return
