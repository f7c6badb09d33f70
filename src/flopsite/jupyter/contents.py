"""Open and save pages in JupyterLab: `--ServerApp.contents_manager_class=flopsite.jupyter.contents.PageManager`."""

import re
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import nbformat
from jupytext import AsyncTextFileContentsManager
from pybtex.database import Entry, parse_file
from tornado.web import HTTPError

from flopsite.jupyter.page import ChangedFrameError, is_read_from_page, read, write
from flopsite.takeaway.roles import Roles, glued_texts

_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


class PageManager(AsyncTextFileContentsManager):  # type: ignore[misc,valid-type]  # made by a function
    """Shows pages as a reader of the site sees them; all other files are left to jupytext."""

    async def get(self, path: str, content: bool = True, type: str | None = None, **others: Any) -> dict[str, Any]:
        model = await super().get(path, content=content, type=type, **others)
        if content and model["type"] == "notebook" and path.endswith(".md"):
            file = self._root / path.strip("/")
            model["content"] = read(file.read_text("utf-8"), self._roles(file))
        return model

    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        if model["type"] == "notebook" and path.endswith(".md") and is_read_from_page(model["content"]):
            try:
                text = write(nbformat.from_dict(model["content"]))
            except ChangedFrameError as error:
                raise HTTPError(400, str(error)) from None
            model = {"type": "file", "format": "text", "content": text}
        return await super().save(model, path)

    @property
    def _root(self) -> Path:
        return Path(self.root_dir)

    @cached_property
    def _entries(self) -> dict[str, Entry]:
        return parse_file(self._root / "references.bib", "bibtex").entries

    def _roles(self, page: Path) -> Roles:
        """Take values that cells glue into prose from the last build, if there was one."""
        results = (self._root / "_build" / "pages" / page.relative_to(self._root)).with_suffix(".ipynb")
        glued = glued_texts(nbformat.read(results, 4)) if results.is_file() else {}
        return Roles(partial(_link, page.parent), glued, self._entries)


def _link(folder: Path, words: str, target: str) -> str:
    page = folder / f"{target}.md"
    title = _TITLE.search(page.read_text("utf-8")) if page.is_file() else None
    return f"[{words or (title[1] if title else target)}]({target}.md)"
