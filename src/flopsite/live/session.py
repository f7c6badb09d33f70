"""Run a page's cells in the reader's browser, as if from the page's top, and read what a reader pastes.

This module imports the standard library alone, as the browser's Python imports it.
"""

import ast
import importlib
import io
import linecache
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pprint import pformat
from typing import Any, NamedTuple

from flopsite.live.names import Names, names

#: Called with each event and its content: depends, running, stream, more, show or error; read or refused.
Tell = Callable[..., None]

_MOST_LINES, _MOST_CHARACTERS = 2_000, 200_000  # that a cell prints; more would make the page slow
_STREAM_SECONDS = 0.1
_WIDTH = 79
_MIME_METHODS = {"text/html": "_repr_html_", "image/svg+xml": "_repr_svg_", "text/latex": "_repr_latex_"}
_ELSEWHERE = (
    "The page has SymPy, the standard library and the part of flopbook that needs no PyTorch; the notebook has all."
)


class Run(NamedTuple):
    """Holds what a cell was run with, and the names that it left."""

    source: str
    providers: tuple["Run", ...]
    left: Mapping[str, Any]


class Session:
    """Runs the cells of one page, and remembers what they leave.

    A cell sees the names of the cells above it alone. The cells that it builds on run first, unless they have run and
    nothing that they depend on has changed since.

    >>> told = []
    >>> session = Session(lambda *what: told.append(what))
    >>> session.run({"a": "x = 2", "b": "x + 1", "c": "y = x * 3", "d": "y"}, "d")
    >>> told[0]
    ('depends', {'a': ['a'], 'b': ['a', 'b'], 'c': ['a', 'c'], 'd': ['a', 'c', 'd']})
    >>> told[1:]
    [('running', 'a'), ('running', 'c'), ('running', 'd'), ('show', {'text/plain': '6'})]
    """

    def __init__(self, tell: Tell):
        self.tell = tell
        self.runs: dict[str, Run] = {}
        self.scope: dict[str, Any] = {}

    def take(self, job: Mapping[str, Any]) -> None:
        """Do what the page asks for: run a cell, or read a text."""
        if "wanted" in job:
            self.run(job["page"], job["wanted"])
        else:
            self.read(job["reader"], job["text"])

    def read(self, reader: str, text: str) -> None:
        """Call a function, given as ``module:name``, on a text of the reader, which is never run.

        >>> session = Session(print)
        >>> session.read("html:escape", "<p>")
        running html:escape
        read &lt;p&gt;
        >>> session.read("json:loads", "<p>")
        running json:loads
        refused Expecting value: line 1 column 1 (char 0)
        """
        self.tell("running", reader)
        module, _, name = reader.partition(":")
        try:
            found = getattr(importlib.import_module(module), name)(text)
        except ValueError as error:  # what is wrong with the text, in words for the reader
            self.tell("refused", str(error))
        except Exception as error:
            self.tell("refused", in_words(error))
        else:
            self.tell("read", found)

    def run(self, page: Mapping[str, str], wanted: str) -> None:
        """Run the cell `wanted` of a page, given as sources by cell, in order."""
        providers = _providers(page)
        self.tell("depends", {cell: _closure(providers, cell) for cell in page})
        for cell in _closure(providers, wanted):
            done, beneath = self.runs.get(cell), tuple(self.runs[provider] for provider in providers[cell])
            if cell != wanted and done and done.source == page[cell] and _same(done.providers, beneath):
                continue
            if not self._run(page, cell, beneath):
                return

    def _run(self, page: Mapping[str, str], cell: str, beneath: tuple[Run, ...]) -> bool:
        self.tell("running", cell)
        self.scope.clear()
        self.scope |= {"__name__": "__main__", "display": self._display, "input": _refuse_input}
        for above in page:
            if above == cell:
                break
            self.scope |= self.runs[above].left if above in self.runs else {}
        before = dict(self.scope)
        self.runs.pop(cell, None)
        stream = _Stream(self.tell)
        try:
            with redirect_stdout(stream), redirect_stderr(stream):
                self._execute(page[cell], cell)
        except BaseException as error:  # the reader's code may raise anything
            stream.flush()
            self.tell("error", {"words": in_words(error), "traceback": explain(error, page, cell)})
            return False
        stream.flush()
        bound = names(page[cell]).bound
        left = {name: value for name, value in self.scope.items() if name in bound or name not in before}
        self.runs[cell] = Run(page[cell], beneath, left)
        return True

    def _execute(self, source: str, filename: str) -> None:
        """Run a cell as Jupyter does: show the last value unless a semicolon follows."""
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
        tree = ast.parse(source, filename)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, filename, "exec"), self.scope)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), filename, "eval"), self.scope)
            if value is not None and not source.rstrip().endswith(";"):
                self._display(value)

    def _display(self, *values: Any) -> None:
        for value in values:
            sys.stdout.flush()
            self.tell("show", bundle(value))


