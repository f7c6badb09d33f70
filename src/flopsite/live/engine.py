"""Gather what the browser loads on the first click: Python, SymPy and flopbook's predicting side."""

import filecmp
import hashlib
import io
import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from sphinx.errors import ExtensionError

from flopsite.age import is_current
from flopsite.live.cells import PROVIDED, missing
from flopsite.math.katex import NODE

_HERE = Path(__file__).parent
_PYODIDE = ["pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm"]
_LEFT_OUT = {"tests", "benchmarks"}
_BESIDE = ["drawing/picture.*[!y]", "published/configs/*.json"]  # what modules of flopbook read
_SESSION = ["flopsite/live/names.py", "flopsite/live/session.py"]
_EMPTY = ["flopsite/__init__.py", "flopsite/live/__init__.py"]  # the browser does not set Sphinx up


def bring(root: Path, target: Path) -> None:
    """Put the engine into a folder of the site."""
    modules = root / "node_modules"
    pyodide = modules / "pyodide"
    if not pyodide.is_dir():
        raise ExtensionError("Pyodide is missing from node_modules: remove .venv/installed-* and run `make html` again")
    target.mkdir(parents=True, exist_ok=True)
    katex = modules / "katex" / "dist" / "katex.min.js"
    for source in [katex, *compiled(pyodide, modules / ".cache"), *(pyodide / name for name in _PYODIDE)]:
        if not (target / source.name).exists() or not filecmp.cmp(source, target / source.name):
            shutil.copy2(source, target)
    # Without a list of packages, Pyodide requests nothing from another host.
    lock = json.loads((pyodide / "pyodide-lock.json").read_text("utf-8"))
    (target / "pyodide-lock.json").write_text(json.dumps({**lock, "packages": {}}), "utf-8")
    own = target / "flopbook.zip"
    if not is_current(own, [root / "src" / name for name in ("flopbook", "flopsite")]):
        own.write_bytes(archive(own_sources(root / "src")))


def size(target: Path) -> int:
    """Return the bytes that the worker fetches and counts, without scripts, which are small."""
    return sum(path.stat().st_size for path in target.iterdir() if path.suffix in (".wasm", ".zip"))


def own_sources(src: Path) -> dict[str, bytes]:
    """Return the modules that the browser can import, and those that run cells."""
    paths = (path.relative_to(src) for path in sorted((src / "flopbook").rglob("*.py")))
    modules = {path.as_posix(): ".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths}
    importable = [path for path, module in modules.items() if not missing(f"import {module}", src)]
    found = (path for pattern in _BESIDE for path in sorted((src / "flopbook").glob(pattern)))
    beside = [path.relative_to(src).as_posix() for path in found]
    sources = {path: (src / path).read_bytes() for path in [*importable, *beside]}
    return sources | dict.fromkeys(_EMPTY, b"") | {name: (_HERE.parents[1] / name).read_bytes() for name in _SESSION}


def archive(contents: Mapping[str, bytes]) -> bytes:
    """Make a zip archive whose bytes depend on its contents alone."""
    stream = io.BytesIO()
    with ZipFile(stream, "w") as target:
        for name, content in contents.items():
            target.writestr(ZipInfo(name), content, ZIP_DEFLATED, compresslevel=9)
    return stream.getvalue()


def compiled(pyodide: Path, cache: Path) -> list[Path]:
    """Return the archives of SymPy and the standard library, compiled once for each set of versions."""
    versions = [version(package) for package in sorted(PROVIDED)]
    pyodide_version = json.loads((pyodide / "package.json").read_text("utf-8"))["version"]
    program = (_HERE / "precompile.py").read_text("utf-8")
    key = hashlib.sha256("\0".join([*versions, pyodide_version, program]).encode()).hexdigest()[:16]
    made = cache / f"flopsite-{key}"
    if not made.exists():
        print("Compiling SymPy for the browser ...", end=" ", flush=True)
        began = time.monotonic()
        cache.mkdir(parents=True, exist_ok=True)
        _compile(pyodide, made)
        print(f"{time.monotonic() - began:.0f} s", flush=True)
    return sorted(made.iterdir())


def _compile(pyodide: Path, made: Path) -> None:
    with TemporaryDirectory(dir=made.parent) as folder:
        sources, unfinished = Path(folder) / "sources.zip", Path(folder) / "made"
        sources.write_bytes(archive(_installed_sources()))
        unfinished.mkdir()
        subprocess.run([NODE, _HERE / "compile.mjs", pyodide, _HERE / "precompile.py", sources, unfinished], check=True)
        unfinished.replace(made)


def _installed_sources() -> dict[str, bytes]:
    sources = {}
    for package in sorted(PROVIDED):
        spec = find_spec(package)
        assert spec and spec.origin
        site = Path(spec.origin).parents[1]
        for path in sorted((site / package).rglob("*.py")):
            name = path.relative_to(site)
            if not _LEFT_OUT & set(name.parts):
                sources[name.as_posix()] = path.read_bytes()
    return sources
