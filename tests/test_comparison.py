"""Test what a comparison's table shows, and when its witnesses agree."""

import pytest

from flopbook.comparison import compare
from flopbook.counts.tally import Tally
from flopbook.predict import TrainingStep, matmul, training_step

STEP = training_step(matmul("x[B,D] @ w[D,K] -> y[B,K]"), data="x")
SIZES = {"B": 40, "D": 30, "K": 20}


def witness(word, *calls, uncounted=()):
    """Make a witness with FLOPs of `aten::mm` by phase, and calls without a rule."""
    tally = Tally()
    tally.witness = word
    for phase, flops in calls:
        tally.note(phase, "", "aten::mm", flops, 7)
    tally._uncounted.update(uncounted)
    return tally


COUNTED = witness("counted", ("forward", 48_000), ("backward", 48_000))
PROFILED = witness("profiled", ("forward", 48_000), ("backward", 48_000))
EXTRA = witness("counted", ("forward", 48_000), ("backward", 48_000), ("backward", 16))


def test_all_agree():
    table = compare(STEP, COUNTED, PROFILED, sizes=SIZES)
    assert table.agrees
    assert repr(table) == (
        "phase     product                              predicted  counted  profiled\n"
        "forward   x[B,D] @ w[D,K] -> y[B,K]               48,000   48,000    48,000\n"
        "forward   all                                     48,000   48,000    48,000\n"
        "backward  x[B,D] @ y.grad[B,K] -> w.grad[D,K]     48,000   48,000    48,000\n"
        "backward  all                                     48,000   48,000    48,000\n"
        "total                                             96,000   96,000    96,000\n"
        "All witnesses agree."
    )


def test_what_ran_without_a_product_has_a_row_of_its_own():
    table = compare(STEP, EXTRA, PROFILED, sizes=SIZES)
    assert not table.agrees
    assert repr(table).splitlines()[4:] == [
        "backward  aten::mm                                     —       16         —",
        "backward  all                                     48,000   48,016    48,000",
        "total                                             96,000   96,016    96,000",
        "The witnesses differ: backward.",
    ]


def test_the_only_line_of_a_step_of_one_phase_is_summed_once():
    inference = TrainingStep(forward=STEP.forward, backward=())
    alone = compare(inference, witness("counted", ("forward", 48_000)), sizes=SIZES)
    assert [line.split()[0] for line in repr(alone).splitlines()] == ["phase", "forward", "total", "All"]
    two = compare(inference, witness("counted", ("forward", 48_000), ("forward", 16)), sizes=SIZES)
    assert repr(two).splitlines()[3].split() == ["forward", "all", "48,000", "48,016"]


def test_a_product_that_did_not_run_is_a_dash():
    table = compare(STEP, witness("counted", ("forward", 48_000)), sizes=SIZES)
    assert not table.agrees
    assert [row.flops["counted"] for row in table.rows] == [48_000, None]
    assert table.totals["backward"] == {"predicted": 48_000, "counted": 0}


def test_a_wrong_number_is_not_paired_with_the_product():
    table = compare(STEP, witness("counted", ("forward", 48_001), ("backward", 48_000)), sizes=SIZES)
    assert not table.agrees
    assert [(row.label, row.flops.get("predicted"), row.flops.get("counted")) for row in table.rows] == [
        ("x[B,D] @ w[D,K] -> y[B,K]", 48_000, None),
        ("aten::mm", None, 48_001),
        ("x[B,D] @ y.grad[B,K] -> w.grad[D,K]", 48_000, 48_000),
    ]


def test_the_right_total_in_the_wrong_phase_disagrees():
    table = compare(STEP, witness("counted", ("forward", 96_000)), sizes=SIZES)
    assert not table.agrees
    assert "The witnesses differ: forward, backward." in repr(table)


@pytest.mark.parametrize("phase", ["recomputed", "optimizer"])
def test_a_phase_that_is_not_predicted_disagrees(phase):
    table = compare(STEP, witness("counted", ("forward", 48_000), ("backward", 48_000), (phase, 4)), sizes=SIZES)
    assert not table.agrees
    assert table.totals[phase] == {"predicted": 0, "counted": 4}


def test_one_witness_that_differs_is_enough():
    assert not compare(STEP, COUNTED, witness("profiled", ("forward", 48_000)), sizes=SIZES).agrees


def test_an_operator_without_a_rule_leaves_it_undecided():
    unsure = witness("counted", ("forward", 48_000), ("backward", 48_000), uncounted={"mylib::fused": 3})
    table = compare(STEP, unsure, sizes=SIZES)
    assert not table.agrees
    assert table.uncounted == {"mylib::fused": 3}
    assert repr(table).endswith("Not decided: no rule for mylib::fused (3 calls).")


@pytest.mark.parametrize("given", [(STEP, STEP), (COUNTED, STEP), (STEP, 3)])
def test_a_step_is_compared_with_what_was_measured(given):
    with pytest.raises(TypeError) as error:
        compare(*given, sizes=SIZES)
    assert str(error.value).endswith("write compare(step, counted, sizes=...)")


def test_html_has_a_caption_headings_and_every_number():
    html = compare(STEP, EXTRA, sizes=SIZES)._repr_html_()
    assert "<caption>FLOPs. The witnesses differ: backward.</caption>" in html
    assert '<th scope="col" class="number">predicted</th><th scope="col" class="number">counted</th>' in html
    assert '<th scope="row"><code>x[B,D] @ w[D,K] -&gt; y[B,K]</code></th><td class="number">48,000</td>' in html
    assert '<th scope="row"><code>aten::mm</code></th><td class="number">—</td><td class="number">16</td>' in html
    assert '<tr class="total"><th scope="row">total</th><td></td><td class="number">96,000</td>' in html


def test_html_escapes_what_it_quotes():
    odd = witness("counted", uncounted={"<b>": 1})
    assert "&lt;b&gt; (1 call)" in compare(STEP, odd, sizes=SIZES)._repr_html_()


def test_nothing_to_compare_with():
    with pytest.raises(ValueError) as error:
        compare(STEP, sizes=SIZES)
    assert str(error.value) == "nothing to compare with: write compare(step, counted, sizes=...)"


def test_one_of_each_witness():
    with pytest.raises(ValueError) as error:
        compare(STEP, COUNTED, EXTRA, sizes=SIZES)
    assert str(error.value) == "two measurements are both 'counted': give at most one of each witness"


def test_a_missing_size():
    with pytest.raises(ValueError, match=r"2\*B\*D\*K needs a size for D: write sizes=dict\(B=..., D=..., K=...\)"):
        compare(STEP, COUNTED, sizes={"B": 4, "K": 2})
