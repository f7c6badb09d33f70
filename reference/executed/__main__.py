"""Run programs under callgrind and record their floating-point instructions, for `make executed`."""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from flopbook.files import write_whole
from flopbook.measure.processor import Executed
from flopbook.measure.processor.callgrind import run

HERE = Path(__file__).parent
DATA = HERE.parent / "data" / "executed.json"
TOOLS = {"valgrind": "valgrind", "objdump": "binutils", "gcc": "gcc"}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Case:
    """Describes a program: its sizes, and how it is compiled if in C."""

    program: str
    sizes: dict[str, int]
    flags: tuple[str, ...] = ()


EVEN = dict(B=24, D=48, K=96)  # whole tiles of a matrix product: nothing is left over at its edges
CASES = {
    "loop": Case("loop", dict(B=7, D=11, K=24), ("-O1", "-fno-tree-vectorize")),
    "loop, vectorised": Case("loop", dict(B=7, D=11, K=24), ("-O3", "-mavx2", "-mfma")),
    "product": Case("product", EVEN),
    "product of squares": Case("product", dict(B=64, D=64, K=64)),
    "product with remainders": Case("product", dict(B=23, D=45, K=83)),
    "Strassen's product": Case("strassen", dict(B=48, D=96, K=192)),
    "sparse product": Case("sparse_product", dict(D=96, K=64, B=32, stored=12)),
    "layer": Case("layer", EVEN),
    "convolution": Case("convolution", dict(C=64, K=4, X=14, R=3)),
    "attention": Case("attention", dict(B=2, H=3, T=24, E=48)),
    "causal attention": Case("causal_attention", dict(B=1, H=1, T=1024, E=16)),
    "pointwise": Case("pointwise", dict(N=1000)),
    "updates": Case("updates", dict(N=1000)),
    "training step": Case("training_step", dict(B=24, D=48, H=96, K=144)),
}


def main() -> None:
    """Record all programs; the file is written at the end, in one move."""
    programs = {}
    try:
        check_machine()
        with TemporaryDirectory() as folder:
            for number, (name, case) in enumerate(CASES.items(), 1):
                print(f"[{number}/{len(CASES)}] {name} ... ", end="", flush=True)
                begun = time.monotonic()
                phases = record(case, Path(folder))
                programs[name] = {**asdict(case), "phases": {phase: ran.to_json() for phase, ran in phases.items()}}
                print(f"{time.monotonic() - begun:.0f} s", flush=True)
    except subprocess.CalledProcessError as error:
        sys.exit(f"it failed:\n{error.stderr}\nNothing was recorded.")
    except LookupError as error:
        sys.exit(f"{error}\nNothing was recorded.")
    write_whole(DATA, json.dumps({**circumstances(), "programs": programs}, indent=1) + "\n")
    print(f"{len(programs)} programs are in {DATA.relative_to(Path.cwd())}")


def check_machine() -> None:
    """Raise a LookupError that says what this machine lacks, and how to get it."""
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        raise LookupError(
            f"Instructions are read on Linux with an x86-64 processor, and this is {system} on {machine}; "
            "macOS on Apple silicon has no valgrind."
        )
    if packages := [package for tool, package in TOOLS.items() if not shutil.which(tool)]:
        raise LookupError(
            f"Not found: {', '.join(packages)}. On Debian or Ubuntu: sudo apt-get install {' '.join(packages)}; "
            "other systems' package managers have the same."
        )


def record(case: Case, folder: Path) -> dict[str, Executed]:
    """Run one program, and read what each of its phases executed."""
    if case.flags:
        sizes = [f"-D{axis}={size}" for axis, size in case.sizes.items()]
        command = [compiled(folder / case.program, [*case.flags, *sizes, f"{HERE / case.program}.c"])]
    else:
        marks = compiled(folder / "marks.so", ["-O1", "-shared", "-fPIC"])
        command = [sys.executable, HERE / "programs.py", marks, case.program, *map(str, case.sizes.values())]
    phases = {phase: Executed.read(places) for phase, places in run(command, {**os.environ, **ONE_THREAD}).items()}
    if unknown := sorted({kind for ran in phases.values() for kind in ran.unknown}):
        raise LookupError(f"no rule of flopbook.measure.processor.instructions names {', '.join(unknown)}")
    return phases


def compiled(target: Path, options: list) -> Path:
    """Compile the marks, and what else is named, to `target`."""
    subprocess.run(["gcc", *options, HERE / "marks.c", "-o", target], capture_output=True, text=True, check=True)
    return target


def circumstances() -> dict:
    """Describe when, where and with which versions this is recorded."""
    return {
        "schema": 1,
        "recorded": datetime.now(UTC).date().isoformat(),
        "processor": processor(),
        "valgrind": first_line("valgrind", "--version"),
        "gcc": first_line("gcc", "--version"),
        "objdump": first_line("objdump", "--version"),
        "python": platform.python_version(),
        "torch": version("torch"),
        "units": "times that each kind of floating-point instruction ran, by library, function and kind",
    }


def first_line(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def processor() -> str:
    """Read the processor's name from Linux."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
