"""Test what all published models have in common."""

import pytest

from flopbook.published import from_config, named
from flopbook.published.letters import LETTERS
from flopbook.published.on_paper import READERS
from tests.support.published import WITHOUT_DEFAULT


@pytest.mark.parametrize("model_type", READERS)
def test_each_letter_of_an_architecture_is_explained(model_type):
    named = {"_class_name" if model_type[0].isupper() else "model_type": model_type}
    network = from_config(named | WITHOUT_DEFAULT.get(model_type, {}))
    assert {*network.sizes, *network.free} <= LETTERS.keys()
    expressions = (network.dense.forward, network.needed.backward, network.dense.parameters, network.cache)
    assert {letter.name for each in expressions for letter in each.free_symbols} <= {*network.sizes, *network.free}


@pytest.mark.parametrize("name", ["Mistral 7B v0.1", "Llama 4 Scout", "Whisper tiny", "ResNet-50"])
def test_numbers_are_those_of_the_formulas(name):
    network = named(name).network
    sizes = {letter: size for letter, size in dict(B=2, T=9, Ih=64, Iw=96).items() if letter in network.free}
    assert network.parameters == network.at(network.dense.parameters)
    assert network.active == network.at(network.dense.active)
    for needed, whole in (False, network.dense), (True, network.needed):
        assert network.forward(needed=needed, **sizes) == network.at(whole.forward, **sizes)
        assert network.backward(needed=needed, **sizes) == network.at(whole.backward, **sizes)


def test_a_missing_size_is_named():
    with pytest.raises(ValueError, match="gpt2 needs a size for T: write T=8, for example"):
        from_config(dict(model_type="gpt2")).forward(B=1)


@pytest.mark.parametrize("letter", ["D", "Z"])
def test_a_letter_that_is_not_left_open_is_refused(letter):
    with pytest.raises(ValueError, match=f"gpt2 does not leave {letter} to you: give sizes for B, T"):
        from_config(dict(model_type="gpt2")).step(B=1, T=1, **{letter: 3})
