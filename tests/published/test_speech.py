"""Hold Whisper on paper to the library: parameters, forward and backward pass, to the last one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbook.published import from_config
from flopbook.published.in_library.witness import witness
from tests.support.published import assert_agrees, assert_no_effect, defaults, on_paper

SMALL = dict(
    d_model=24, encoder_layers=3, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=2,
    encoder_ffn_dim=40, decoder_ffn_dim=30, vocab_size=53, max_source_positions=13, max_target_positions=11,
    num_mel_bins=5, pad_token_id=0,
)  # fmt: skip


def test_the_librarys_defaults_are_read_to_the_last_key():
    config = defaults("whisper", **SMALL)
    assert_agrees(config, B=2, T=7)
    assert_no_effect(config, B=2, T=7)


def test_keys_that_are_left_out_have_the_librarys_defaults():
    assert_agrees(dict(model_type="whisper"), B=1, T=1)


@st.composite
def configs(draw):
    config = dict(model_type="whisper", d_model=12 * draw(st.integers(1, 3)), pad_token_id=0)
    for which in ("encoder", "decoder"):
        config |= {
            f"{which}_layers": draw(st.integers(1, 3)),
            f"{which}_attention_heads": draw(st.sampled_from([1, 2, 3, 4, 6, 12])),
            f"{which}_ffn_dim": draw(st.integers(1, 50)),
        }
    return config | dict(
        vocab_size=draw(st.integers(2, 90)), max_source_positions=draw(st.integers(1, 20)),
        max_target_positions=draw(st.integers(11, 30)), num_mel_bins=draw(st.integers(1, 9)),
        tie_word_embeddings=draw(st.booleans()),
    )  # fmt: skip


@settings(max_examples=4, deadline=None)
@given(configs(), st.integers(1, 3), st.integers(1, 11))
def test_any_sizes_agree(config, B, T):
    assert_agrees(config, B=B, T=T)


def test_names_that_the_library_takes_too_win():
    config = dict(model_type="whisper", **SMALL, num_hidden_layers=1, hidden_size=32, num_attention_heads=8)
    assert_agrees(config, B=1, T=3)
    assert from_config(config).sizes["Le"] == 1


def test_parameters_in_fewer_bits_change_no_count():
    assert_agrees(dict(model_type="whisper", **SMALL, torch_dtype="float16"), B=1, T=3)


def test_a_wrong_size_is_noticed():
    config = defaults("whisper", **SMALL)
    assert on_paper(config | dict(num_mel_bins=6), B=2, T=7) != witness(config, B=2, T=7)


def test_sound_is_heard_once_and_kept():
    network = from_config(defaults("whisper", **SMALL))
    longer, shorter = (network.forward(B=1, T=tokens, needed=True) for tokens in (7, 6))
    assert network.at(network.token, T=7) == longer - shorter
    assert network.at(network.cache, T=7) == 2 * 2 * 24 * (13 + 7)  # layers, keys and values, as wide as the model


@pytest.mark.parametrize("key", ["encoder_layerdrop", "decoder_layerdrop"])
def test_layers_that_are_passed_over_by_chance_are_refused(key):
    assert from_config({"model_type": "whisper", key: 0}).sizes["L"] == 4
    with pytest.raises(ValueError, match=f"config says {key} = 0.1"):
        from_config({"model_type": "whisper", key: 0.1})
