"""Try mutants: each in a process of its own, with the tests that must notice it.

Two processes stand by to be forked. In one, pytest has collected all tests: a mutant there is a function's new code,
and only its tests take time. The other one has imported torch and SymPy but none of our code: what importing runs,
such as a table, is imported there with its change.
"""

import functools
import gc
import importlib
import importlib.machinery
import inspect
import os
import random
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from tools.mutants.changes import Mutant
from tools.mutants.choice import SOURCE, TESTS, Record, is_left_out

PYTEST = ["-q", "-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
#: How a process ends that has no function to give the new code to.
NOTHING_TO_SWAP = 71
#: A number of tests, and of seconds, that nothing reaches.
_ALL, _LONG = 10**5, 10**4
#: A mutant hangs, which counts as noticed, after this many times its tests' seconds, plus this many seconds.
PATIENCE = 10, 60


def warm_up() -> None:
    """Import what takes long and is not ours."""
    os.environ["OMP_NUM_THREADS"] = "1"  # a forked process has none of its parent's threads, but waits for them
    for name in ("matplotlib.pyplot", "numpy", "pytest", "sympy", "torch", "torch._dynamo"):
        importlib.import_module(name)
    hypothesis = importlib.import_module("hypothesis")
    # the first example that fails is enough
    hypothesis.settings.register_profile("mutants", phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate])
    hypothesis.settings.load_profile("mutants")
    _share()


def _share() -> None:
    """Let forked processes share the memory of all objects."""
    gc.collect()
    gc.freeze()


def fork(work: Callable[..., int], *arguments: object) -> int:
    """Run something in a process of its own, silently, and return its number."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        code = work(*arguments)
    finally:
        os._exit(code)


def attempt(answers: int, number: int, seconds: float, work: Callable[..., int], *arguments: object) -> None:
    """Run something in a process of its own, and write to `answers` how it ended, with its number."""

    def limited() -> int:
        factor, more = PATIENCE
        signal.alarm(int(factor * seconds) + more)
        return work(*arguments)

    def watch() -> int:
        _, status = os.waitpid(fork(limited), 0)
        _write(answers, number, os.waitstatus_to_exitcode(status))
        return 0

    fork(watch)


def _write(answers: int, number: int, code: int) -> None:
    os.write(answers, f"{number} {code}\n".encode())  # at once: so short a line is never split


class Session:
    """Runs and records all tests, then waits with them for mutants, as a plugin of pytest.

    It reads numbers of mutants from `asked`, and writes to `answers` how each ended; `READY` comes first.
    """

    READY = -1

    def __init__(self, mutants: Sequence[Mutant], files: Sequence[Path], written: Path, seed: int):
        self.mutants, self.files, self.written, self.seed = mutants, files, written, seed

    def recorded(self) -> Record:
        """Read which tests run which line, after `READY`."""
        return Record.read(self.written)

    def run(self, asked: int, ask: int, answers: int) -> int:
        """Collect all tests, run them once, and try each mutant whose number is asked."""
        import coverage  # noqa: PLC0415  (in this process alone)
        import pytest  # noqa: PLC0415

        os.close(ask)  # what is asked ends where no other process can ask
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        self.asked, self.answers = asked, answers
        self.coverage = coverage.Coverage(data_file=None, include=[str(path) for path in self.files])
        self.coverage.start()
        try:
            return pytest.main([*PYTEST, f"--maxfail={_ALL}", *TESTS], [self])
        finally:
            _write(answers, self.READY, 1)

    def pytest_collection_modifyitems(self, items) -> None:
        """Leave out what takes too long."""
        items[:] = [item for item in items if not is_left_out(item.nodeid, item.fixturenames)]

    def pytest_runtestloop(self, session) -> bool:
        """Take the place of pytest's loop."""
        recorded = os.pipe()
        attempt(recorded[1], 0, _LONG, self.record, session)
        os.read(recorded[0], 1)
        self.coverage.stop()
        record = self.recorded()
        items = {item.nodeid: item for item in session.items}
        functions = _functions(self.files)
        _share()
        _write(self.answers, self.READY, 0)
        with open(self.asked, encoding="ascii") as asked:
            for number in map(int, iter(asked.readline, "")):
                mutant = self.mutants[number]
                chosen = [items[test] for test in record.tests(mutant)]
                attempt(self.answers, number, record.cost(mutant), _try, session, mutant, functions, chosen)
        return True

    def record(self, session) -> int:
        """Run all tests in an order that the seed decides, and write down which ones run which line."""
        recorder = _Recorder(self.coverage, _caches(self.files))
        session.config.pluginmanager.register(recorder)
        random.Random(self.seed).shuffle(session.items)
        _run(session, session.items, _ALL)
        self.coverage.stop()
        data = self.coverage.get_data()
        lines = {str(path): data.contexts_by_lineno(str(path.resolve())) for path in self.files}
        Record(recorder.seconds, lines, recorder.failed).write(self.written)
        return 0


