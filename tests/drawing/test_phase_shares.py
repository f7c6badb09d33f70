"""Test the picture of a step after pretraining: each state's numbers are the phases', and the shares add up."""

import re

import pytest

from flopbook.devices import DEVICES
from flopbook.drawing import phases_of_a_step
from flopbook.predict import axis, evaluate
from flopbook.predict.post_training import Rollouts, dpo, grpo, ppo, rule_of_six, supervised
from flopbook.units import si

POLICY, OTHER = rule_of_six(10**9), rule_of_six(axis("M"))
GROUP = Rollouts(samples=axis("K"), at_once=axis("Q"), cache=1000)
STEPS = {
    "SFT": supervised(POLICY),
    "DPO": dpo(POLICY, POLICY),
    "GRPO": grpo(POLICY, POLICY, rollouts=GROUP),
    "PPO": ppo(POLICY, OTHER, OTHER, POLICY, GROUP),
}
SIZES = dict(B=4, P=30, K=8, R=100, Q=16, M=10**9)
VALUES = {"K, responses": [8, 256], "R, tokens": [100, 300], "Q, at once": [1, 16, 1024], "M": [10**9, 10**10]}


@pytest.fixture(scope="module")
def picture():
    return phases_of_a_step(STEPS, SIZES, VALUES, devices=2)


def test_each_state_has_the_flops_and_the_time_of_its_phases(picture, states):
    h100 = DEVICES["H100 SXM"]
    for state, frame in states(picture):
        step, sizes = STEPS[state["method"]], SIZES | {letter: state[letter] for letter in "KRQM"}
        _, *numbers = zip(*frame.table.rows, strict=True)
        (*works, all_flops), times = numbers
        assert sum(works) == all_flops == evaluate(step.flops, sizes)
        seconds = sum(
            max(
                evaluate(phase.flops, sizes) / 2 / h100.peak_flop_per_s["bf16"],
                2 * evaluate(phase.numbers, sizes) / 2 / h100.bytes_per_s,
            )
            for phase in step.phases
        )
        assert times[-1] == si(seconds, "s")
        shares = [float(share) for share in re.findall(r">([\d.]+)%<", "".join(frame.shapes))]
        assert sum(shares[::2]) == pytest.approx(100, abs=0.21)
        assert sum(shares[1::2]) == pytest.approx(100, abs=0.21)


def test_it_says_what_the_device_waits_for(picture):
    assert "Guess, then choose GRPO" in picture.frame().sentence
    assert "waits for the memory" in picture.frame(method="GRPO", Q=1).sentence
    assert "computing takes longer" in picture.frame(method="GRPO", K=256, Q=1024).sentence


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (dict(steps={}), "{} are not steps by name"),
        (dict(steps={"SFT": POLICY}), "are not steps by name"),
        (dict(device="H1000"), "device='H1000' is not known"),
        (dict(devices=0), "devices=0 is not a size"),
        (dict(sizes=SIZES | dict(B=0)), "B=0 is not a size"),
    ],
)
def test_what_is_not_known_is_refused(change, says):
    with pytest.raises((TypeError, ValueError), match=says):
        phases_of_a_step(**(dict(steps=STEPS, sizes=SIZES, values=VALUES) | change))
