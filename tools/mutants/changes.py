"""Make the mutants of a file: each is the file with one change."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

SWAPS: dict[type, str] = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "+", ast.Div: "*", ast.FloorDiv: "*", ast.Mod: "*", ast.Pow: "*",
    ast.BitAnd: "|", ast.BitOr: "&",
    ast.Eq: "!=", ast.NotEq: "==", ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
    ast.And: "or", ast.Or: "and",
}  # fmt: skip


class Mutant(NamedTuple):
    """Describes one change of one file: the text that replaces the text between two places."""

    path: Path
    start: int
    end: int
    text: str
    #: Lines that a test must run to notice: those of the statement, or of all that it decides.
    lines: tuple[int, ...]
    #: The outermost function whose body has the change, such as `Tally.total`, or "" where importing runs it.
    function: str

    def source(self) -> str:
        """Return the whole file with the change."""
        source = self.path.read_bytes()
        return (source[: self.start] + self.text.encode() + source[self.end :]).decode()

    def is_valid(self) -> bool:
        """Tell whether the file with the change is valid Python."""
        try:
            compile(self.source(), self.path, "exec")
        except SyntaxError:
            return False
        return True

    def shown(self) -> dict[str, str]:
        """Return the changed lines before and after, by which `equivalents.toml` names it."""
        source = self.path.read_bytes()
        begin = source.rfind(b"\n", 0, self.start) + 1
        end = source.find(b"\n", self.end)
        was, becomes = source[begin:end], source[begin : self.start] + self.text.encode() + source[self.end : end]
        return {"path": str(self.path), "was": _one_line(was), "becomes": _one_line(becomes)}


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _inside(node: ast.FunctionDef) -> tuple[int, ...]:
    return tuple(range(node.body[0].lineno, node.end_lineno + 1))


def _one_line(text: bytes) -> str:
    return " ".join(text.decode().split())


class _Mutator(ast.NodeVisitor):
    """Collects the mutants of one file."""

    def __init__(self, path: Path):
        self.path = path
        self.source = path.read_bytes()
        self.offsets = [0]
        for line in self.source.splitlines(keepends=True):
            self.offsets.append(self.offsets[-1] + len(line))
        self.lines: tuple[int, ...] = ()
        self.function = ""
        self.classes: list[str] = []
        self.mutants: list[Mutant] = []
        self.visit(ast.parse(self.source))

    # -- places and texts

    def place(self, line: int, column: int) -> int:
        return self.offsets[line - 1] + column

    def span(self, node: ast.AST) -> tuple[int, int]:
        return self.place(node.lineno, node.col_offset), self.place(node.end_lineno, node.end_col_offset)

    def replace(self, start: int, end: int, text: str) -> None:
        self.mutants.append(Mutant(self.path, start, end, text, self.lines, self.function))

    def between(self, left: ast.AST, right: ast.AST, old: str, new: str) -> None:
        """Replace the operator between two operands."""
        start, end = self.span(left)[1], self.span(right)[0]
        place = self.source.find(old.encode(), start, end)
        if place >= 0:
            self.replace(place, place + len(old), new)

    def drop(self, nodes: Sequence[ast.AST], node: ast.AST) -> None:
        """Drop one of several that stand between commas."""
        start, end = self.span(node)
        comma = self.source.find(b",", end, self.source.find(b"\n", end))
        self.replace(start, comma + 1 if comma >= 0 and node is not nodes[-1] else end, "")

    # -- what a test must run

    def visit(self, node: ast.AST) -> None:
        before = self.lines
        if isinstance(node, ast.stmt) and not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            last = node.body[0].lineno - 1 if hasattr(node, "body") else node.end_lineno
            self.lines = tuple(range(node.lineno, last + 1)) if self.function else ()
        super().visit(node)
        self.lines = before

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        around = self.lines, self.function
        header = node.decorator_list[0].lineno if node.decorator_list else node.lineno
        # a nested function is made when the one around it runs; any other is made on import
        nested = tuple(range(header, node.body[0].lineno))
        self.lines = nested if self.function else ()  # tests that never run it may notice that it is registered
        for decorator in node.decorator_list:
            self.decorator(decorator)
        self.lines = nested if self.function else _inside(node)
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default:
                self.visit(default)
        self.lines = _inside(node)
        self.function = self.function or ".".join([*self.classes, node.name])
        for statement in node.body:
            self.visit(statement)
        self.lines, self.function = around

    def decorator(self, node: ast.expr) -> None:
        """Drop each of a decorator's arguments, or the only one."""
        if isinstance(node, ast.Call) and len(node.args) == 1:
            start, end = self.span(node)
            self.replace(start - 1, end, "")
        elif isinstance(node, ast.Call):
            for argument in node.args:
                self.drop(node.args, argument)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.classes.append(node.name)
        for statement in node.body:  # decorators and fields of a class make it a kind of data
            self.visit(statement)
        self.classes.pop()

    # -- changes

    def visit_Assign(self, node: ast.Assign) -> None:
        if not (isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"):
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Leave a type's parameters alone: on import, nothing else has an index of several."""
        self.visit(node.value)
        if self.function or not isinstance(node.slice, ast.Tuple):
            self.visit(node.slice)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.replace(*self.span(node), str(not node.value))
        elif isinstance(node.value, int):
            self.replace(*self.span(node), str(node.value + 1))
        elif isinstance(node.value, float) and node.value:  # twice 0 is 0
            self.replace(*self.span(node), str(2 * node.value))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leave formatted text alone, since messages may change."""

    def visit_Raise(self, node: ast.Raise) -> None:
        """Leave the making of messages alone, too."""

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.generic_visit(node)
        if type(node.op) in SWAPS and not _is_text(node.left):
            old = {
                ast.Add: "+",
                ast.Sub: "-",
                ast.Mult: "*",
                ast.Div: "/",
                ast.FloorDiv: "//",
                ast.Mod: "%",
                ast.Pow: "**",
            }
            old |= {ast.BitAnd: "&", ast.BitOr: "|"}
            self.between(node.left, node.right, old[type(node.op)], SWAPS[type(node.op)])

    def visit_Compare(self, node: ast.Compare) -> None:
        self.generic_visit(node)
        old = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
        old |= {ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in"}
        for left, operator, right in zip((node.left, *node.comparators), node.ops, node.comparators, strict=False):
            self.between(left, right, old[type(operator)], SWAPS[type(operator)])

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.generic_visit(node)
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.between(left, right, "and" if isinstance(node.op, ast.And) else "or", SWAPS[type(node.op)])

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        self.generic_visit(node)
        if isinstance(node.op, (ast.Not, ast.USub)):
            self.replace(self.span(node)[0], self.span(node.operand)[0], "")

    def condition(self, test: ast.expr) -> None:
        if not isinstance(test, (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Constant, ast.NamedExpr)):
            start, end = self.span(test)
            self.replace(start, end, f"not ({self.source[start:end].decode()})")

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        self.condition(node.test)
        self.generic_visit(node)

    visit_IfExp = visit_While = visit_If  # noqa: N815

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self.condition(test)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):  # a docstring
            return
        if self.function and isinstance(node.value, ast.Call):
            self.replace(*self.span(node), "pass")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.replace(*self.span(node), "pass")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Drop operators that a call registers, keyword arguments, and words of a list."""
        if not self.function:
            for argument in node.args:
                if isinstance(argument, (ast.Attribute, ast.Starred)) or _is_text(argument):
                    self.drop(node.args, argument)
            if isinstance(node.func, ast.Attribute) and node.func.attr == "split":
                self.words(node.func.value)
        for keyword in node.keywords:
            if keyword.arg is None:
                self.drop(node.keywords, keyword)
        self.generic_visit(node)

    def words(self, node: ast.expr) -> None:
        start, end = self.span(node)
        for word in re.finditer(rb"[^\s\"]+", self.source[start:end]):
            self.replace(start + word.start(), start + word.end(), "")

    def elements(self, node: Any) -> None:
        """Drop each element of a table of the module."""
        if not self.function and isinstance(getattr(node, "ctx", None), (ast.Load, type(None))):
            for element in node.elts:
                self.drop(node.elts, element)
        self.generic_visit(node)

    visit_Set = visit_List = visit_Tuple = elements  # noqa: N815

    def visit_Dict(self, node: ast.Dict) -> None:
        if not self.function:
            for key, value in zip(node.keys, node.values, strict=True):
                if key:
                    start, end = self.span(key)[0], self.span(value)[1]
                    comma = self.source.find(b",", end, self.source.find(b"\n", end))
                    self.replace(start, comma + 1 if comma >= 0 else end, "")
        self.generic_visit(node)


def changes_of(path: Path) -> list[Mutant]:
    """Make every change of a file, also those after which it is not valid Python."""
    return _Mutator(path).mutants


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Make every mutant of a file that is still valid Python."""
    return filter(Mutant.is_valid, changes_of(path))
