"""Find a Chromium, for the PDF and the tests."""

import shutil

NAMES = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
MISSING = (
    "no Chromium on the path: install one (Debian, Ubuntu: apt-get install chromium; macOS: brew install chromium) "
    "and run again"
)
ARGUMENTS = ["--no-sandbox"]  # containers seldom allow a sandbox, and only our own pages are opened


def find_chromium() -> str | None:
    """Return the path of a Chromium, if this machine has one."""
    return next(filter(None, map(shutil.which, NAMES)), None)
