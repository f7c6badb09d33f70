"""Test the picture of the hours that reports print."""

import re
from fractions import Fraction

import pytest

from flopbook.drawing import hours_of_runs
from flopbook.drawing.svg import WIDTH
from flopbook.predict.runs import ReportedRun

RUNS = {"one": ReportedRun(72 * 10**15, 50, 10**12), "another": ReportedRun(36 * 10**16, 120, 10**12)}


def test_each_row_is_the_run(states):
    for state, frame in states(hours_of_runs(RUNS)):
        share = Fraction(int(state["share"].rstrip("%")), 100)
        assert [row[0] for row in frame.table.rows] == list(RUNS)
        for (_, hours, printed, reached), run in zip(frame.table.rows, RUNS.values(), strict=True):
            assert hours == f"{float(run.least_device_hours / share):,.0f}"
            assert printed == f"{float(run.device_hours):,.0f}"
            assert reached == f"{float(run.utilization):.1%}"


def test_the_nearest_and_the_furthest_are_named():
    said = hours_of_runs(RUNS).frame(share="100%").sentence
    assert said.endswith("another prints 1.20 times as many, one 2.50 times.")


def test_what_is_not_a_run_is_refused():
    with pytest.raises(ValueError, match="no runs are given"):
        hours_of_runs({})
    with pytest.raises(TypeError, match="one: 3 is not a run"):
        hours_of_runs({"one": 3})
    with pytest.raises(TypeError, match="is not a mapping of runs: write"):
        hours_of_runs([RUNS["one"]])


@pytest.mark.parametrize("hours", [10, 1, 9])
def test_every_bar_lies_within_the_picture(hours, states):
    run = ReportedRun(3600 * 10**12 * hours, hours, 10**12)
    for _, frame in states(hours_of_runs({"one": run}, shares=(Fraction(1, 10), Fraction(1)))):
        ends = [float(end) for end in re.findall(r' (?:width|cx)="([\d.]+)"', "".join(map(str, frame.shapes)))]
        assert ends
        assert max(ends) <= WIDTH
