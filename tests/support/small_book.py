"""Build a book of three pages in a folder of its own."""

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile

from flopsite.execution.cache_key import imported_files
from tests.conftest import ROOT

HEAD = "---\nfile_format: mystnb\n---\n\n"
FILES = {
    "index.md": "# A small book\n",
    "references.bib": "",
    "requirements.lock": "one==1\n",
    "reference/data/table.json": "[1]",
    "src/flopbook/__init__.py": "",
    "src/flopbook/one.py": "value = 1\n",
    "src/flopbook/two.py": "def value():\n    from .one import value\n\n    return 2 * value\n",
    "src/flopbook/other.py": "value = 3\n",
    "lectures/direct.md": f"{HEAD}# Direct\n\n```{{code-cell}}\nfrom flopbook.one import value\n```\n",
    "lectures/indirect.md": f"{HEAD}# Indirect\n\n```{{code-cell}}\nfrom flopbook import two\ntwo.value()\n```\n",
    "lectures/unrelated.md": (
        "---\nfile_format: mystnb\nflopbook:\n  data: [reference/data/table.json]\n---\n\n"
        "# Unrelated\n\n```{code-cell}\nimport flopbook.other\n```\n"
    ),
}
#: Runs `python -m flopsite` in a fork for each line that it reads: the folder of a book, and the file to print to.
#: The kernels of all these builds are forked from one process, which starts before the first book that has
#: cells on several pages: it imports as long as two kernels take to start plainly, no torch, of which no page knows.
IN_FORKS = """
import contextlib, importlib, json, os, pathlib, runpy, sys, traceback
import flopsite.__main__, flopsite.build
from flopsite.execution import kernel
kernels = None
for extension in runpy.run_path("conf.py")["extensions"]:
    importlib.import_module(extension)
sys.argv = ["flopsite"]
for line in sys.stdin:
    folder, printed = json.loads(line)
    pages = pathlib.Path(folder).glob("lectures/*.md")
    if not kernels and sum("{code-cell}" in page.read_text() for page in pages) > 1:
        kernel.PRELOADED = [name for name in kernel.PRELOADED if name.partition(".")[0] not in ("sympy", "torch")]
        kernels = kernel.Kernels().__enter__()
        flopsite.__main__.Kernels = lambda fork: contextlib.nullcontext(kernels)
    if not (child := os.fork()):
        code = 1
        for stream in (1, 2):
            os.dup2(os.open(printed, os.O_WRONLY | os.O_APPEND), stream)
        try:
            os.chdir(folder)
            code = flopsite.__main__.main()
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
ALL = {"lectures/direct", "lectures/indirect", "lectures/unrelated"}


@cache
def _own_files() -> set[Path]:
    """List the modules of flopbook that flopsite itself imports."""
    sources = [path.read_text("utf-8") for path in (ROOT / "src" / "flopsite").rglob("*.py")]
    found = set().union(*(imported_files(source, "flopsite", ROOT / "src") for source in sources))
    return {path for path in found if path.is_relative_to(ROOT / "src" / "flopbook")}


@cache
def _server() -> subprocess.Popen[str]:
    """Start the process that builds are forked from."""
    server = subprocess.Popen(
        [sys.executable, "-c", IN_FORKS],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.communicate)
    return server


@dataclass
class Build:
    """Holds what one build did and printed."""

    code: int
    text: str

    @property
    def executed(self) -> set[str]:
        return set(re.findall(r"^\[\d+/\d+\] (\S+)  (?:[\d.]+ s|FAILED)$", self.text, re.MULTILINE))


class SmallBook:
    """Builds a book in a folder of its own with this checkout's flopsite."""

    def __init__(self, folder: Path):
        self.folder = folder
        shutil.copytree(ROOT / "src" / "flopsite", folder / "src" / "flopsite")
        for name in ("conf.py", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, folder)
        for path in _own_files():
            target = folder / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        (folder / "node_modules").symlink_to(ROOT / "node_modules")
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if name.startswith("lectures/"):
            self.list_lectures()

    def list_lectures(self) -> None:
        """Write a `course.yml` that has every lecture, in the order of their names."""
        lines = ["parts:", "- title: All", "  pages:"]
        for path in sorted((self.folder / "lectures").glob("*.md")):
            title = re.search(r"^# (.*)", path.read_text(), re.MULTILINE)
            stated = f"title: {title[1] if title else path.stem}, question: 'What?', minutes: 1, needs: []"
            lines.append(f"  - {{lecture: {path.stem}, {stated}}}")
        self.write("course.yml", "\n".join([*lines, ""]))

    def append(self, name: str, text: str) -> None:
        self.write(name, (self.folder / name).read_text() + text)

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "flopsite"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder / "src")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def build(self) -> Build:
        """Build in a fork of a process that has imported Sphinx, which takes most of the time of so small a book."""
        server = _server()
        with NamedTemporaryFile("r", encoding="utf-8") as printed:
            print(json.dumps([str(self.folder), printed.name]), file=server.stdin, flush=True)
            return Build(int(server.stdout.readline()), printed.read())