def _providers(page: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the cells that each cell builds on directly, in the order of the page."""
    order = {cell: place for place, cell in enumerate(page)}
    origin: dict[str, str] = {}
    providers = {}
    for cell, source in page.items():
        try:
            found = names(source)
        except SyntaxError:  # the cell raises the error when it runs
            found = Names()
        providers[cell] = sorted({origin[name] for name in found.used & origin.keys()}, key=order.__getitem__)
        origin |= dict.fromkeys(found.bound, cell)
    return providers


def _closure(providers: Mapping[str, list[str]], wanted: str) -> list[str]:
    """Return the cells that a cell builds on, and itself, in page order."""
    needed = {wanted}
    for cell in reversed(list(providers)):
        if cell in needed:
            needed.update(providers[cell])
    return [cell for cell in providers if cell in needed]


def _same(some: tuple[Run, ...], others: tuple[Run, ...]) -> bool:
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))


def in_words(error: BaseException) -> str:
    """Write what a traceback ends with."""
    words = f"{type(error).__name__}: {error}".removesuffix(": ")
    return f"{words}. {_ELSEWHERE}" if isinstance(error, ModuleNotFoundError) else words


def explain(error: BaseException, page: Mapping[str, str], cell: str) -> str:
    """Write the traceback of an error, with the lines that the reader sees."""
    story = traceback.TracebackException.from_exception(error)
    return "".join(_readable(story, page, cell).format()).rstrip()


def _readable(story: traceback.TracebackException, page: Mapping[str, str], cell: str) -> traceback.TracebackException:
    """Name cells as the reader would, and leave out what is inside of libraries."""
    places = {id: "this cell" if id == cell else "a cell above" for id in page}
    story.stack = traceback.StackSummary.from_list([frame for frame in story.stack if frame.filename in places])
    for frame in story.stack:
        frame.filename = places[frame.filename]
    if isinstance(getattr(story, "filename", None), str):  # of a SyntaxError
        story.filename = places.get(story.filename, story.filename)
    for cause in (story.__cause__, story.__context__):
        if cause:
            _readable(cause, page, cell)
    return story


def bundle(value: Any) -> dict[str, str]:
    """Return a value's representations by kind, as Jupyter does."""
    if isinstance(value, type):
        return {"text/plain": repr(value)}
    shown = {}
    for kind, method in _MIME_METHODS.items():
        content = getattr(value, method, lambda: None)()
        if content:
            shown[kind] = content
    if hasattr(value, "_repr_mimebundle_"):
        shown |= {kind: content for kind, content in value._repr_mimebundle_().items() if isinstance(content, str)}
    if "text/plain" not in shown:  # to write a long expression takes a while
        shown["text/plain"] = _plain(value)
    return shown


def _plain(value: Any) -> str:
    """Write a value as Jupyter does, without the end of a long text."""
    plain = repr(value)
    text = plain if len(plain) <= _WIDTH else pformat(value, width=_WIDTH, sort_dicts=False)
    if (more := len(text) - _MOST_CHARACTERS) > 0:
        text = f"{text[:_MOST_CHARACTERS]} … {more:,} characters more"
    return text


def _refuse_input(prompt: object = "") -> str:
    question = repr(prompt) if prompt else ""
    raise RuntimeError(
        f"input({question}) cannot read in the page: write the answer into the cell, such as answer = '12'"
    )


class _Stream(io.TextIOBase):
    """Sends printed text in portions, so that the text shows while a cell runs; counts the lines that are too many."""

    def __init__(self, tell: Tell):
        self.send = tell
        self.waiting: list[str] = []
        self.lines, self.characters = _MOST_LINES, _MOST_CHARACTERS  # that there is room for
        self.left_out = 0  # line breaks
        self.told = time.monotonic()

    def write(self, text: str) -> int:
        *first, rest = text.split("\n", self.lines)
        kept = text[: len(text) - len(rest)] if len(first) == self.lines else text
        kept = kept[: self.characters]
        self.lines -= kept.count("\n")
        self.characters -= len(kept)
        self.left_out += text.count("\n", len(kept))
        self.waiting.append(kept)
        if time.monotonic() - self.told > _STREAM_SECONDS:
            self.flush()
        return len(text)

    def flush(self) -> None:
        if text := "".join(self.waiting):
            self.send("stream", text)
        if self.left_out:
            self.send("more", self.left_out)
        self.waiting, self.told = [], time.monotonic()
