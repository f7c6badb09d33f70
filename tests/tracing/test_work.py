"""The work of a trace has bounds, and a person sees how far a long one is."""

import sys

import pytest
import torch
from torch import nn

from flopbook.tracing import FormulaError, trace, work


def rows(B, D):
    return torch.empty(B, D)


@pytest.mark.parametrize("D", [3, 16])
def test_a_model_that_grows_with_a_power_of_a_letter_ends_with_a_sentence(monkeypatch, D):
    monkeypatch.setattr(work, "_LATER", 1_000)
    monkeypatch.setattr(work, "_FIRST", 10_000)

    def build(D):
        return nn.Sequential(*(nn.Linear(D, D) for _ in range(3**D)))

    line = build.__code__.co_firstlineno + 1
    with pytest.raises(FormulaError) as error:
        trace(build, rows, dict(B=8, D=D))
    assert f"operators: test_work.py:{line}: return nn.Sequential" in str(error.value)
    assert str(error.value).endswith("at D=5. Write a number in build in place of D")


def test_a_model_that_is_too_large_itself_says_so(monkeypatch):
    monkeypatch.setattr(work, "_FIRST", 50)
    with pytest.raises(FormulaError, match=r"^the model has more than 50 operators: trace one of its layers"):
        trace(lambda D: nn.Sequential(*(nn.Linear(D, D) for _ in range(20))), rows, dict(B=8, D=3))


def test_the_first_run_gives_the_others_their_bounds(monkeypatch):
    monkeypatch.setattr(work, "_LATER", 0)
    assert trace(lambda D: nn.Linear(D, D), rows, dict(B=8, D=3)).backward
    monkeypatch.setattr(work, "_RUNS", 1)
    with pytest.raises(FormulaError, match="the model has more than"):
        trace(lambda D: nn.Linear(D, D), rows, dict(B=8, D=3))


@pytest.mark.parametrize("sits_there", [True, False])
def test_a_long_trace_shows_one_line_where_a_person_sees_it(monkeypatch, capsys, sits_there):
    monkeypatch.setattr(work, "_PATIENCE", 0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: sits_there)
    trace(lambda D: nn.Sequential(*(nn.Linear(D, D) for _ in range(30))), rows, dict(B=8, D=3))
    shown = capsys.readouterr().err
    assert "\n" not in shown
    assert shown.startswith("\r\x1b[Ktracing: 0 runs of the model, 0 s") is sits_there
    assert shown.endswith("\r\x1b[K") is sits_there


def test_a_short_trace_shows_nothing(monkeypatch, capsys):
    monkeypatch.setattr(work, "_PATIENCE", 1000)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    trace(lambda D: nn.Linear(D, D), rows, dict(B=8, D=3))
    assert not capsys.readouterr().err
