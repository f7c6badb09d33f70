"""Test the phases of a step: their order, their sum, and the longer of computing and moving."""

import pytest
from sympy import Rational, expand

from flopbook.devices import DEVICES
from flopbook.predict import B, N, axis
from flopbook.predict.post_training import Rollouts, grpo, ppo, rule_of_six, supervised

P = axis("P")
POLICY, LARGE = rule_of_six(), rule_of_six(axis("M"))


def test_a_phase_takes_what_is_longer_its_flops_or_its_bytes():
    h100 = DEVICES["H100 SXM"]
    device = h100.peak_flop_per_s["bf16"], h100.bytes_per_s
    for sequences, waits in (1, True), (10_000, False):
        _, decode, *_, training = grpo(rule_of_six(10**9), rollouts=Rollouts(sequences, prompt=10, response=101)).phases
        moving = 2 * 100 * 10**9 / device[1]
        computing = 2 * sequences * 100 * 10**9 / device[0]
        assert float(decode.seconds(*device)) == pytest.approx(max(moving, computing))
        assert (moving > computing) == waits
        assert float(training.seconds(*device)) == pytest.approx(6 * sequences * 111 * 10**9 / device[0]) or waits


def test_training_reads_weights_twice_and_writes_their_gradients():
    *_, training = supervised(rule_of_six(1000), epochs=5).phases
    assert training.numbers == 5 * 3 * 1000


def test_phases_are_in_order_and_add_up():
    step = ppo(POLICY, LARGE, LARGE, POLICY, epochs=2)
    assert [str(phase) for phase in step.phases] == [
        "policy: prefill", "policy: decode", "policy: score", "reference: score", "value: score", "reward: score",
        "policy: train", "value: train",
    ]  # fmt: skip
    assert expand(step.of("prefill", "decode", "score", "train") - step.flops) == 0
    assert expand(step.of("prefill") - 2 * N * B * P) == 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: supervised(POLICY).of("sleep"), "work='sleep' is not known"),
        (lambda: supervised(POLICY).phases[0].seconds(0, 1), "peak_flop_per_s=0 is out of range"),
        (lambda: supervised(POLICY).phases[0].seconds(1, Rational(-1)), "bytes_per_s=-1 is out of range"),
    ],
)
def test_what_is_not_of_its_kind_is_refused(wrong, says):
    with pytest.raises((TypeError, ValueError)) as refusal:
        wrong()
    assert says in str(refusal.value)
