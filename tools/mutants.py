"""Change the code in one place and see whether a test notices, for `make mutants`.

Each mutant runs in a process of its own, forked from one that has imported torch and SymPy but none of our code.
It runs the tests that run the changed line, the quick files first, until one fails. The mutants come in an order
that the seed decides, as many as the time allows; those that no test notices are printed. `equivalents.toml`, beside
this file, names those that change no behaviour, each with its reason.

mutmut changes no function that has a decorator, and each of our rules has one; cosmic-ray imports torch anew for
each mutant.
"""

import argparse
import ast
import gc
import importlib
import importlib.machinery
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

SOURCE = Path("src")
TARGETS = ["predict", "measure/operators", "measure/counting", "comparison.py"]
#: The tests that must notice a mutant: those of these parts, and those of their agreement.
_AGREEMENT = ("convolutions", "fuzz", "memory", "mlp", "models", "optimizers", "pointwise", "products")
_PARTS = ("counts", "measure/counting", "measure/operators", "predict", "test_bad_inputs.py", "test_comparison.py")
TESTS = [
    *(f"src/flopbook/{target}" for target in TARGETS),
    *(f"tests/{part}" for part in _PARTS),
    *(f"tests/agreement/test_{what}.py" for what in _AGREEMENT),
]
_ON_IMPORT = ""  # coverage's name for what runs outside of all tests
EQUIVALENTS = Path(__file__).with_name("equivalents.toml")
PYTEST = ["-q", "-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
#: A mutant hangs, which counts as noticed, after this many times its tests' seconds, plus this many seconds.
PATIENCE = 10, 60

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

    def source(self) -> str:
        """Return the whole file with the change."""
        source = self.path.read_bytes()
        return (source[: self.start] + self.text.encode() + source[self.end :]).decode()

    def shown(self) -> dict[str, str]:
        """Return the changed lines before and after, by which `equivalents.toml` names it."""
        source = self.path.read_bytes()
        begin = source.rfind(b"\n", 0, self.start) + 1
        end = source.find(b"\n", self.end)
        was, becomes = source[begin:end], source[begin : self.start] + self.text.encode() + source[self.end : end]
        return {"path": str(self.path), "was": _one_line(was), "becomes": _one_line(becomes)}


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


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
        self.in_function = False
        self.mutants: list[Mutant] = []
        self.visit(ast.parse(self.source))

    # -- places and texts

    def place(self, line: int, column: int) -> int:
        return self.offsets[line - 1] + column

    def span(self, node: ast.AST) -> tuple[int, int]:
        return self.place(node.lineno, node.col_offset), self.place(node.end_lineno, node.end_col_offset)

    def replace(self, start: int, end: int, text: str) -> None:
        self.mutants.append(Mutant(self.path, start, end, text, self.lines))

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
            self.lines = tuple(range(node.lineno, last + 1)) if self.in_function else ()
        super().visit(node)
        self.lines = before

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        around = self.lines, self.in_function
        self.lines = tuple(range(node.body[0].lineno, node.end_lineno + 1))
        for decorator in node.decorator_list:
            self.decorator(decorator)
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default:
                self.visit(default)
        self.in_function = True
        for statement in node.body:
            self.visit(statement)
        self.lines, self.in_function = around

    def decorator(self, node: ast.expr) -> None:
        """Drop each of a decorator's arguments, or the only one."""
        if isinstance(node, ast.Call) and len(node.args) == 1:
            start, end = self.span(node)
            self.replace(start - 1, end, "")
        elif isinstance(node, ast.Call):
            for argument in node.args:
                self.drop(node.args, argument)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:  # decorators and fields of a class make it a kind of data
            self.visit(statement)

    # -- changes

    def visit_Assign(self, node: ast.Assign) -> None:
        if not (isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"):
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.replace(*self.span(node), str(not node.value))
        elif isinstance(node.value, int):
            self.replace(*self.span(node), str(node.value + 1))
        elif isinstance(node.value, float):
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
        if self.in_function and isinstance(node.value, ast.Call):
            self.replace(*self.span(node), "pass")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.replace(*self.span(node), "pass")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Drop operators that a call registers, keyword arguments, and words of a list."""
        if not self.in_function:
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
        if not self.in_function and isinstance(getattr(node, "ctx", None), (ast.Load, type(None))):
            for element in node.elts:
                self.drop(node.elts, element)
        self.generic_visit(node)

    visit_Set = visit_List = visit_Tuple = elements  # noqa: N815

    def visit_Dict(self, node: ast.Dict) -> None:
        if not self.in_function:
            for key, value in zip(node.keys, node.values, strict=True):
                if key:
                    start, end = self.span(key)[0], self.span(value)[1]
                    comma = self.source.find(b",", end, self.source.find(b"\n", end))
                    self.replace(start, comma + 1 if comma >= 0 else end, "")
        self.generic_visit(node)


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Make every mutant of a file that is still valid Python."""
    for mutant in _Mutator(path).mutants:
        try:
            compile(mutant.source(), path, "exec")
        except SyntaxError:
            continue
        yield mutant


class Record:
    """Holds which tests run which line, and each test's seconds."""

    def __init__(self, found: dict[str, Any]):
        self.seconds: dict[str, float] = found["seconds"]
        self.lines: dict[str, dict[str, list[str]]] = found["lines"]

    def of(self, mutant: Mutant) -> list[str]:
        """Return the tests that run a mutant's line; where it runs on import, those of its file, part and agreement."""
        lines = self.lines.get(str(mutant.path), {})
        wanted = map(str, mutant.lines) if mutant.lines else lines
        tests = {test for line in wanted for test in lines.get(line, ())}
        if not mutant.lines or _ON_IMPORT in tests:  # a test may read a result without running a line of the file
            part = next(target for target in TARGETS if mutant.path.is_relative_to(SOURCE / "flopbook" / target))
            tests |= {test for test in self.seconds if test.startswith((f"tests/{part}/", "tests/agreement/"))}
        return sorted(tests - {_ON_IMPORT})

    def batches(self, mutant: Mutant) -> list[list[str]]:
        """Return the tests of a mutant by file, quick files first."""
        files = defaultdict(list)
        for test in self.of(mutant):
            files[test.partition("::")[0]].append(test)
        return sorted(files.values(), key=lambda tests: sum(self.seconds[test] for test in tests))


class _Recorder:
    """Tells coverage which test runs, as a plugin of pytest."""

    def __init__(self, coverage):
        self.coverage = coverage
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: list[str] = []

    def pytest_runtest_logstart(self, nodeid):
        self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.append(report.nodeid)


class _Chosen:
    """Lets pytest run the chosen tests alone, as its plugin."""

    def __init__(self, tests: Sequence[str]):
        self.tests = set(tests)

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if item.nodeid in self.tests]


def warm_up() -> None:
    """Import what takes long and is not ours."""
    for name in ("hypothesis", "matplotlib.pyplot", "numpy", "pytest", "sympy", "torch", "torch._dynamo"):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a forked process then shares the pages


def fork(work, *arguments) -> int:
    """Run something in a process of its own, silently, and return its number."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        os.setpgid(0, 0)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        code = work(*arguments)
    finally:
        os._exit(code)


def find_tests(targets: Sequence[Path], written: str) -> int:
    """Run all tests once and write down which ones run which line."""
    import coverage  # noqa: PLC0415  (in this process alone)
    import pytest  # noqa: PLC0415

    measured = coverage.Coverage(data_file=None, include=[str(path) for path in targets])
    recorder = _Recorder(measured)
    measured.start()
    pytest.main([*PYTEST, "--maxfail=1000", *TESTS], [recorder])
    measured.stop()
    data, lines = measured.get_data(), {}
    for path in targets:
        contexts = data.contexts_by_lineno(str(path.resolve()))
        lines[str(path)] = contexts
    Path(written).write_text(json.dumps({"seconds": recorder.seconds, "lines": lines, "failed": recorder.failed}))
    return 0


class _Changed(importlib.machinery.SourceFileLoader):
    """Loads the mutant instead of the file."""

    def __init__(self, name: str, mutant: Mutant):
        super().__init__(name, str(mutant.path.resolve()))
        self.mutant = mutant

    def get_code(self, fullname):
        return compile(self.mutant.source(), self.path, "exec")


def try_mutant(mutant: Mutant, batches: Sequence[Sequence[str]]) -> int:
    """Run the tests of a mutant; 0 if none notices it."""
    import pytest  # noqa: PLC0415

    name = ".".join(mutant.path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")

    class Finder(importlib.machinery.PathFinder):
        @classmethod
        def find_spec(cls, fullname, path=None, target=None):
            spec = super().find_spec(fullname, path, target)
            if spec and fullname == name:
                spec.loader = _Changed(name, mutant)
            return spec

    sys.meta_path.insert(0, Finder)
    importlib.import_module(name)
    for tests in batches:
        if code := pytest.main([*PYTEST, tests[0].partition("::")[0]], [_Chosen(tests)]):
            return code
    return 0


def try_all(mutants: Sequence[Mutant], tests: Record, until: float) -> tuple[int, list[Mutant]]:
    """Try mutants side by side until time is up; return their number and survivors."""
    survivors, running, waiting = [], {}, list(reversed(mutants))
    tried = 0
    while running or (waiting and time.monotonic() < until):
        while waiting and len(running) < (os.cpu_count() or 1) and time.monotonic() < until:
            mutant = waiting.pop()
            batches = tests.batches(mutant)
            tried += 1
            if not batches:
                survivors.append(mutant)
                continue
            factor, more = PATIENCE
            expected = sum(tests.seconds[test] for batch in batches for test in batch)
            running[fork(try_mutant, mutant, batches)] = mutant, time.monotonic() + factor * expected + more
        for process, (mutant, limit) in list(running.items()):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                del running[process]
                if status == 0:
                    survivors.append(mutant)
                    print(describe(mutant), flush=True)
            elif time.monotonic() > limit:
                os.killpg(process, signal.SIGKILL)
        time.sleep(0.01)
    return tried, survivors


def describe(mutant: Mutant) -> str:
    """Write a mutant that survived, for printing."""
    line = mutant.path.read_bytes().count(b"\n", 0, mutant.start) + 1
    shown = mutant.shown()
    return f"{mutant.path}:{line}\n  was      {shown['was']}\n  becomes  {shown['becomes']}"


def main() -> None:
    """Print the mutants that no test notices."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=40, help="stop after so many minutes (default: 40)")
    parser.add_argument("--seed", type=int, default=1, help="decides the order of the mutants (default: 1)")
    parser.add_argument("paths", nargs="*", type=Path, help="files or folders (default: what the figures rest on)")
    arguments = parser.parse_args()
    until = time.monotonic() + 60 * arguments.minutes

    paths = arguments.paths or [SOURCE / "flopbook" / target for target in TARGETS]
    files = sorted(file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path]))
    equivalents = tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8"))["equivalent"]
    known = {(entry["path"], entry["was"], entry["becomes"]) for entry in equivalents}
    mutants = [mutant for file in files for mutant in mutants_of(file)]
    different = [mutant for mutant in mutants if tuple(mutant.shown().values()) not in known]
    random.Random(arguments.seed).shuffle(different)

    warm_up()
    with tempfile.NamedTemporaryFile() as written:
        os.waitpid(fork(find_tests, files, written.name), 0)
        found = json.loads(Path(written.name).read_text() or "{}")
    if not found or found["failed"]:
        sys.exit(f"tests fail without any mutant: {', '.join(found.get('failed', ['all']))}")
    print(f"{len(different)} mutants, {len(mutants) - len(different)} more change no behaviour", flush=True)
    tried, survivors = try_all(different, Record(found), until)
    noticed = f"{tried - len(survivors)} noticed, {len(survivors)} not"
    print(f"{tried} of {len(different)} mutants tried (seed {arguments.seed}): {noticed}")
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
