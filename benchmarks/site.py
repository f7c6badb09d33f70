"""Time build and tests beside version 0.1.0, and weigh each page."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT
from tests.support.browser import MISSING, chromium, find_chromium, note_responses, served, weight

BASELINE = "c582e8b"  # version 0.1.0
CELL = "\n```{code-cell}\n:tags: [remove-cell]\n\nchanged = 1\n```\n"
TESTS = {"0.1.0": [], "now": ["-n", "auto", "--dist", "loadscope", "--no-loadscope-reorder"]}


def copy_of_now(folder: Path) -> None:
    """Copy this checkout without what git ignores."""
    listed = output_of("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
    unpack(output_of("tar", "-c", "--null", "--files-from", "-", sent=listed), folder)


def copy_of_baseline(folder: Path) -> None:
    """Take version 0.1.0 out of the history."""
    unpack(output_of("git", "archive", BASELINE), folder)


def output_of(*command: str, sent: bytes = b"") -> bytes:
    """Return what a command prints in this checkout."""
    return subprocess.run(command, cwd=ROOT, input=sent, check=True, stdout=subprocess.PIPE).stdout


def unpack(archive: bytes, folder: Path) -> None:
    """Unpack an archive into a new folder."""
    folder.mkdir()
    subprocess.run(["tar", "-x"], cwd=folder, input=archive, check=True)


def has_baseline() -> bool:
    """Tell whether the history goes back to version 0.1.0."""
    look = ["git", "cat-file", "-e", f"{BASELINE}^{{commit}}"]
    return subprocess.run(look, cwd=ROOT, check=False, capture_output=True).returncode == 0


def link_packages(folder: Path) -> None:
    """Link what npm installed here, but not what a build compiled of it: a cold build compiles it again."""
    modules = folder / "node_modules"
    modules.mkdir()
    for each in (ROOT / "node_modules").iterdir():
        if each.name != ".cache":
            (modules / each.name).symlink_to(each)


def borrow(folder: Path) -> None:
    """Put beside a checkout what it would not find here: packages of its lock, and a browser by its old name."""
    beside = folder / "borrowed"
    beside.mkdir()
    if browser := find_chromium():
        (beside / "chromium").symlink_to(browser)
    here = {canonicalize_name(each.name) for each in distributions()}
    lines = (folder / "requirements.lock").read_text("utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]
    missing = [
        f"{each.name}{each.specifier}"
        for each in wanted
        if canonicalize_name(each.name) not in here and (each.marker is None or each.marker.evaluate())
    ]
    if missing:
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(beside)]
        subprocess.run([*pip, *missing], check=True)


def run(folder: Path, *command: str) -> tuple[float, str]:
    """Time a module of Python on a checkout's own sources, and return the seconds and the last line that it prints."""
    began = time.monotonic()
    beside = str(folder / "borrowed")
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([beside, os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(folder / "src"), beside]),
    }
    command = (sys.executable, "-m", *command)
    done = subprocess.run(command, cwd=folder, env=environment, check=False, stdout=subprocess.PIPE, text=True)
    took = time.monotonic() - began
    last = ["", *done.stdout.splitlines()][-1].strip("= ")
    if done.returncode > 1:  # with 1, a test failed, and all others were run
        raise SystemExit(f"{' '.join(command[1:])} ended with {done.returncode} in {folder.name}: {last}")
    return took, last


def build(folder: Path) -> float:
    """Time one build."""
    took, _ = run(folder, "flopsite")
    assert (folder / "_build" / "complete").exists(), f"the site of {folder.name} was not built: see above"
    return took


def tests(folder: Path) -> float:
    """Time all tests, and print how they ended."""
    took, last = run(folder, "pytest", *TESTS[folder.name])
    print(f"  {'':22} {folder.name}: {last}", flush=True)
    return took


def build_after_a_change(folder: Path) -> float:
    """Time a build after one lecture has got another cell."""
    (lecture,) = folder.glob("lectures/*gradients.md")
    lecture.write_text(lecture.read_text("utf-8") + CELL, "utf-8")
    return build(folder)


#: What is timed, in this order, and how often.
FIGURES: dict[str, tuple[Callable[[Path], float], int]] = {
    "cold build": (build, 1),
    "nothing to do": (build, 3),
    "one changed lecture": (build_after_a_change, 3),
    "tests after the build": (tests, 1),
}
#: The most that a figure may be. The book has grown: a cold build is held to 0.1.0's by the page.
LIMITS = {
    "cold build, a page": "0.45 of 0.1.0, and 5 s",
    "nothing to do": "4 s",
    "one changed lecture": "12 s",
    "tests after the build": "0.4 of 0.1.0, and twice the cold build",
}


def main() -> None:
    """Print the figures."""
    with TemporaryDirectory() as parent:
        checkouts = {"0.1.0": copy_of_baseline, "now": copy_of_now}
        if not has_baseline():
            print(f"{BASELINE}, which is version 0.1.0, is not in this history: the figures stand alone")
            del checkouts["0.1.0"]
        folders = {name: Path(parent) / name for name in checkouts}
        for name, copy in checkouts.items():
            copy(folders[name])
            link_packages(folders[name])
            borrow(folders[name])
        for what, (measure, times) in FIGURES.items():
            took = {name: median(measure(folder) for _ in range(times)) for name, folder in folders.items()}
            show(what, took)
            if what == "cold build":
                cold = took["now"]
                pages = {name: executed_pages(folder) for name, folder in folders.items()}
                print(f"  {'pages with code':22} {', '.join(f'{name} {each:6}  ' for name, each in pages.items())}")
                show("cold build, a page", {name: took[name] / pages[name] for name in folders})
        print(f"  {'tests by cold build':22} now {took['now'] / cold:6.2f} of its time")
    weigh()


def executed_pages(folder: Path) -> int:
    """Count the pages with code, whose results a build keeps."""
    return len([*(folder / "_build" / "pages").rglob("*.ipynb")])


def show(what: str, took: dict[str, float]) -> None:
    """Print the seconds of each checkout, their ratio, and the most that they may be."""
    cells = [f"{name} {each:6.1f} s" for name, each in took.items()]
    ratio = f", {took['now'] / took['0.1.0']:.2f} of it" if "0.1.0" in took else ""
    most = f" (at most {LIMITS[what]})" if what in LIMITS else ""
    print(f"  {what:22} {', '.join(cells)}{ratio}{most}", flush=True)


def weigh() -> None:
    """Print what a web server sends for each page."""
    if not find_chromium():
        print(f"  weight of pages: {MISSING}")
        return
    site = ROOT / "_build" / "html"
    with chromium() as browser, served(site) as address:
        for page in sorted(str(path.relative_to(site)) for path in site.rglob("*.html")):
            with browser.new_page() as tab:
                responses = note_responses(tab)
                tab.goto(f"{address}/{page}", wait_until="networkidle")
                print(f"  {weight(responses) / 1000:6.0f} kB compressed (at most 450)  {page}")


if __name__ == "__main__":
    main()
