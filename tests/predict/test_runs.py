"""Test what follows from the FLOPs, the hours and the peak of a run."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopbook.predict.runs import ReportedRun

AMOUNTS = st.integers(1, 10**25)


@given(AMOUNTS, st.integers(1, 10**8), st.integers(1, 10**16))
def test_hours_at_the_share_that_was_reached_are_those_that_are_printed(flops, hours, peak):
    run = ReportedRun(flops, hours, peak)
    assert run.utilization == Fraction(flops, 3600 * hours * peak)
    assert run.least_device_hours == hours * run.utilization
    if run.utilization <= 1:
        assert run.device_hours_at(run.utilization) == hours
    assert ReportedRun(flops, 2 * hours, peak).utilization == run.utilization / 2


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), "8", None, True])
def test_what_is_not_an_amount_is_refused(wrong):
    for at in range(3):
        amounts = [1, 1, 1]
        amounts[at] = wrong
        with pytest.raises(ValueError, match="is not an amount of a run"):
            ReportedRun(*amounts)


def test_at_the_whole_peak_a_run_takes_the_least_hours():
    run = ReportedRun(10**20, 1000, 10**14)
    assert run.device_hours_at(1) == run.least_device_hours


@pytest.mark.parametrize("wrong", [0, 40, -0.1, "40%", 1.01])
def test_what_is_not_a_share_is_refused(wrong):
    with pytest.raises(ValueError, match="is not a share"):
        ReportedRun(1, 1, 1).device_hours_at(wrong)
