"""Lines are named as the reader knows them, and are the reader's own."""

import sysconfig

import pytest
import torch
from torch import nn

from flopbook.tracing import FormulaError, trace
from flopbook.tracing.source_lines import Line

LIBRARY = """
from torch import nn

class Picks(nn.Linear):
    def forward(self, x):
        return super().forward(x[x[:, 0] > 0])

class Layers(nn.Sequential):
    def __init__(self, D, L):
        super().__init__(*(nn.Linear(D, D) for _ in range(L)))

class Wrong(nn.Linear):
    def __init__(self, D):
        super().__init__(D, D)
        raise KeyError("no such configuration")
"""


@pytest.fixture
def library():
    """A module that is installed."""
    names = {"__name__": "library"}
    exec(compile(LIBRARY, f"{sysconfig.get_path('purelib')}/library/models.py", "exec"), names)
    return names


def rows(B, D):
    return torch.empty(B, D)


def test_a_line_is_named_as_the_reader_knows_it():
    assert str(Line("/tmp/ipykernel_7/123.py", 5)) == "line 5 of a cell"
    assert str(Line("/models/gpt.py", 5)) == "gpt.py:5"
    assert str(Line("", 0)) == "PyTorch itself"


def test_the_line_of_build_is_named_not_the_one_of_a_library_that_it_calls(library):
    def build(D, L):
        return library["Layers"](D, L)

    line = build.__code__.co_firstlineno + 1
    way = trace(build, rows, dict(B=2, D=3, L=4)).way
    assert f"since test_source_lines.py:{line}: return library" in way


def test_a_line_of_a_library_comes_with_the_function_that_made_the_model(library):
    def build(D):
        return library["Picks"](D, D)

    with pytest.raises(FormulaError) as error:
        trace(build, rows, dict(B=2, D=3))
    made = f"(in the model of test_source_lines.py:{build.__code__.co_firstlineno}: def build(D):)"
    assert str(error.value).startswith(f"models.py:6 {made} depends on the data")


def test_an_error_of_the_model_itself_gets_a_note_with_the_line(library):
    def build(D):
        return library["Wrong"](D)

    with pytest.raises(KeyError) as error:
        trace(build, rows, dict(B=2, D=3))
    line = build.__code__.co_firstlineno + 1
    assert error.value.__notes__ == [
        f'raised by test_source_lines.py:{line}: return library["Wrong"](D), at the example sizes'
    ]


def test_a_layer_of_pytorch_asks_for_a_number_itself():
    def build(D):
        return nn.GRU(D, D)

    def steps(B, T, D):
        return torch.empty(T, B, D)

    assert "since PyTorch itself takes it for a plain number" in trace(build, steps, dict(B=2, T=3, D=3)).way
