"""Test shares of time and FLOPs, and where work is worth it."""

import pytest

from flopbook.measure import FlopCount, profile_time
from flopbook.measure.profiler import BETWEEN
from flopbook.measure.report.bottlenecks import CATEGORIES, Share, bottlenecks, shares


def test_shares_are_of_the_whole(adamw):
    with FlopCount() as counted:
        adamw()
    found = shares(counted.breakdown, profile_time(adamw, {row.operator for row in counted.breakdown.operators}, 3))
    assert tuple(found) == tuple(name for name in CATEGORIES if name != "communication")
    assert sum(share.time for share in found.values()) == pytest.approx(1)
    whole = counted.breakdown.step.cost.flops
    assert found["optimizer"].flops == counted.breakdown.step.costs["optimizer"].flops / whole
    assert found[BETWEEN] == (found[BETWEEN].time, 0, 0)


def test_a_bottleneck_is_worth_its_work():
    found = {"contractions": Share(0.15, 0.9, 5), "optimizer": Share(0.25, 0.1, 40), BETWEEN: Share(0.6, 0, 0)}
    assert [(one.category, round(one.limit, 2)) for one in bottlenecks(found)] == [(BETWEEN, 2.5), ("optimizer", 1.33)]
    assert "40 calls of operators for 10.0% of the FLOPs" in str(bottlenecks(found)[1])
    assert [one.limit for one in bottlenecks({"contractions": Share(1.0, 1.0, 1)})] == [pytest.approx(1000)]
