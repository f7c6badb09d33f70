"""Test with the oldest, the locked and the newest torch, for `make versions`.

The oldest and the newest get an environment of their own under `.venv-versions`, some GB each. The record,
`reference/data/versions.json`, is written anew after each of them.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tools.install import index_option

FOLDER = Path(".venv-versions")
RECORD = Path("reference/data/versions.json")
#: What the tests need beside the libraries that pyproject.toml names.
TOOLS = ["beautifulsoup4", "hypothesis", "pytest", "scikit-learn"]
#: Tests that need the site or its programs, or that do not depend on torch.
LEFT_OUT = [
    *(f"tests/{folder}" for folder in ("browser", "figures", "labs", "pages", "site", "support", "tools")),
    *(
        f"tests/{name}.py"
        for name in ("agreement/test_answers", "teaching/calculators/test_javascript", "test_imports")
    ),
]
ASK = """
import importlib.metadata as packages, json, platform
from flopbook.measure.operators.coverage import KINDS, is_here
versions = {name: packages.version(name) for name in ("torch", "numpy", "sympy")}
rules = sorted(filter(is_here, set().union(*KINDS.values())))
print(json.dumps({"versions": {"python": platform.python_version(), **versions}, "rules": rules}))
"""


def main(torch_index: str) -> None:
    """Test each environment and record what came out."""
    kinds = {"oldest": f"torch=={oldest_torch()}", "locked": None, "newest": "torch"}
    results: dict[str, dict[str, Any]] = {}
    for kind, requirement in kinds.items():
        python = environment(kind, requirement, torch_index) if requirement else sys.executable
        results[kind] = result = {**ask(python), **run_tests(python, kind)}
        print(
            f"torch {result['versions']['torch']}: {result['passed']} passed, {len(result['failed'])} failed",
            flush=True,
        )
        RECORD.write_text(json.dumps(record(results), indent=1) + "\n", encoding="utf-8")
    sys.exit(any(result["failed"] for result in results.values()))


def oldest_torch() -> str:
    """Read the oldest torch that pyproject.toml allows, such as 2.11.0."""
    for requirement in requirements():
        if found := re.fullmatch(r"torch>=(\d+\.\d+)", requirement):
            return f"{found[1]}.0"
    sys.exit("pyproject.toml does not say which torch is the oldest: write torch>=2.11, or the like")


def requirements() -> list[str]:
    """Read what the package needs, and the libraries to which published models are held."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    return [*project["project"]["dependencies"], *project["dependency-groups"]["library"]]


def environment(kind: str, requirement: str, torch_index: str) -> str:
    """Make or renew an environment with one torch, and return its Python."""
    folder = FOLDER / kind
    python = str(folder / "bin" / "python")
    if not Path(python).exists():
        venv.create(folder, symlinks=True, with_pip=True)
    print(f"Installing {requirement} into {folder} ...", flush=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
    subprocess.run([*pip, *index_option(torch_index), requirement, *requirements(), *TOOLS], check=True)
    return python


def ask(python: str) -> dict[str, Any]:
    """List an environment's versions, and the operators with a rule that its torch has."""
    answer = subprocess.run([python, "-c", ASK], env=surroundings(), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(answer.stdout)


def run_tests(python: str, kind: str) -> dict[str, Any]:
    """Run the tests in an environment; return counts of outcomes, and the failed names."""
    report = FOLDER / f"{kind}.xml"
    report.parent.mkdir(exist_ok=True)
    ignored = [f"--ignore={path}" for path in LEFT_OUT]
    pytest = [python, "-m", "pytest", "--quiet", f"--junit-xml={report}", *ignored, "src/flopbook", "tests"]
    subprocess.run(pytest, env=surroundings(), check=False)
    return outcomes(ElementTree.parse(report).getroot())


def outcomes(report: ElementTree.Element) -> dict[str, Any]:
    """Read the outcomes of tests off a report of pytest."""
    cases = [
        (f"{case.get('classname')}.{case.get('name')}", {part.tag for part in case}) for case in report.iter("testcase")
    ]
    return {
        "passed": sum(not tags & {"failure", "error", "skipped"} for _, tags in cases),
        "skipped": sum("skipped" in tags for _, tags in cases),
        "failed": sorted({name for name, tags in cases if tags & {"failure", "error"}}),
    }


def record(results: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Turn results into their record: operators that an environment lacks instead of its rules."""
    every = {rule for result in results.values() for rule in result["rules"]}
    return [
        {
            "kind": kind,
            **{name: value for name, value in result.items() if name != "rules"},
            "lacks": sorted(every - {*result["rules"]}),
        }
        for kind, result in results.items()
    ]


def surroundings() -> dict[str, str]:
    """Return the environment of the tests, whose package is the one of this checkout."""
    return {**os.environ, "PYTHONPATH": str(Path("src").resolve())}  # also where a test's command runs elsewhere


if __name__ == "__main__":
    main(*sys.argv[1:])
