"""Test post-training on paper: what each method takes by the rule of six, the limits, and what is refused."""

from dataclasses import replace

import pytest
from sympy import Rational, expand, limit

from flopbook.devices import DEVICES
from flopbook.predict import B, D, N, S, T, axis, evaluate
from flopbook.predict.inference import decoder_inference
from flopbook.predict.models import PUBLISHED, decoder
from flopbook.predict.post_training import (
    Rollouts,
    adapted_decoder,
    asked_decoder,
    distillation,
    dpo,
    grpo,
    ppo,
    rejection_sampling,
    rule_of_six,
    supervised,
)
from flopbook.published import named

A, K, M, P, R = map(axis, "AKMPR")
POLICY, LARGE = rule_of_six(), rule_of_six(M)
GROUP = Rollouts(samples=K)


@pytest.mark.parametrize(
    ("step", "a_token"),
    [
        (supervised(POLICY), 6 * N),
        (supervised(rule_of_six(frozen=True)), 4 * N),
        (supervised(POLICY, epochs=3), 18 * N),
        (dpo(POLICY, POLICY), 2 * (6 + 2) * N),
        (dpo(POLICY), 2 * 6 * N),
        (distillation(POLICY, LARGE), 6 * N + 2 * M),
        (distillation(POLICY, LARGE, written_by="student"), 8 * N + 2 * M),
        (distillation(POLICY, LARGE, written_by="teacher"), 6 * N + 2 * M),
        (grpo(POLICY, POLICY, rollouts=GROUP), 12 * K * N),
        (grpo(POLICY, POLICY, rollouts=GROUP, rescored=False), 10 * K * N),
        (grpo(POLICY, rollouts=GROUP, epochs=4), (2 + 2 + 24) * K * N),
        (grpo(rule_of_six(frozen=True), POLICY, rollouts=GROUP), 10 * K * N),
        (ppo(POLICY, POLICY, POLICY, POLICY), 22 * N),
        (ppo(POLICY, LARGE, LARGE, POLICY), 12 * N + 10 * M),
        (rejection_sampling(POLICY, LARGE, GROUP), 2 * K * (N + M) + 6 * N),
        (rejection_sampling(POLICY, LARGE, GROUP, kept=0), 2 * K * (N + M)),
    ],
)
def test_long_responses_take_so_many_flops_a_token(step, a_token):
    assert expand(limit(step.flops / (B * R), R, float("inf"))) == expand(a_token)


def test_exact_becomes_the_rule_of_six_where_the_model_is_wide():
    """Attention's own products and the vocabulary grow with the width, and the weights with its square."""
    sizes = dict(L=2, H=3, G=3, E=D, F=4 * D, V=5, matrices=2, tables=2)
    exact = asked_decoder().at(**sizes)
    ratio = grpo(exact, exact).flops / grpo(*2 * [rule_of_six(axis("N"))]).flops.subs(N, exact.parameters)
    assert limit(ratio.subs({B: 1, P: 3, R: 4}), D, float("inf")) == 1


def test_at_all_tokens_it_is_the_decoder():
    whole = asked_decoder().at(A=T)
    assert expand(whole.forward - decoder(keys=S).forward) == 0
    assert whole.parameters == decoder().parameters
    assert asked_decoder(outputs=1).parameters == decoder().at(tables=1).parameters + D


@pytest.mark.parametrize("name", ["Llama 3 8B", "Mistral 7B v0.1", "Gemma 2 9B"])
def test_decoding_a_published_model_is_the_sum_of_its_tokens(name):
    """Its windows end within the response."""
    network = named(name).network
    sizes = dict(prompt=4090, response=9)
    _, decode = Rollouts(prompts=2, **sizes).write("policy", network.needed.at(**network.sizes))
    tokens = range(4091, 4090 + 9)
    assert decode.flops == 2 * sum(network.at(network.token, T=tokens_so_far) for tokens_so_far in tokens)


def test_to_write_a_response_is_to_generate_it():
    """The lecture on inference adds up the tokens in another way."""
    step = sum(phase.flops for phase in Rollouts().write("policy", asked_decoder()))
    assert expand(step - decoder_inference(pairs=T**2).generate(R).subs(T, P)) == 0


def test_decoding_moves_the_weights_once_a_token_and_all_keys_and_values():
    one = Rollouts(prompts=2, samples=3, prompt=5, response=4, cache=7)
    _, decode = one.write("policy", rule_of_six(1000))
    assert decode.numbers == 3 * 1000 + 2 * 3 * 7 * (6 + 7 + 8)
    _, decode = replace(one, at_once=4).write("policy", rule_of_six(1000))
    assert decode.numbers == 2 * 3 * 1000 + 2 * 3 * 7 * (6 + 7 + 8)


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


def test_an_adapted_model_takes_two_thirds():
    llama = PUBLISHED["Llama 3 8B"] | dict(B=1, P=500, R=500)
    whole, adapted = (supervised(model).flops for model in (asked_decoder(), adapted_decoder()))
    assert 0.66 < evaluate(adapted, llama | dict(rank=1)) / evaluate(whole, llama) < 0.68


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
        (lambda: grpo("policy"), "policy='policy' is not a model: write rule_of_six(), or asked_decoder()"),
        (lambda: dpo(POLICY, 7), "reference=7 is not a model"),
        (lambda: ppo(POLICY, POLICY, reward=N), "reward=N is not a model"),
        (lambda: Rollouts().write("policy", 3), "model=3 is not a model"),
        (lambda: Rollouts().score("policy", None), "model=None is not a model"),
        (lambda: Rollouts().train("policy", N, 1), "model=N is not a model"),
        (lambda: Rollouts(prompts=0), "prompts=0 is not a size: write a whole number of at least 1"),
        (lambda: Rollouts(response=-3), "response=-3 is not a size"),
        (lambda: Rollouts(samples=1.5), "samples=1.5 is not an amount"),
        (lambda: Rollouts(at_once=0), "at_once=0 is not a size"),
        (lambda: Rollouts(cache="2LGE"), "cache='2LGE' is not an amount"),
        (lambda: Rollouts(shared=1), "shared=1 is neither True nor False"),
        (lambda: supervised(POLICY, epochs=0), "epochs=0 is not a size"),
        (lambda: grpo(POLICY, rescored="no"), "rescored='no' is neither True nor False"),
        (lambda: distillation(POLICY, LARGE, written_by="Student"), "written_by='Student' is not known; did you mean"),
        (lambda: rejection_sampling(POLICY, rollouts=Rollouts(samples=4), kept=5), "kept=5 are more than the 4"),
        (lambda: rejection_sampling(POLICY, kept=-1), "kept=-1 is not a size"),
        (lambda: rule_of_six(-5), "parameters=-5 is not a size"),
        (lambda: rule_of_six(frozen=None), "frozen=None is neither True nor False"),
        (lambda: asked_decoder(outputs=0), "outputs=0 is not a size"),
        (lambda: adapted_decoder(gated=2), "gated=2 is neither True nor False"),
        (lambda: supervised(POLICY).of("sleep"), "work='sleep' is not known"),
        (lambda: supervised(POLICY).phases[0].seconds(0, 1), "peak_flop_per_s=0 is out of range"),
        (lambda: supervised(POLICY).phases[0].seconds(1, Rational(-1)), "bytes_per_s=-1 is out of range"),
        (lambda: supervised(POLICY, rollouts=3), "rollouts=3 are not rollouts: write Rollouts"),
    ],
)
def test_what_is_not_of_its_kind_is_refused(wrong, says):
    with pytest.raises((TypeError, ValueError)) as refusal:
        wrong()
    assert says in str(refusal.value)
