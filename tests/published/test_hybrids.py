"""Hold state spaces and hybrids on paper to the library: parameters, forward and backward pass, to the last one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig

from flopbook.measure import FlopCount
from flopbook.predict import axis, evaluate
from flopbook.published import from_config, named
from flopbook.published import names as published_names
from flopbook.published.config import ConfigError
from flopbook.published.in_library import BUILT
from flopbook.published.in_library.witness import witness
from tests.support.published import assert_agrees, assert_no_effect, defaults, on_paper

SMALL = dict(hidden_size=24, num_hidden_layers=3, vocab_size=53)
SCAN = SMALL | dict(state_size=5)
ATTENTION = SMALL | dict(num_attention_heads=4, num_key_value_heads=2, intermediate_size=40)
FEW_EXPERTS = dict(num_experts=4, num_experts_per_tok=2)
MODELS = {
    "bamba": ATTENTION
    | dict(mamba_n_heads=8, mamba_n_groups=2, mamba_d_state=5, mamba_chunk_size=4, attn_layer_indices=[1]),
    "falcon_h1": ATTENTION
    | dict(mamba_n_heads=8, mamba_n_groups=2, mamba_d_state=5, mamba_chunk_size=4, mamba_d_ssm=32),
    "falcon_mamba": SCAN,
    "jamba": ATTENTION | FEW_EXPERTS | dict(mamba_d_state=5, attn_layer_period=3, attn_layer_offset=1),
    "mamba": SCAN,
    "mamba2": SCAN | dict(num_heads=8, head_dim=6, n_groups=2, chunk_size=4),
    "nemotron_h": dict(
        hidden_size=24,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=40,
        vocab_size=53,
        mamba_num_heads=8,
        mamba_head_dim=6,
        n_groups=2,
        ssm_state_size=5,
        chunk_size=4,
        n_routed_experts=4,
        moe_intermediate_size=9,
        moe_shared_expert_intermediate_size=11,
    ),
    "qwen3_next": ATTENTION
    | FEW_EXPERTS
    | dict(
        head_dim=8,
        linear_key_head_dim=5,
        linear_value_head_dim=7,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        moe_intermediate_size=9,
        shared_expert_intermediate_size=11,
        full_attention_interval=3,
    ),
    "rwkv": SMALL,
}


@pytest.mark.parametrize("model_type", MODELS)
def test_the_librarys_defaults_are_read_to_the_last_key(model_type):
    assert_agrees(defaults(model_type, **MODELS[model_type]), B=2, T=7)
    assert_no_effect(defaults(model_type, **MODELS[model_type] | dict(num_hidden_layers=2)), B=1, T=2)


@pytest.mark.parametrize("model_type", MODELS)
def test_keys_that_are_left_out_have_the_librarys_defaults(model_type):
    known = AutoConfig.for_model(model_type)
    assert from_config(dict(model_type=model_type)).sizes["L"] == known.num_hidden_layers
    assert_agrees(dict(model_type=model_type, num_hidden_layers=5), B=1, T=3)


sizes, few, switch = st.integers(1, 9), st.integers(1, 3), st.booleans()
of_all = dict(num_hidden_layers=few, vocab_size=sizes, tie_word_embeddings=switch)
shared_heads = st.sampled_from([(6, 1), (6, 2), (6, 6), (1, 1)])
shared_heads_or_null = st.one_of(shared_heads, st.just((4, None)))
groups = st.sampled_from([(1, 1), (4, 1), (4, 2), (4, 4)])


@st.composite
def mambas(draw):
    config = draw(st.fixed_dictionaries(
        of_all | dict(hidden_size=sizes, state_size=sizes, conv_kernel=few, expand=few, use_bias=switch,
                      use_conv_bias=switch, time_step_rank=st.one_of(st.just("auto"), few)),
        optional=dict(intermediate_size=sizes),
    ))  # fmt: skip
    return config | dict(model_type=draw(st.sampled_from(["mamba", "falcon_mamba"])))


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
    (heads, of_keys), (scan_heads, of_groups) = draw(shared_heads_or_null), draw(groups)
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
def falcons(draw):
    (heads, of_keys), (scan_heads, of_groups) = draw(shared_heads_or_null), draw(groups)
    keys = ("mamba_conv_bias", "mamba_proj_bias", "projectors_bias", "attention_bias", "mlp_bias", "mamba_rms_norm")
    config = draw(st.fixed_dictionaries(
        of_all | dict.fromkeys(keys, switch) | dict(
            intermediate_size=sizes, mamba_d_state=few, mamba_d_conv=few, mamba_chunk_size=few, mamba_expand=few,
            mamba_d_ssm=st.one_of(st.none(), few.map(lambda size: scan_heads * size)),
        ),
        optional=dict(head_dim=sizes.map(lambda size: 4 * size), mamba_d_head=st.just("auto")),
    ))  # fmt: skip
    return config | dict(
        model_type="falcon_h1", hidden_size=48, num_attention_heads=heads, num_key_value_heads=of_keys,
        mamba_n_heads=scan_heads, mamba_n_groups=of_groups,
    )  # fmt: skip


@st.composite
def nemotrons(draw):
    (heads, of_keys), (scan_heads, of_groups) = draw(shared_heads), draw(groups)
    experts = draw(st.integers(2, 4))
    config = draw(st.fixed_dictionaries(
        dict(
            vocab_size=sizes, intermediate_size=sizes, moe_intermediate_size=sizes, head_dim=sizes,
            moe_shared_expert_intermediate_size=sizes, mamba_head_dim=sizes, ssm_state_size=few, conv_kernel=few,
            chunk_size=few, use_bias=switch, mlp_bias=switch, use_conv_bias=switch, tie_word_embeddings=switch,
            num_experts_per_tok=st.integers(1, experts), moe_latent_size=st.one_of(st.none(), sizes),
        ),
        optional=dict(
            hybrid_override_pattern=st.text("M*E-", min_size=1, max_size=4),
            layers_block_type=st.lists(
                st.sampled_from(["mamba", "full_attention", "moe", "mlp"]), min_size=1, max_size=3
            ),
            mamba_chunk_size=few, mamba_d_conv=few,
        ),
    ))  # fmt: skip
    return config | dict(
        model_type="nemotron_h", hidden_size=12, num_attention_heads=heads, num_key_value_heads=of_keys,
        mamba_num_heads=scan_heads, n_groups=of_groups, n_routed_experts=experts,
    )  # fmt: skip


@st.composite
def jambas(draw):
    (heads, of_keys), experts = draw(shared_heads), draw(st.integers(1, 4))
    periods = {name: draw(st.integers(1, 3)) for name in ("attn_layer", "expert_layer")}
    config = draw(st.fixed_dictionaries(
        of_all | dict(
            intermediate_size=sizes, mamba_d_state=sizes, mamba_d_conv=few, mamba_expand=few, mamba_conv_bias=switch,
            mamba_proj_bias=switch, num_experts_per_tok=st.integers(1, experts),
        ),
        optional=dict(head_dim=sizes, mamba_dt_rank=st.one_of(st.just("auto"), few)),
    ))  # fmt: skip
    return config | dict(
        model_type="jamba", hidden_size=12, num_attention_heads=heads, num_key_value_heads=of_keys,
        num_experts=experts,
        **{f"{name}_period": period for name, period in periods.items()},
        **{f"{name}_offset": draw(st.integers(0, period - 1)) for name, period in periods.items()},
    )  # fmt: skip


@st.composite
def qwens(draw):
    (heads, of_keys), (of_values, of_groups) = draw(shared_heads), draw(groups)
    layers, experts = draw(st.integers(1, 4)), draw(st.integers(0, 4))
    config = draw(st.fixed_dictionaries(
        dict(
            vocab_size=sizes, tie_word_embeddings=switch, intermediate_size=sizes, moe_intermediate_size=sizes,
            shared_expert_intermediate_size=sizes, linear_key_head_dim=sizes, linear_value_head_dim=sizes,
            linear_conv_kernel_dim=few, head_dim=sizes.map(lambda size: 8 * size), attention_bias=switch,
            num_experts_per_tok=st.integers(1, max(1, experts)),
        ),
        optional=dict(
            decoder_sparse_step=few, mlp_only_layers=st.lists(st.integers(0, 4)), full_attention_interval=few,
            layer_types=st.lists(
                st.sampled_from(["linear_attention", "full_attention"]), min_size=layers, max_size=layers
            ),
        ),
    ))  # fmt: skip
    return config | dict(
        model_type="qwen3_next", hidden_size=12, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=of_keys, linear_num_value_heads=of_values, linear_num_key_heads=of_groups,
        num_experts=experts,
    )  # fmt: skip


@st.composite
def rwkvs(draw):
    config = draw(st.fixed_dictionaries(
        of_all | dict(hidden_size=sizes),
        optional=dict(attention_hidden_size=sizes, intermediate_size=sizes),
    ))  # fmt: skip
    return config | dict(model_type="rwkv")


@settings(max_examples=4, deadline=None)
@given(st.one_of(mambas(), mamba2s(), bambas(), falcons(), jambas(), nemotrons(), rwkvs()), few, st.integers(1, 9))
def test_any_sizes_agree(config, B, T):
    assert_agrees(config, B=B, T=T)


@settings(max_examples=4, deadline=None)
@given(qwens(), few, st.sampled_from([1, 5, 64, 65, 130]))
def test_any_sizes_of_a_delta_rule_agree(config, B, T):
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
        pointwise = read_twice(network) if model_type == "qwen3_next" else 0
        # The library convolves once too often, and its delta rule reads a state without a product.
        assert network.at(network.token, T=7) == counted - 2 * spare + pointwise


def read_twice(network):
    scans = [part for part in network.parts if {"Ns", "Ps"} <= names(part) and "Ks" not in names(part)]
    return sum(evaluate(4 * part.times * part.state, network.sizes) for part in scans)


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


def chunks_of(tokens, size):
    return [min(size, tokens - first) for first in range(0, tokens, size)]


def test_attention_needs_what_is_before_a_token():
    network = from_config(MODELS["bamba"] | dict(model_type="bamba"))
    (attention,) = (
        part for part in network.parts if "S" in {letter.name for letter in part.model.forward.free_symbols}
    )
    left_out = attention.model.at(S=7).forward - attention.model.at(S=4).forward  # 4: the mean of 1, ..., 7
    assert evaluate(left_out, network.sizes | dict(B=2, T=7)) == 2 * 2 * (7 * 7 - 28) * 2 * 24


def test_a_scan_needs_no_padding_and_no_later_token():
    (heads, rows, columns, tokens), batch = (8, 5, 6, 10), 2
    network = from_config(MODELS["mamba2"] | dict(model_type="mamba2"))
    scan = next(part for part in network.parts if part.needed and part.state == scan_state())
    pairs = sum(size * (size + 1) // 2 for size in chunks_of(tokens, 4))
    by_hand = 2 * batch * heads * (pairs * (rows + columns) + 2 * tokens * rows * columns)
    assert evaluate(scan.needed.forward, network.sizes | dict(B=batch, T=tokens)) == by_hand


@pytest.mark.parametrize("tokens", [1, 64, 100])
def test_a_delta_rule_needs_no_padding_and_no_later_token(tokens):
    heads, rows, columns = 4, 5, 7
    network = from_config(MODELS["qwen3_next"] | dict(model_type="qwen3_next"))
    scan = next(part for part in network.parts if part.needed and part.state == scan_state())
    pairs = sum(size * (size + 1) // 2 for size in chunks_of(tokens, 64))
    solved = sum(size**2 for size in chunks_of(tokens, 64)) * (rows + columns)
    by_hand = heads * (2 * pairs * (2 * rows + columns) + solved + 3 * 2 * tokens * rows * columns)
    assert evaluate(scan.needed.forward, network.sizes | dict(B=1, T=tokens)) == by_hand


def scan_state():
    return axis("Hs") * axis("Ps") * axis("Ns")


def test_a_convolution_needs_a_result_for_each_token():
    network = from_config(MODELS["mamba"] | dict(model_type="mamba", conv_kernel=4))
    convolution = next(part for part in network.parts if "Ks" in names(part))
    assert evaluate(convolution.needed.forward, network.sizes | dict(B=2, T=7)) == 2 * 2 * 48 * 7 * 4


@pytest.mark.parametrize("name", [name for name in published_names() if named(name).config.get("model_type") in MODELS])
def test_a_named_model_has_the_parameters_of_the_librarys(name):
    config = named(name).config
    with torch.device("meta"):
        model = BUILT[config["model_type"]].build(config)
    assert named(name).network.parameters == sum(each.numel() for each in model.parameters())


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (dict(model_type="mamba2", num_heads=5), "5 heads of a scan that are 64 wide"),
        (dict(model_type="mamba2", n_groups=3), "3 groups"),
        (dict(model_type="bamba", attn_layer_indices=9), "attn_layer_indices = 9"),
        (dict(model_type="bamba", mamba_n_heads=7), "7 heads of a scan"),
        (dict(model_type="bamba", hidden_act="prelu"), "hidden_act = 'prelu'"),
        (dict(model_type="bamba", layer_types=["attention"]), "'layer_types', which is not understood"),
        (dict(model_type="falcon_h1", mamba_d_ssm=1000), "128 heads of a scan that are 7 wide"),
        (dict(model_type="nemotron_h", hybrid_override_pattern="M*X"), "hybrid_override_pattern = 'M\\*X'"),
        (dict(model_type="nemotron_h", layers_block_type=["cnn"]), "layers_block_type\\[0\\] = 'cnn'"),
        (dict(model_type="nemotron_h", layers_block_type=[]), "layers_block_type = \\[\\]"),
        (dict(model_type="mamba", time_step_rank="many"), "time_step_rank = 'many'"),
        (dict(model_type="jamba", attn_layer_offset=8), "attn_layer_offset = 8 and attn_layer_period = 8"),
        (dict(model_type="jamba", num_experts=2, num_experts_per_tok=3), "num_experts_per_tok = 3"),
        (dict(model_type="qwen3_next", layer_types=["full_attention"]), "a kind for each of the 48 layers"),
        (dict(model_type="qwen3_next", linear_num_key_heads=5), "5 groups"),
        (dict(model_type="rwkv", attention_hidden_size=0), "attention_hidden_size = 0"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(config, told):
    with pytest.raises(ConfigError, match=told):
        from_config(config)
