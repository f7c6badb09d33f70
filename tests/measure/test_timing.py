"""Seconds of a step; times themselves are never asserted."""

import pytest

from flopbook.measure import time_step
from flopbook.measure.timing import Timing


def test_a_step_is_called_and_its_calls_are_counted():
    calls = []
    timing = time_step(lambda: calls.append(1), at_least_seconds=0.001)
    assert timing.seconds > 0
    assert timing.spread_seconds >= 0
    assert 1 <= timing.calls <= len(calls)


def test_flop_per_s_is_flops_by_seconds():
    assert Timing(seconds=0.5, spread_seconds=0, calls=1).flop_per_s(10) == 20


@pytest.mark.parametrize("step", [None, 3, "x @ w"])
def test_what_cannot_be_called_is_quoted(step):
    with pytest.raises(TypeError) as error:
        time_step(step)
    assert str(error.value) == f"{step!r} cannot be called: write time_step(lambda: ...)"


def test_an_error_in_the_step_is_the_readers():
    with pytest.raises(ZeroDivisionError):
        time_step(lambda: 1 / 0)
