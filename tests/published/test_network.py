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


#: Bytes of the cache of a token in 16 bits, as DeepSeek-AI, *Insights into DeepSeek-V3* (2025), table 1, and Meta's
#: sizes of Llama 3 have them; of a window as long as the text.
CACHES = {"DeepSeek-V3": 70_272, "Llama 3.1 405B": 516_096, "Llama 3 8B": 131_072, "GPT-2 XL": 307_200}


@pytest.mark.parametrize("name", CACHES)
def test_a_token_leaves_as_many_bytes_as_published(name):
    network = named(name).network
    assert 2 * network.at(network.inference.cache, B=1, S=1000) == 1000 * CACHES[name]


@pytest.mark.parametrize("name", ["Gemma 3 1B", "Llama 4 Scout", "DeepSeek-V2-Lite", "Mamba 2 2.7B", "OLMoE 1B-7B"])
def test_inference_adds_up_the_tokens_and_the_caches_of_the_parts(name):
    network = named(name).network
    inference = network.inference
    assert network.at(inference.parameters) == network.parameters
    for length in (3, 600, 9000):
        assert network.at(inference.decode, B=3, S=length) == 3 * network.at(network.token, T=length)
        assert network.at(inference.cache, B=3, S=length) == 3 * network.at(network.cache, T=length)
    assert network.at(inference.one_by_one, B=2, S=7) == sum(
        network.at(inference.decode, B=2, S=place) for place in range(1, 8)
    )


def test_half_of_the_layers_of_a_gemma_keep_a_window():
    network = named("Gemma 2 9B").network
    keys = 2 * network.sizes["G"] * network.sizes["E"]
    assert network.at(network.inference.cache, B=1, S=10_000) == keys * (21 * 10_000 + 21 * 4_096)


@pytest.mark.parametrize("name", ["BERT base", "ResNet-50", "Flan-T5 large"])
def test_what_does_not_read_from_left_to_right_is_refused(name):
    with pytest.raises(ValueError, match="does not read a text from left to right: a decoder does, such as"):
        _ = named(name).network.inference
