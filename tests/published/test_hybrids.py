"""Hold state spaces and hybrids on paper to the library: parameters, forward and backward pass, to the last one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig

from flopbook.measure import FlopCount
from flopbook.predict import evaluate
from flopbook.published import from_config
from flopbook.published.config import ConfigError
from flopbook.published.in_library import BUILT
from flopbook.published.in_library.witness import witness
from tests.support.published import assert_agrees, assert_no_effect, defaults, on_paper

SMALL = dict(hidden_size=24, num_hidden_layers=3, vocab_size=53)
SCAN = SMALL | dict(state_size=5)
ATTENTION = SMALL | dict(num_attention_heads=4, num_key_value_heads=2, intermediate_size=40)
MODELS = {
    "bamba": ATTENTION
    | dict(mamba_n_heads=8, mamba_n_groups=2, mamba_d_state=5, mamba_chunk_size=4, attn_layer_indices=[1]),
    "mamba": SCAN,
    "mamba2": SCAN | dict(num_heads=8, head_dim=6, n_groups=2, chunk_size=4),
    "rwkv": SMALL,
}


@pytest.mark.parametrize("model_type", MODELS)
def test_the_librarys_defaults_are_read_to_the_last_key(model_type):
    config = defaults(model_type, **MODELS[model_type])
    assert_agrees(config, B=2, T=7)
    assert_no_effect(config, B=1, T=2)


@pytest.mark.parametrize("model_type", MODELS)
def test_keys_that_are_left_out_have_the_librarys_defaults(model_type):
    assert from_config(dict(model_type=model_type)).sizes["L"] == AutoConfig.for_model(model_type).num_hidden_layers
    assert_agrees(dict(model_type=model_type, num_hidden_layers=2), B=1, T=3)


sizes, few, switch = st.integers(1, 9), st.integers(1, 3), st.booleans()
of_all = dict(num_hidden_layers=few, vocab_size=sizes, tie_word_embeddings=switch)
shared_heads = st.sampled_from([(6, 1), (6, 2), (6, 6), (1, 1), (4, None)])
groups = st.sampled_from([(1, 1), (4, 1), (4, 2), (4, 4)])


@st.composite
def mambas(draw):
    config = draw(st.fixed_dictionaries(
        of_all | dict(hidden_size=sizes, state_size=sizes, conv_kernel=few, expand=few, use_bias=switch,
                      use_conv_bias=switch, time_step_rank=st.one_of(st.just("auto"), few)),
        optional=dict(intermediate_size=sizes),
    ))  # fmt: skip
    return config | dict(model_type="mamba")


@st.composite
def mamba2s(draw):
    (heads, of_keys), each, expand = draw(groups), draw(few), draw(st.sampled_from([1, 2]))
    config = draw(st.fixed_dictionaries(
        of_all | dict(state_size=few, conv_kernel=few, use_bias=switch, use_conv_bias=switch, chunk_size=few)
    ))  # fmt: skip
    return config | dict(
        model_type="mamba2", hidden_size=2 * heads * each, expand=expand, num_heads=heads, n_groups=of_keys,
        head_dim=2 * expand * each,
    )  # fmt: skip


@st.composite
def bambas(draw):
    (heads, of_keys), (scan_heads, of_groups) = draw(shared_heads), draw(groups)
    config = draw(st.fixed_dictionaries(
        of_all | dict(
            intermediate_size=sizes, mamba_d_state=few, mamba_d_conv=few, mamba_chunk_size=few, mamba_expand=few,
            mamba_conv_bias=switch, mamba_proj_bias=switch, attention_bias=switch, mlp_bias=switch,
            attn_layer_indices=st.one_of(st.none(), st.lists(st.integers(0, 4))),
        ),
        optional=dict(head_dim=sizes.map(lambda size: 4 * size), mamba_d_head=st.just("auto")),
    ))  # fmt: skip
    return config | dict(
        model_type="bamba", hidden_size=48, num_attention_heads=heads, num_key_value_heads=of_keys,
        mamba_n_heads=scan_heads, mamba_n_groups=of_groups,
    )  # fmt: skip


@st.composite
def rwkvs(draw):
    config = draw(st.fixed_dictionaries(
        of_all | dict(hidden_size=sizes),
        optional=dict(attention_hidden_size=sizes, intermediate_size=sizes),
    ))  # fmt: skip
    return config | dict(model_type="rwkv")


@settings(max_examples=20, deadline=None)
@given(st.one_of(mambas(), mamba2s(), bambas(), rwkvs()), few, st.integers(1, 9))
def test_any_sizes_agree(config, B, T):
    assert_agrees(config, B=B, T=T)


def test_a_wrong_size_is_noticed():
    config = defaults("mamba2", **MODELS["mamba2"])
    assert on_paper(config | dict(chunk_size=5), B=2, T=7) != witness(config, B=2, T=7)


@pytest.mark.parametrize("model_type", MODELS)
class TestReadingOn:
    """Read 6 tokens, then one more."""

    def test_it_keeps_what_the_library_keeps(self, model_type):
        config = MODELS[model_type] | dict(model_type=model_type)
        _, kept = read(config, 6)
        network = from_config(config)
        assert network.at(network.cache, T=6) == numbers(kept)

    def test_one_more_token_takes_what_the_library_runs(self, model_type):
        config = MODELS[model_type] | dict(model_type=model_type)
        counted, _ = read(config, 6)
        network = from_config(config)
        spare = sum(evaluate(part.times * part.state, network.sizes) for part in network.parts if "Ks" in names(part))
        assert network.at(network.token, T=7) == counted - 2 * spare  # the library convolves once too often


def names(part):
    return {letter.name for letter in part.state.free_symbols}


def read(config, tokens):
    """Return the FLOPs of one more token, and what is kept before it."""
    model = BUILT[config["model_type"]].build(config).eval()
    state = {"rwkv": "state"}.get(config["model_type"], "cache")
    with torch.no_grad():
        kept = getattr(model(input_ids=torch.zeros(1, tokens, dtype=torch.long), use_cache=True), state)
        before = [each.clone() for each in tensors(kept)]
        with FlopCount() as counted:
            model(input_ids=torch.zeros(1, 1, dtype=torch.long), use_cache=True, **{state: kept})
    return counted.forward, before


def tensors(kept):
    """List what a cache holds for each layer, or a list of states."""
    if isinstance(kept, list):
        return kept
    layers = [vars(layer) for layer in kept.layers]
    held = [layer.get(key) for layer in layers for key in ("keys", "values", "conv_states", "recurrent_states")]
    return [
        each for group in held for each in (group.values() if isinstance(group, dict) else [group]) if each is not None
    ]


def numbers(kept):
    return sum(each.numel() for each in kept)


def test_a_layer_with_attention_needs_what_is_before_a_token():
    network = from_config(MODELS["bamba"] | dict(model_type="bamba"))
    after = 2 * (7 * 7 - 7 * 8 // 2)  # B times the pairs whose key is after its query
    assert network.step(B=2, T=7) - network.step(B=2, T=7, needed=True) == 3 * 4 * 4 * 6 * after


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (dict(model_type="mamba2", num_heads=5), "5 heads of a scan that are 64 wide"),
        (dict(model_type="mamba2", n_groups=3), "3 groups"),
        (dict(model_type="bamba", attn_layer_indices=9), "attn_layer_indices = 9"),
        (dict(model_type="bamba", mamba_n_heads=7), "7 heads of a scan"),
        (dict(model_type="bamba", hidden_act="prelu"), "hidden_act = 'prelu'"),
        (dict(model_type="bamba", layer_types=["attention"]), "'layer_types', which is not understood"),
        (dict(model_type="mamba", time_step_rank="many"), "time_step_rank = 'many'"),
        (dict(model_type="rwkv", attention_hidden_size=0), "attention_hidden_size = 0"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(config, told):
    with pytest.raises(ConfigError, match=told):
        from_config(config)
