"""Test the models that take part in post-training: which limits they meet, and what is refused."""

import pytest
from sympy import expand

from flopbook.predict import B, D, S, T, evaluate
from flopbook.predict.models import PUBLISHED, decoder
from flopbook.predict.post_training import adapted_decoder, asked_decoder, rule_of_six, supervised


def test_at_all_tokens_it_is_the_decoder():
    whole = asked_decoder().at(A=T)
    assert expand(whole.forward - decoder(keys=S).forward) == 0
    assert (whole.parameters, whole.tensors) == (decoder().parameters, decoder().tensors)
    assert asked_decoder(outputs=1).parameters == decoder().at(tables=1).parameters + D


@pytest.mark.parametrize("frozen", [False, True])
def test_the_rule_of_six_is_two_four_or_two_for_each_parameter_and_token(frozen):
    model = rule_of_six(7, frozen=frozen)
    assert (model.forward, model.backward) == (14 * B * T, (14 if frozen else 28) * B * T)
    assert (model.parameters, model.active, model.tensors) == (7, 7, 0)
    assert rule_of_six(1).parameters == 1


@pytest.mark.parametrize("gated", [False, True])
def test_adapters_beside_all_weights_of_the_blocks_are_added_to_a_models_parameters(gated):
    sizes = dict(L=2, D=30, H=6, G=2, E=7, F=44, V=52, tables=2, rank=3, matrices=2 + gated)
    adapted, whole = (
        [evaluate(each, sizes) for each in (model.parameters, model.active, model.tensors)]
        for model in (adapted_decoder(gated), asked_decoder())
    )
    widths = [(30, 42), (30, 14), (30, 14), (42, 30), *[(30, 44)] * (1 + gated), (44, 30)]
    numbers, tensors = 2 * 3 * sum(map(sum, widths)), 2 * 2 * len(widths)
    assert [one - other for one, other in zip(adapted, whole, strict=True)] == [numbers, numbers, tensors]


def test_an_adapted_model_takes_two_thirds():
    llama = PUBLISHED["Llama 3 8B"] | dict(B=1, P=500, R=500)
    whole, adapted = (supervised(model).flops for model in (asked_decoder(), adapted_decoder()))
    assert 0.66 < evaluate(adapted, llama | dict(rank=1)) / evaluate(whole, llama) < 0.68


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: rule_of_six(0), "parameters=0 is not a size"),
        (lambda: rule_of_six(-5), "parameters=-5 is not a size"),
        (lambda: rule_of_six(frozen=None), "frozen=None is neither True nor False"),
        (lambda: asked_decoder(outputs=0), "outputs=0 is not a size"),
        (lambda: adapted_decoder(gated=2), "gated=2 is neither True nor False"),
    ],
)
def test_what_is_not_of_its_kind_is_refused(wrong, says):
    with pytest.raises((TypeError, ValueError)) as refusal:
        wrong()
    assert says in str(refusal.value)
