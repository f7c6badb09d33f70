"""Test the picture of a roofline."""

from fractions import Fraction

import pytest

from flopbook.devices import DEVICES
from flopbook.drawing import Work, roofline
from flopbook.predict import B, D, K, evaluate, matmul
from flopbook.predict.roofline import arithmetic_intensity, attainable_flop_per_s
from flopbook.units import plain, si

LAYER = matmul("x[B,D] @ w[D,K] -> y[B,K]")
WORKS = {"a layer": LAYER, "layer norm": Work(5 * B * D, 2 * B * D), "AdamW": Work(14 * D * K, 7 * D * K, 4)}
SIZES = dict(D=1024, K=512)
ROOFS = {("H100 SXM", "bf16"): 2, ("H100 SXM", "fp32"): 4, ("A100 SXM 80GB", "bf16"): 2}


@pytest.fixture(scope="module")
def picture():
    roofs = [", ".join(roof) for roof in ROOFS]
    return roofline(WORKS, SIZES, batches=[1, 96, 4096], roofs=roofs, named=dict(decode=1))


def test_every_state_has_the_intensity_and_the_rate_of_the_formulas(picture, states):
    for state, frame in states(picture):
        device, format_ = state["roof"].split(", ")
        number = ROOFS[device, format_]
        known = SIZES | dict(B=state["B"])
        product, norm, update = frame.table.rows
        intensity = evaluate(arithmetic_intensity(LAYER, number), known)
        limits = DEVICES[device].peak_flop_per_s[format_], DEVICES[device].bytes_per_s
        assert product[1:3] == (plain(intensity), si(attainable_flop_per_s(float(intensity), *limits), "FLOP/s"))
        assert norm[1] == plain(Fraction(5, 2 * number))
        assert update[1] == plain(Fraction(14, 28))
        chosen = dict(zip(WORKS, (product, norm, update), strict=True))[state["work"]]
        assert chosen[1] in frame.sentence
        waits = float(
            dict(zip(WORKS, (intensity, Fraction(5, 2 * number), Fraction(1, 2)), strict=True))[state["work"]]
        )
        busy = waits >= limits[0] / limits[1]
        assert ("is busy all the time" in frame.sentence) == busy


def test_the_batch_that_would_do_is_the_first_at_the_ridge(picture):
    h100 = DEVICES["H100 SXM"]
    ridge = h100.peak_flop_per_s["bf16"] / h100.bytes_per_s
    sentence = picture.frame(B=1).sentence
    enough = int(sentence.split("A batch of ")[1].split(" ")[0].replace(",", ""))
    before, at = (evaluate(arithmetic_intensity(LAYER, 2), SIZES | dict(B=batch)) for batch in (enough - 1, enough))
    assert before < ridge <= at


def test_work_without_a_batch_says_that_none_helps(picture):
    sentences = {picture.frame(work="AdamW", B=batch).sentence for batch in (1, 96, 4096)}
    assert len(sentences) == 1
    assert sentences.pop().endswith("No batch changes that.")


def test_dragging_across_the_drawing_meets_every_batch_in_order(picture):
    handles = [shape for shape in picture.frame().shapes if 'class="handle"' in shape]
    assert [handle.split("B=")[1].split('"')[0] for handle in handles] == ["1", "96", "4096"]


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="decode=2 is not among the batches"):
        roofline(WORKS, SIZES, batches=[1, 4], roofs=["H100 SXM, bf16"], named=dict(decode=2))
    with pytest.raises(ValueError, match="roof='H100' is not known"):
        roofline(WORKS, SIZES, batches=[1, 4], roofs=["H100"], named={})
    with pytest.raises(TypeError, match="3 is neither a product nor work"):
        roofline({"a layer": 3}, SIZES, batches=[1, 4], roofs=["H100 SXM, bf16"], named={})
