"""Choose the tests that must notice a mutant, the likely and quick ones first."""

import json
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, Self

from tools.mutants.changes import Mutant

SOURCE = Path("src")
TARGETS = ["predict", "measure/operators", "measure/counting", "comparison.py"]
#: The tests that are asked: those of these parts, the examples of the targets, and what agrees with them.
_PARTS = (
    "counts", "measure/counting", "measure/distributed/test_communication.py", "measure/operators", "predict",
    "published/test_plan.py", "published/test_trainers.py", "test_bad_inputs.py", "test_comparison.py",
)  # fmt: skip
TESTS = [*(f"src/flopbook/{target}" for target in TARGETS), *(f"tests/{part}" for part in _PARTS), "tests/agreement"]
#: Tests that are not asked take long, and rest on more than the targets, or run on ranks, which do not see a mutant.
_LONG = re.compile(r"tests/agreement/.*(answers|audit|executed|report|tracing|traced?_)")
_OF_RANKS = {"counted", "on_ranks"}
ON_IMPORT = ""  # coverage's name for what runs outside of all tests


class Record(NamedTuple):
    """Holds each test's seconds, which tests run which line, and which ones failed without any mutant."""

    seconds: dict[str, float]
    lines: dict[str, dict[str, list[str]]]
    failed: Sequence[str] = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote; an empty file is a record of nothing."""
        return cls(**json.loads(path.read_text(encoding="utf-8") or '{"seconds": {}, "lines": {}}'))

    def write(self, path: Path) -> None:
        """Write the record to a file."""
        path.write_text(json.dumps(self._asdict()), encoding="utf-8")

    def of(self, mutant: Mutant) -> set[str]:
        """Return what runs a mutant's line: tests, and `ON_IMPORT`."""
        lines = self.lines.get(str(mutant.path), {})
        wanted = map(str, mutant.lines) if mutant.lines else lines
        return {test for line in wanted for test in lines.get(line, ())}

    def swappable(self, mutant: Mutant) -> bool:
        """Tell whether a function's new code makes the mutant: importing must not have run the old code."""
        # the compiler is told by its code to keep away from this function
        marked = mutant.function.endswith("__torch_dispatch__")
        return bool(mutant.function) and not marked and ON_IMPORT not in self.of(mutant)

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests to ask, those of the module first, then the quick ones.

        A line that runs on import may decide the result of a test that runs no line of the file: then all tests
        of the file's part are asked, and those of agreement and of published models.
        """
        tests = self.of(mutant)
        if not mutant.lines or ON_IMPORT in tests:
            part = next(target for target in TARGETS if mutant.path.is_relative_to(SOURCE / "flopbook" / target))
            parts = tuple(f"tests/{each}/" for each in (part, "agreement", "published"))
            tests |= {test for test in self.seconds if test.startswith(parts)}
        own = f"/test_{mutant.path.stem}.py"
        return sorted(tests - {ON_IMPORT}, key=lambda test: (own not in test, self.seconds[test], test))

    def cost(self, mutant: Mutant) -> float:
        """Return the seconds that a mutant's tests take without it."""
        return sum(self.seconds[test] for test in self.tests(mutant))

    def batches(self, mutant: Mutant) -> list[list[str]]:
        """Return the same tests by file, as a process that has imported nothing runs them."""

        def cost(tests: list[str]) -> tuple[bool, float]:
            return f"/test_{mutant.path.stem}.py" not in tests[0], sum(self.seconds[test] for test in tests)

        tests = sorted(self.tests(mutant), key=_file)
        return sorted((list(group) for _, group in groupby(tests, _file)), key=cost)


def is_left_out(test: str, fixtures: Sequence[str]) -> bool:
    """Tell whether a test is not asked, from its name and its fixtures."""
    on_ranks = test.startswith(("tests/agreement/", "tests/measure/")) and not _OF_RANKS.isdisjoint(fixtures)
    return on_ranks or bool(_LONG.match(test))


def _file(test: str) -> str:
    return test.partition("::")[0]
