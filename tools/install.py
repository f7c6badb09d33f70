"""`make` calls this with a bare Python, before anything is installed: standard library only.

Usage: install.py TORCH_INDEX STAMP. The stamp is written last; without it the next run goes on where this one stopped.
"""

import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from pathlib import Path

VENV = Path(".venv")
PYTHON = str(VENV / "bin" / "python")
LOCK = "requirements.lock"
LOG = VENV / "install.log"
CHOSEN_INDEX = VENV / "torch-index"
PROBE_SECONDS = 4
NETWORK_SIGNS = (
    "name resolution",
    "NewConnectionError",
    "ConnectTimeoutError",
    "ENOTFOUND",
    "EAI_AGAIN",
    "versions: none",
)


def main(torch_index: str, stamp: str) -> None:
    """Create the environment, install the lock, the project and what comes from npm."""
    make_venv(torch_index)
    LOG.unlink(missing_ok=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--retries", "2"]
    step("torch", [*pip, *index_option(torch_index), "--constraint", LOCK, "torch"])
    step("the packages of requirements.lock", [*pip, "--requirement", LOCK])
    step("flopbook itself", [*pip, "--no-deps", "--no-build-isolation", "--editable", "."])
    npm = [str(VENV / "bin" / "npm"), "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]
    step("KaTeX, Pyodide and axe from npm", npm)
    for old in VENV.glob("installed-*"):
        old.unlink()
    Path(stamp).touch()


def make_venv(torch_index: str) -> None:
    """Make `.venv`, or make it anew where it is broken or holds another build of torch."""
    chosen = CHOSEN_INDEX.read_text() if CHOSEN_INDEX.exists() else None
    if chosen == torch_index and works(PYTHON):
        return
    print(f"Creating {VENV} with Python {sys.version.split()[0]}", flush=True)
    try:
        venv.create(VENV, clear=True, symlinks=True, with_pip=True)
    except (subprocess.CalledProcessError, OSError) as error:
        sys.exit(
            f"Python {sys.version.split()[0]} cannot create a virtual environment ({error}).\n"
            "On Debian or Ubuntu: apt-get install python3-venv. Elsewhere: another Python, `make PYTHON=...`."
        )
    CHOSEN_INDEX.write_text(torch_index)


def works(python: str) -> bool:
    """Whether the environment's Python runs; it leads nowhere once the one it was made with is gone."""
    try:
        return subprocess.call([python, "-c", "import pip"], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def index_option(torch_index: str) -> list[str]:
    """Where torch comes from beside the default index, if that place answers."""
    if torch_index == "default":
        return []
    # A process of its own, since looking up a name knows no time limit.
    probe = [
        PYTHON,
        "-c",
        "import sys, urllib.request; urllib.request.urlopen(sys.argv[1])",
        f"{torch_index}/torch/",
    ]
    try:
        subprocess.run(probe, capture_output=True, timeout=PROBE_SECONDS, check=True)
    except subprocess.SubprocessError:
        print(f"{torch_index} cannot be reached: torch comes from the default package index.", flush=True)
        return []
    return ["--extra-index-url", torch_index]


def step(what: str, command: Sequence[str]) -> None:
    """Run one command, its output into the log; a failure ends the installation in plain words."""
    print(f"Installing {what} ...", end=" ", flush=True)
    began = time.monotonic()
    with LOG.open("a") as log:
        start = log.tell()  # what earlier steps said, such as a second try at an address, is no reason of this one
        code = subprocess.call(command, stdout=log, stderr=subprocess.STDOUT)
    if code == 0:
        print(f"{time.monotonic() - began:.0f} s", flush=True)
        return
    text = LOG.read_bytes()[start:].decode(errors="replace")
    last = next((line for line in reversed(text.splitlines()) if "error" in line.lower()), "no message")
    reason = "No package index can be reached: is there a network?" if any(s in text for s in NETWORK_SIGNS) else last
    sys.exit(f"failed.\n{reason}\nThe whole story is in {LOG}; the next `make` goes on from here.")


if __name__ == "__main__":
    main(*sys.argv[1:])
