"""Write in plain Markdown what the site shows for a role: a citation, a link, a value of a cell."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from myst_nb.core.variables import format_plain_text
from myst_nb.ext.glue import extract_glue_data_cell
from nbformat import NotebookNode
from pybtex.database import Entry

from flopsite.execution.cache_key import code_cells

_NAMED_TARGET = re.compile(r"^(?P<text>.*?)\s*<(?P<target>[^>]+)>$", re.DOTALL)


@dataclass(frozen=True)
class Roles:
    """Writes roles as text.

    Attributes
    ----------
    link : callable
        Given the words of a link, perhaps none, and the page that it names, the text.
    glued : mapping
        The text of each value that a cell glues into prose; without it, a value's name is shown.
    entries : mapping
        What the bibliography holds for each key.
    labels : mapping
        The title of each target of `ref`.
    """

    link: Callable[[str, str], str]
    glued: Mapping[str, str]
    entries: Mapping[str, Entry]
    labels: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, role: str, content: str) -> str:
        if role.startswith("glue"):
            name, _, spec = content.partition(":")
            return format_plain_text(self.glued.get(name, name), spec)
        named = _NAMED_TARGET.match(content)
        if role == "doc":
            return self.link(*(named.groups() if named else ("", content)))
        if named:
            return named["text"]
        if role in ("ref", "numref"):
            return self.labels.get(content, content)
        if role.startswith("cite"):
            return f"({'; '.join(_author_year(self.entries[key.strip()]) for key in content.split(','))})"
        return content


def glued_texts(executed: NotebookNode) -> dict[str, str]:
    """Return the values that a page's cells glued into its prose, as text."""
    glued = (pair for cell in code_cells(executed) for pair in extract_glue_data_cell(cell))
    return {name: output["data"].get("text/plain", "") for name, output in glued}


def _author_year(entry: Entry) -> str:
    names = [" ".join(map(str, person.rich_last_names)) for person in entry.persons["author"]]
    if len(names) > 2 or "others" in names:
        names = [f"{names[0]} et al."]
    return f"{' and '.join(names)}, {entry.fields['year']}"
