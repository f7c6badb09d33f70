"""Install what the book needs, by `make`, from a bare Python and its standard library.

Usage: install.py TORCH_INDEX STAMP. The stamp is written last; without it the next run goes on where this one stopped.
"""

import re
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from pathlib import Path
from subprocess import PIPE, STDOUT
from urllib.parse import urlsplit

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
#: What pip says of each file that it needs, and what that means.
FILE = re.compile(r"(?P<way>Downloading|Using cached) (?P<file>\S+) \((?P<number>[\d.]+) (?P<unit>bytes|kB|MB|GB)\)")
WAYS = {"Downloading": "to download", "Using cached": "from pip's cache"}
MEGABYTES = {"bytes": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
LARGE = 20  # megabytes: a file worth a line of its own


def main(torch_index: str, stamp: str) -> None:
    """Create the environment, install the lock, the project and what comes from npm."""
    make_venv(torch_index)
    LOG.unlink(missing_ok=True)
    pip = [
        PYTHON,
        "-m",
        "pip",
        "install",
        "--progress-bar",
        "off",
        "--no-input",
        "--disable-pip-version-check",
        "--retries",
        "2",
    ]
    step("torch", [*pip, *index_option(torch_index), "--constraint", LOCK, "torch"])
    step("the packages of requirements.lock", [*pip, "--requirement", LOCK])
    step("flopbook itself", [*pip, "--no-deps", "--no-build-isolation", "--editable", "."])
    npm = [
        str(VENV / "bin" / "npm"),
        "ci",
        "--silent",
        "--prefer-offline",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
    ]
    step("KaTeX, Pyodide and axe from npm", npm)
    for old in VENV.glob("installed-*"):
        old.unlink()
    Path(stamp).touch()


def make_venv(torch_index: str) -> None:
    """Make `.venv`, again if it is broken or has another build of torch."""
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
    """Tell whether the environment's Python runs; it does not once its base Python is gone."""
    try:
        return subprocess.call([python, "-c", "import pip"], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def index_option(torch_index: str) -> list[str]:
    """Return pip's option for the index of torch, if that index answers."""
    if torch_index == "default":
        return []
    # A process of its own, since the lookup of a host's name has no time limit.
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
    """Run one command with its output in the log; end the installation if it fails."""
    print(f"Installing {what} ...", flush=True)
    began = time.monotonic()
    text, megabytes = [], dict.fromkeys(WAYS, 0.0)
    with LOG.open("a") as log, subprocess.Popen(command, stdout=PIPE, stderr=STDOUT, encoding="utf-8") as process:
        for line in process.stdout or ():
            log.write(line)
            text.append(line)
            if found := FILE.search(line):
                size = float(found["number"]) * MEGABYTES[found["unit"]]
                megabytes[found["way"]] += size
                if size >= LARGE:
                    print(f"  {size:.0f} MB {WAYS[found['way']]}: {source(found['file'])}", flush=True)
    if process.returncode == 0:
        amounts = (f", {size:.0f} MB {WAYS[way]}" for way, size in megabytes.items() if size >= 1)
        print(f"  {time.monotonic() - began:.0f} s{''.join(amounts)}", flush=True)
        return
    last = next((line.rstrip() for line in reversed(text) if "error" in line.lower()), "no message")
    no_network = any(sign in line for sign in NETWORK_SIGNS for line in text)
    reason = "No package index can be reached: is there a network?" if no_network else last
    sys.exit(f"  failed.\n{reason}\nThe full log is {LOG}; the next `make` continues from here.")


def source(file: str) -> str:
    """Say which file comes from where; pip gives no address for what PyPI has.

    >>> source("https://download.pytorch.org/whl/cpu/torch-2.13.0.whl"), source("numpy-2.3.0.whl")
    ('torch-2.13.0.whl from download.pytorch.org', 'numpy-2.3.0.whl from pypi.org')
    """
    address = urlsplit(file)
    return f"{address.path.rpartition('/')[2]} from {address.netloc or 'pypi.org'}"


if __name__ == "__main__":
    main(*sys.argv[1:])
