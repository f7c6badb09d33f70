"""Count the floating-point instructions that a processor ran.

The witness *executed* knows neither formulas nor tensor shapes. callgrind, a
tool of valgrind, runs a program on an emulated processor and records how often
each machine instruction ran; the mnemonic tells what an instruction computes.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

from flopbook.measure.processor.callgrind import NOWHERE, Place
from flopbook.measure.processor.instructions import FUSED, flops, kind, operation
from flopbook.measure.processor.machine_code import listed

_NAME = re.compile(r"(?:void )?((?:\(anonymous namespace\)|[^<(])*)")


@dataclass(frozen=True)
class Executed:
    """Holds the instructions that one phase of a program ran.

    Attributes
    ----------
    times : mapping of (str, str, str) to int
        How often each kind of floating-point instruction ran, by library,
        function and kind, such as ``vfmadd231ps ymm``.
    instructions : int
        How many instructions of all kinds ran.
    unread : int
        Instructions run from generated code. callgrind gives no file for them,
        so they cannot be decoded.

    Examples
    --------
    >>> ran = Executed({("libblas.so", "sgemm", "vfmadd231ps ymm"): 3, ("libm.so", "exp", "mulss xmm"): 2}, 7, 0)
    >>> ran.flops, ran.fused, ran.by_operation()
    (50, 48, {'fused multiply-add': 48, 'multiply': 2})
    """

    times: Mapping[tuple[str, str, str], int]
    instructions: int
    unread: int

    @classmethod
    def read(cls, places: Mapping[Place, int]) -> Self:
        """Look up the instructions at the places where callgrind saw one run."""
        by_file: dict[str, Counter[tuple[str, int]]] = {}
        for place, runs in places.items():
            by_file.setdefault(place.file, Counter())[place.function, place.address] += runs
        unread = by_file.pop(NOWHERE, Counter()).total()
        times: Counter[tuple[str, str, str]] = Counter()
        for file, ran in by_file.items():
            instructions = listed(file, {address for _, address in ran})
            for (function, address), runs in ran.items():
                if operation(instructions[address]):
                    times[Path(file).name, _short(function), kind(instructions[address])] += runs
        return cls(dict(sorted(times.items())), sum(places.values()), unread)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        times = {(library, function, named): runs for library, function, named, runs in data["times"]}
        return cls(times, data["instructions"], data["unread"])

    def to_json(self) -> dict[str, Any]:
        """Return the counts as lists and numbers."""
        times = [[*what, runs] for what, runs in self.times.items()]
        return {"instructions": self.instructions, "unread": self.unread, "times": times}

    @property
    def unknown(self) -> dict[str, int]:
        """Count each kind of instruction without a rule, for which `flops` raises an error."""
        totals: Counter[str] = Counter()
        for (_, _, named), runs in self.times.items():
            if operation(named) == "unknown":
                totals[named] += runs
        return dict(totals)

    @property
    def flops(self) -> int:
        """Add up the FLOPs of all instructions."""
        return sum(self.by_operation().values())

    @property
    def fused(self) -> int:
        """Add up the FLOPs of the fused multiply-adds of matrix products, two for each."""
        return self.by_operation(within="gemm").get(FUSED, 0)

    def by_operation(self, within: str = "") -> dict[str, int]:
        """Add up the FLOPs of each operation, most first, in functions whose name contains `within`."""
        totals: Counter[str] = Counter()
        for (_, function, named), runs in self.times.items():
            if within in function:
                totals[str(operation(named))] += flops(named) * runs
        return dict(totals.most_common())

    def by_function(self) -> dict[str, int]:
        """Add up the FLOPs of each function, most first."""
        totals: Counter[str] = Counter()
        for (library, function, named), runs in self.times.items():
            totals[f"{function} in {library}"] += flops(named) * runs
        return dict(totals.most_common())


def recorded(path: str | PathLike) -> dict[str, dict[str, Executed]]:
    """Read what ``make executed`` recorded.

    Parameters
    ----------
    path : str or path
        ``reference/data/executed.json``, or a file like it.

    Returns
    -------
    dict of str to dict of str to Executed
        What ran, by program and phase.
    """
    programs = json.loads(Path(path).read_text(encoding="utf-8"))["programs"]
    return {
        name: {phase: Executed.from_json(ran) for phase, ran in program["phases"].items()}
        for name, program in programs.items()
    }


def _short(function: str) -> str:
    """Return a C++ function's name without its result, its parameters and its template arguments."""
    found = _NAME.match(function)
    return found[1] if found else function
