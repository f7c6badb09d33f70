"""A long measurement says how far it is, in a terminal and nowhere else."""

import io
import time

import pytest

from flopbook.measure.report import progress
from flopbook.measure.report.progress import show_progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE", 0.02)


def measure(seconds):
    with show_progress(stages=2) as shown:
        shown.stage("counting")
        shown.stage("timing")
        time.sleep(seconds)


def test_it_says_stage_and_seconds_and_goes(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    measure(0.3)
    lines = terminal.getvalue().split("\r\x1b[K")
    assert "2 of 2: timing, 0 s" in lines
    assert lines[-1] == ""


def test_a_short_measurement_says_nothing(monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE", 60)
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    measure(0)
    assert terminal.getvalue() == ""


def test_a_page_stays_empty(monkeypatch):
    page = io.StringIO()
    monkeypatch.setattr("sys.stderr", page)
    measure(0.1)
    assert page.getvalue() == ""


def test_an_error_ends_it(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with pytest.raises(KeyError), show_progress(stages=1) as shown:
        shown.stage("counting")
        time.sleep(0.1)
        raise KeyError
    assert terminal.getvalue().endswith("\r\x1b[K")
