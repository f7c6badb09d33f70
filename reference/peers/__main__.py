"""Install the other counters and record their counts of every specimen, for `make peers`."""

import os
import subprocess
import sys
import venv
from pathlib import Path

from tools.install import CHOSEN_INDEX, LOCK, index_option

HERE = Path(__file__).parent
VENV = Path(".venv-peers")
PYTHON = str(VENV / "bin" / "python")
PIP = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def main() -> None:
    """Install the book's torch and the pinned counters, and run every counter."""
    if not Path(PYTHON).exists():
        print(f"Creating {VENV}", flush=True)
        venv.create(VENV, clear=True, symlinks=True, with_pip=True)
    steps = {
        "torch": [*PIP, *index_option(CHOSEN_INDEX.read_text()), "--constraint", LOCK, "torch", "setuptools", "numpy"],
        "the counters": [
            *PIP,
            "--no-deps",
            "--no-build-isolation",
            "--requirement",
            "reference/peers-requirements.txt",
        ],
    }
    for what, command in steps.items():
        print(f"Installing {what} ...", flush=True)
        if subprocess.call(command):
            sys.exit(f"{what} cannot be installed: see pip's words above. Nothing was recorded.")
    sys.exit(subprocess.call([PYTHON, HERE / "record.py"], env={**os.environ, "PYTHONPATH": "src"}))


if __name__ == "__main__":
    main()
