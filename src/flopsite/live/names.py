"""Tell which names a cell uses from cells above, and which it binds.

The build finds out by these names which cells can run in the page; the page, which cells have to run first.
"""

import ast
import builtins
from collections.abc import Iterable, Iterator
from functools import cache
from symtable import SymbolTable, symtable
from typing import NamedTuple

_GIVEN = {*dir(builtins), "display"}


class Names(NamedTuple):
    """Holds the names that a cell uses before it binds them, and those it binds."""

    used: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()


@cache
def names(source: str) -> Names:
    r"""Read the names that a cell uses and binds off its text.

    >>> found = names("x = x + step\ndef total():\n    return x * later\nlater = 2")
    >>> sorted(found.used), sorted(found.bound)
    (['step', 'x'], ['later', 'total', 'x'])
    """
    reader = _TopLevel()
    reader.visit(ast.parse(source))
    # A function looks its names up when it is called: names that the cell binds further down exist by then.
    used = reader.used | (set(_used_inside(symtable(source, "cell", "exec"))) - reader.bound)
    return Names(frozenset(name for name in used - _GIVEN if not name.startswith("__")), frozenset(reader.bound))


def _used_inside(table: SymbolTable) -> Iterator[str]:
    """Yield the global names that functions, classes and comprehensions use, at any depth."""
    for inner in table.get_children():
        yield from (name.get_name() for name in inner.get_symbols() if name.is_global() and name.is_referenced())
        yield from _used_inside(inner)


# ruff: noqa: N815  (a visitor's methods have the names of the nodes)
class _TopLevel(ast.NodeVisitor):
    """Visits what a cell runs outside of functions and classes, in order."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.bound: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.bound.add(node.id)
        elif node.id not in self.bound:
            self.used.add(node.id)

    def visit_alias(self, node: ast.alias) -> None:
        self.bound.add((node.asname or node.name).partition(".")[0])

    def visit_Assign(self, node: ast.Assign) -> None:
        self._visit(node.value, *node.targets)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self._visit(node.annotation, node.value, node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.visit_Name(ast.Name(node.target.id, ast.Load()))
        self._visit(node.value, node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._visit(node.value, node.target)

    def visit_For(self, node: ast.For) -> None:
        self._visit(node.iter, node.target, *node.body, *node.orelse)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._visit(*filter(None, [node.type]))
        if node.name:
            self.bound.add(node.name)
        self._visit(*node.body)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._visit(*node.decorator_list, *_run_with(node.args), *filter(None, [node.returns]))
        self.bound.add(node.name)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit(*_run_with(node.args))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._visit(*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords))
        self.bound.add(node.name)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        """Visit the part of a comprehension that runs, and that binds, outside of its scope."""
        self.visit(node.generators[0].iter)
        self.bound |= {inner.target.id for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)}

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        self.generic_visit(node)
        if node.name:
            self.bound.add(node.name)

    visit_MatchStar = visit_MatchAs
    visit_AsyncFunctionDef = visit_FunctionDef
    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def _visit(self, *nodes: ast.AST) -> None:
        for node in nodes:
            self.visit(node)


def _run_with(arguments: ast.arguments) -> Iterable[ast.expr]:
    """Yield what runs when a function is defined: its arguments' defaults and annotations."""
    yield from (default for default in [*arguments.defaults, *arguments.kw_defaults] if default)
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    yield from (argument.annotation for argument in every if argument and argument.annotation)
