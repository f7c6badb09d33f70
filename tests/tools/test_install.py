"""Test `make` on a machine that lacks something: one plain message, nothing half-made."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools import install

NOWHERE = "http://127.0.0.1:9"  # nobody listens there


@pytest.fixture
def bare(tmp_path) -> Path:
    """Make a checkout as before its first `make`."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml", "package.json", "package-lock.json"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "install.py", tmp_path / "tools")
    return tmp_path


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PIP_"))}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**clean, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )


def test_make_alone_lists_the_commands(bare):
    listed = [line.split()[0] for line in make(bare).stdout.splitlines()]
    assert listed == re.search(r"^\.PHONY: (.*)$", (bare / "Makefile").read_text("utf-8"), re.MULTILINE)[1].split()
    assert not (bare / ".venv").exists()


def test_a_python_that_is_too_old_is_named(bare):
    result = make(bare, "html", "PYTHON=no-such-python")
    assert result.returncode != 0
    assert "needs Python 3.11 or newer, and none of these is: no-such-python." in result.stdout
    assert "make PYTHON=" in result.stdout
    assert not (bare / ".venv").exists()


def test_a_python_that_is_gone_is_replaced_and_without_a_network_one_sentence_says_so(bare):
    python = bare / install.PYTHON
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (bare / install.CHOSEN_INDEX).write_text(NOWHERE)
    html = [f"TORCH_INDEX={NOWHERE}", "html"]
    (bare / re.search(r"\.venv/installed-\d+", make(bare, "-n", *html).stdout)[0]).touch()
    assert "install.py" not in make(bare, "-n", *html).stdout
    python.unlink()
    python.symlink_to(bare / "gone")
    assert "install.py" in make(bare, "-n", *html).stdout

    no_index = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": NOWHERE, "PIP_RETRIES": "0"}
    result = make(bare, *html, **no_index)
    assert install.works(str(python))
    assert result.returncode != 0
    assert f"{NOWHERE} cannot be reached: torch comes from the default package index." in result.stdout
    assert "No package index can be reached: is there a network?" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert list((bare / ".venv").glob("installed-*")) == []


def test_a_failure_is_explained_by_its_own_words(tmp_path, monkeypatch):
    monkeypatch.setattr(install, "LOG", tmp_path / "install.log")
    install.step("one", ["echo", "WARNING: Retrying after NewConnectionError"])
    with pytest.raises(SystemExit, match="ERROR: No space left on device"):
        install.step("another", ["sh", "-c", "echo ERROR: No space left on device; exit 1"])


def test_large_files_are_printed_with_their_source_and_sums_at_the_end(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(install, "LOG", tmp_path / "install.log")
    lines = (
        "  Downloading https://download.pytorch.org/whl/cpu/torch-2.13.0%2Bcpu.whl (179.8 MB)",
        "  Downloading https://download.pytorch.org/whl/cpu/torch-2.13.0%2Bcpu.whl.metadata (29 kB)",
        "Using cached numpy-2.3.0.whl (16.6 MB)",
        "Using cached mpmath-1.3.0.whl (536 kB)",
    )
    install.step("torch", ["printf", "%s", "\n".join(lines)])
    first, large, last = capsys.readouterr().out.splitlines()
    assert first == "Installing torch ..."
    assert large == "  180 MB to download: torch-2.13.0%2Bcpu.whl from download.pytorch.org"
    assert re.fullmatch(r"  \d+ s, 180 MB to download, 17 MB from pip's cache", last)


def test_the_lock_fits_every_machine():
    lines = (ROOT / install.LOCK).read_text("utf-8").splitlines()
    assert all("==" in line and "://" not in line for line in lines)
    assert sum(line.startswith("torch==") for line in lines) == 1
    assert [line for line in lines if line.startswith(("nvidia-", "cuda-", "triton"))] == []
