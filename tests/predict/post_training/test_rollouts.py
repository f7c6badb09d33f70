"""Test what reading, writing, scoring and training take on rollouts, and what is refused."""

from dataclasses import replace

import pytest
from sympy import expand

from flopbook.predict import N, T, axis
from flopbook.predict.inference import decoder_inference
from flopbook.predict.post_training import Rollouts, asked_decoder, rule_of_six
from flopbook.published import named

P, R = axis("P"), axis("R")


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
    _, decode = replace(one, at_once=1).write("policy", rule_of_six(1000))
    assert decode.numbers == 6 * 3 * 1000 + 2 * 3 * 7 * (6 + 7 + 8)


def test_decoding_moves_no_keys_unless_told_how_many_a_token_leaves():
    one = Rollouts(prompts=2, samples=3, prompt=5, response=4)
    assert one.write("policy", rule_of_six(1000)) == replace(one, cache=0).write("policy", rule_of_six(1000))
    assert one.write("policy", rule_of_six(1000))[1].numbers == 3 * 1000


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: Rollouts().write("policy", 3), "model=3 is not a model"),
        (lambda: Rollouts().score("policy", None), "model=None is not a model"),
        (lambda: Rollouts().train("policy", N, 1), "model=N is not a model"),
        (lambda: Rollouts(prompts=0), "prompts=0 is not a size: write a whole number of at least 1"),
        (lambda: Rollouts(response=-3), "response=-3 is not a size"),
        (lambda: Rollouts(samples=1.5), "samples=1.5 is not an amount"),
        (lambda: Rollouts(at_once=0), "at_once=0 is not a size"),
        (lambda: Rollouts(cache="2LGE"), "cache='2LGE' is not an amount"),
        (lambda: Rollouts(shared=1), "shared=1 is neither True nor False"),
    ],
)
def test_what_is_not_of_its_kind_is_refused(wrong, says):
    with pytest.raises((TypeError, ValueError)) as refusal:
        wrong()
    assert says in str(refusal.value)
