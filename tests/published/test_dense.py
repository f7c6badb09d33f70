"""Hold dense decoders on paper to the library: parameters, forward and backward pass, to the last one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbook.published import from_config
from flopbook.published.in_library.witness import witness
from tests.support.published import assert_agrees, assert_no_effect, defaults, on_paper

SMALL = dict(
    hidden_size=24, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, intermediate_size=40,
    vocab_size=53,
)  # fmt: skip
MODELS = {
    "llama": SMALL,
    "mistral": SMALL | dict(sliding_window=5),
}


@pytest.mark.parametrize("model_type", MODELS)
def test_the_librarys_defaults_are_read_to_the_last_key(model_type):
    config = defaults(model_type, **MODELS[model_type])
    assert_agrees(config, B=2, T=7)
    assert_no_effect(config, B=2, T=7)


@pytest.mark.parametrize("model_type", MODELS)
def test_keys_that_are_left_out_have_the_librarys_defaults(model_type):
    assert_agrees(dict(model_type=model_type), B=1, T=3)


@st.composite
def configs(draw):
    heads, keys = draw(st.sampled_from([(6, 1), (6, 2), (6, 3), (6, 6), (1, 1)]))
    return dict(
        model_type="llama", hidden_size=30, num_hidden_layers=draw(st.integers(1, 3)), num_attention_heads=heads,
        num_key_value_heads=keys, head_dim=2 * draw(st.integers(1, 9)), intermediate_size=draw(st.integers(1, 50)),
        vocab_size=draw(st.integers(2, 90)), tie_word_embeddings=draw(st.booleans()),
        attention_bias=draw(st.booleans()), mlp_bias=draw(st.booleans()),
    )  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(configs(), st.integers(1, 3), st.integers(1, 11))
def test_any_sizes_agree(config, B, T):
    assert_agrees(config, B=B, T=T)


def test_a_wrong_size_is_noticed():
    config = defaults("llama", **SMALL)
    assert on_paper(config | dict(intermediate_size=41), B=2, T=7) != witness(config, B=2, T=7)


def test_a_window_leaves_fewer_pairs():
    network = from_config(defaults("mistral", **MODELS["mistral"]))
    masked = 2 * (7 * 7 - (7 * 5 - 10))  # B times the pairs that a window of 5 leaves out of 7 x 7
    assert network.step(B=2, T=7) - network.step(B=2, T=7, needed=True) == 3 * 12 * 4 * 6 * masked
