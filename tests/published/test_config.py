"""Test how keys of a configuration are read and refused."""

import pytest

from flopbook.published import from_config
from flopbook.published.config import Config, ConfigError

LLAMA = dict(
    model_type="llama", hidden_size=24, num_hidden_layers=3, num_attention_heads=4, intermediate_size=40, vocab_size=53
)


def test_null_is_told_from_a_missing_key_where_it_means_something_else():
    config = Config(dict(given=5, null=None))
    assert [config.size_or_null(key, 7) for key in ("given", "null", "missing")] == [5, None, 7]


def test_places_are_whole_numbers():
    assert Config(dict(places=[1, 2])).numbers("places", []) == [1, 2]
    assert Config(dict(places=None)).numbers("places", [3]) == [3]
    with pytest.raises(ConfigError, match=r"places = \[1.5\]: give whole numbers in square brackets"):
        Config(dict(places=[1.5])).numbers("places", [])


@pytest.mark.parametrize(
    ("besides", "said"),
    [
        (dict(model_type=["llama"]), r"model_type = \['llama'\] is not understood"),
        (dict(dtype=16), "dtype = 16: name a format, such as 'bfloat16'"),
        (dict(torch_dtype=["bfloat16"]), r"torch_dtype = \['bfloat16'\]: name a format"),
        (dict(hidden_size=10**400), "hidden_size = a whole number of 1329 bits: give a whole number of at most"),
        ({3: 4}, "has the key 3, which is not understood"),
    ],
)
def test_what_is_not_of_its_kind_is_refused(besides, said):
    with pytest.raises(ConfigError, match=said):
        from_config(LLAMA | besides)


def test_weights_that_are_stored_in_fewer_bits_change_no_formula():
    stored = from_config(LLAMA | dict(quantization_config=dict(quant_method="fp8", weight_block_size=[128, 128])))
    plain = from_config(LLAMA | dict(quantization_config=None))
    assert (stored.stored, plain.stored) == ("fp8", "")
    assert stored.step(B=2, T=7) == plain.step(B=2, T=7)


def test_another_way_to_store_weights_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"quant_method = 'gptq'.* known are \"fp8\", \"mxfp4\""):
        from_config(LLAMA | dict(quantization_config=dict(quant_method="gptq", bits=4)))


def test_blocks_that_run_twice_are_refused_by_name():
    assert from_config(LLAMA | dict(gradient_checkpointing=False)).parameters == from_config(LLAMA).parameters
    with pytest.raises(ConfigError, match="gradient_checkpointing = True"):
        from_config(LLAMA | dict(gradient_checkpointing=True))
