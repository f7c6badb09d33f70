"""What the build costs, cold and with nothing to do, and what each page weighs."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conftest import ROOT
from tests.support.browser import MISSING, chromium, find_chromium, note_responses, served, weight


def build_seconds(folder: str) -> float:
    """Seconds of one build in `folder`."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "flopsite"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def main() -> None:
    """Print the three figures of the site."""
    with TemporaryDirectory() as copy:
        ignored = shutil.ignore_patterns("_build", "node_modules", ".*")
        shutil.copytree(ROOT, copy, dirs_exist_ok=True, ignore=ignored)
        (Path(copy) / "node_modules").symlink_to(ROOT / "node_modules")
        print(f"cold build:     {build_seconds(copy):5.1f} s (at most 90)")
        print(f"nothing to do:  {build_seconds(copy):5.1f} s (at most 5)")
    if not find_chromium():
        print(f"weight of pages: {MISSING}")
        return
    site = ROOT / "_build" / "html"
    with chromium() as browser, served(site) as address:
        for page in sorted(str(path.relative_to(site)) for path in site.rglob("*.html")):
            with browser.new_page() as tab:
                responses = note_responses(tab)
                tab.goto(f"{address}/{page}", wait_until="networkidle")
                print(f"{weight(responses) / 1000:6.0f} kB compressed (at most 450)  {page}")