def _try(session, mutant: Mutant, functions: dict[str, list[FunctionType]], items: Sequence[Any]) -> int:
    """Give a function its new code and run its tests; 0 if none notices."""
    return _run(session, items, 1) if swap(mutant, functions[str(mutant.path)]) else NOTHING_TO_SWAP


def _run(session, items: Sequence[Any], most: int) -> int:
    """Run tests one after the other, until so many have failed; return how many."""
    for item, following in zip_longest(items, items[1:]):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed >= most:
            return most
    return 0


class _Recorder:
    """Tells coverage which test runs, as a plugin of pytest; no test finds what another one left in a cache."""

    def __init__(self, coverage, caches):
        self.coverage, self.caches = coverage, caches
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: list[str] = []

    def pytest_runtest_logstart(self, nodeid):
        for cached in self.caches:
            cached.cache_clear()
        self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.append(report.nodeid)


def _functions(files: Sequence[Path]) -> dict[str, list[FunctionType]]:
    """Find every function of some files."""
    names = {str(path.resolve()): str(path) for path in files}
    found: dict[str, list[FunctionType]] = {str(path): [] for path in files}
    for thing in gc.get_objects():
        if type(thing) is FunctionType and (name := names.get(os.path.realpath(thing.__code__.co_filename))):
            found[name].append(thing)
    return found


def _caches(files: Sequence[Path]) -> list[Any]:
    """Find every function of some files that keeps its results."""
    names = {str(path.resolve()) for path in files}
    kept = [thing for thing in gc.get_objects() if type(thing) is functools._lru_cache_wrapper]
    codes = [getattr(inspect.unwrap(thing), "__code__", None) for thing in kept]
    return [
        thing for thing, code in zip(kept, codes, strict=True) if code and os.path.realpath(code.co_filename) in names
    ]


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def swap(mutant: Mutant, functions: Sequence[FunctionType]) -> bool:
    """Give the functions that a mutant changes their new code; tell whether there is exactly one for each."""
    codes = defaultdict(list)
    for code in _codes(compile(mutant.source(), functions[0].__code__.co_filename, "exec")):
        if f"{code.co_qualname}.".startswith(f"{mutant.function}."):
            codes[code.co_qualname, code.co_firstlineno].append(code)
    names = [(function.__code__.co_qualname, function.__code__.co_firstlineno) for function in functions]
    changed = [(function, codes[name]) for function, name in zip(functions, names, strict=True) if name in codes]
    fits = (len(new) == 1 and new[0].co_freevars == function.__code__.co_freevars for function, new in changed)
    if not changed or not all(fits):
        return False
    for function, (code,) in changed:
        function.__code__ = code
    return True


class _Chosen:
    """Lets pytest run the chosen tests alone, as its plugin."""

    def __init__(self, tests: Sequence[str]):
        self.tests = set(tests)

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if item.nodeid in self.tests]


class _Changed(importlib.machinery.SourceFileLoader):
    """Loads the mutant instead of the file."""

    def __init__(self, name: str, mutant: Mutant):
        super().__init__(name, str(mutant.path.resolve()))
        self.mutant = mutant

    def get_code(self, fullname):
        return compile(self.mutant.source(), self.path, "exec")


def import_mutant(mutant: Mutant, batches: Sequence[Sequence[str]]) -> int:
    """Import a mutant and run its tests; 0 if none notices."""
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
