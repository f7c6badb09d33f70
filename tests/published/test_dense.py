"""Hold dense decoders on paper to the library: parameters, forward and backward pass, to the last one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from flopbook.published import from_config, named, names
from flopbook.published.config import ConfigError
from flopbook.published.in_library.witness import witness
from flopbook.published.on_paper.dense import READERS
from tests.support.published import assert_agrees, assert_no_effect, defaults, on_paper

SMALL = dict(
    hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=40, vocab_size=53, pad_token_id=0
)
SHARED = SMALL | dict(num_key_value_heads=2)
OF_GPT2 = dict(n_embd=32, n_layer=1, n_head=4, vocab_size=53, n_positions=31)
SMALL_ONES = dict.fromkeys(READERS, SHARED) | dict(gpt2=OF_GPT2, gpt_neox=SMALL)
FLAGS = {
    "cohere": ("attention_bias", "use_qk_norm"),
    "cohere2": ("attention_bias",),
    "gemma": ("attention_bias",),
    "gemma2": ("attention_bias",),
    "gemma3_text": ("attention_bias", "use_bidirectional_attention"),
    "gpt_neox": ("attention_bias", "use_parallel_residual"),
    "granite": ("attention_bias", "mlp_bias"),
    "llama": ("attention_bias", "mlp_bias"),
    "olmo": ("attention_bias",),
    "olmo2": ("attention_bias",),
    "olmo3": ("attention_bias",),
    "phi": ("qk_layernorm",),
    "qwen2": ("use_sliding_window",),
    "qwen3": ("attention_bias", "use_sliding_window"),
    "smollm3": ("attention_bias", "mlp_bias", "use_sliding_window"),
    "starcoder2": ("use_bias",),
}  # fmt: skip
BY_LAYER = ("cohere2", "gemma2", "gemma3_text", "olmo3", "qwen2", "qwen3", "smollm3")
WITH_WINDOWS = (*BY_LAYER, "ministral3", "mistral", "phi3", "starcoder2")
OWN_HEAD_WIDTH = set(READERS) - {"gpt2", "gpt_neox", "phi"}


@pytest.mark.parametrize("model_type", READERS)
def test_the_librarys_defaults_are_read_to_the_last_key(model_type):
    config = defaults(model_type, **SMALL_ONES[model_type])
    assert_agrees(config, B=2, T=7)
    assert_no_effect(config, B=2, T=7)


@pytest.mark.parametrize("model_type", READERS)
def test_keys_that_are_left_out_have_the_librarys_defaults(model_type):
    layers = "n_layer" if model_type == "gpt2" else "num_hidden_layers"
    assert from_config(dict(model_type=model_type)).sizes["L"] == AutoConfig.for_model(model_type).num_hidden_layers
    assert_agrees({"model_type": model_type, layers: 1}, B=1, T=3)


@st.composite
def configs(draw, model_type):
    heads, keys = draw(st.sampled_from([(6, 1), (6, 2), (6, 3), (6, 6), (1, 1)]))
    layers, width = draw(st.integers(1, 4)), 8 * draw(st.integers(1, 2))
    tied = dict(model_type=model_type, vocab_size=draw(st.integers(2, 90)), tie_word_embeddings=draw(st.booleans()))
    if model_type == "gpt2":
        return tied | dict(
            n_layer=layers, n_head=heads, n_embd=heads * width, n_positions=draw(st.integers(11, 40)),
            n_inner=draw(st.none() | st.integers(1, 50)),
        )  # fmt: skip
    config = tied | dict(
        num_hidden_layers=layers, num_attention_heads=heads, hidden_size=heads * width, pad_token_id=0,
        intermediate_size=draw(st.integers(1, 50)),
    )  # fmt: skip
    config |= {flag: draw(st.booleans()) for flag in FLAGS.get(model_type, ())}
    if model_type != "gpt_neox":
        config["num_key_value_heads"] = keys
    if model_type in OWN_HEAD_WIDTH and draw(st.booleans()):
        config["head_dim"] = 2 * draw(st.integers(1, 9))
    if model_type in WITH_WINDOWS:
        config["sliding_window"] = draw(st.integers(1, 9))
    if model_type in BY_LAYER and config.get("use_sliding_window", True) and draw(st.booleans()):
        kinds = st.sampled_from(["full_attention", "sliding_attention"])
        config["layer_types"] = draw(st.lists(kinds, min_size=layers, max_size=layers))
    if model_type in ("qwen2", "qwen3"):
        config["max_window_layers"] = draw(st.integers(0, layers))
    if model_type == "smollm3":
        config["no_rope_layer_interval"] = draw(st.integers(1, 3))
    if model_type in ("cohere2", "gemma3_text"):
        config["sliding_window_pattern"] = draw(st.integers(1, 3))
    return config


@settings(max_examples=4, deadline=None)
@given(st.sampled_from(sorted(READERS)).flatmap(configs), st.integers(1, 3), st.integers(1, 11))
def test_any_sizes_and_switches_agree(config, B, T):
    assert_agrees(config, B=B, T=T)


def pairs_of_the_librarys_masks(config, T):
    """Count the pairs that the masks leave one head of one sequence in all layers, as the library makes them."""
    met = []

    def count(module, args, kwargs):
        mask = next(each for each in (*args, kwargs.get("attention_mask")) if each is not None and each.ndim == 4)
        met.append(int((mask[0, 0] == 0).sum()))

    made = AutoConfig.for_model(**config, attn_implementation="eager")
    model = AutoModelForCausalLM.from_config(made)
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in ("attention", "attn", "self_attn"):
            module.register_forward_pre_hook(count, with_kwargs=True)
    model(input_ids=torch.zeros(1, T, dtype=torch.long))
    return sum(met)


def assert_needed_is_what_masks_leave(config, T):
    network = from_config(config)
    heads = network.sizes["H"] * network.sizes["E"]
    left_out = network.sizes["L"] * T * T - pairs_of_the_librarys_masks(config, T)
    assert network.step(B=2, T=T) - network.step(B=2, T=T, needed=True) == 2 * 12 * heads * left_out


@settings(max_examples=4, deadline=None)
@given(st.sampled_from(sorted(READERS)).flatmap(configs), st.integers(1, 11))
def test_needed_is_what_the_librarys_masks_leave(config, T):
    assert_needed_is_what_masks_leave(config, T)


@pytest.mark.parametrize("model_type", READERS)
def test_all_switches_on_and_windows_in_some_of_seven_layers_agree(model_type):
    config = SMALL_ONES[model_type] | dict(model_type=model_type) | dict.fromkeys(FLAGS.get(model_type, ()), True)
    config |= {"n_layer" if model_type == "gpt2" else "num_hidden_layers": 7}
    if model_type in WITH_WINDOWS:
        config |= dict(sliding_window=4, max_window_layers=4) if "qwen" in model_type else dict(sliding_window=4)
    assert_agrees(config, B=1, T=6)
    assert_needed_is_what_masks_leave(config, T=6)


def test_a_wrong_size_is_noticed():
    config = defaults("llama", **SHARED)
    assert on_paper(config | dict(intermediate_size=41), B=2, T=7) != witness(config, B=2, T=7)


def test_layers_with_a_window_keep_only_its_width():
    network = from_config(defaults("gemma3_text", **SHARED | dict(num_hidden_layers=13, sliding_window=5)))
    numbers = 2 * network.sizes["G"] * network.sizes["E"]  # a key and a value for each head
    kept = [network.at(network.cache, T=tokens) for tokens in (3, 5, 40)]
    assert kept == [numbers * (11 * min(tokens, 5) + 2 * tokens) for tokens in (3, 5, 40)]


#: What the makers' models hold.
PARAMETERS = {
    "Gemma 2 27B": 27_227_128_320, "Gemma 3 1B": 999_885_952, "GPT-2": 124_439_808, "GPT-2 XL": 1_557_611_200,
    "Llama 2 7B": 6_738_415_616, "Llama 3 8B": 8_030_261_248, "Llama 3.1 405B": 405_853_388_800,
    "Mistral 7B v0.1": 7_241_732_096, "OLMo 2 7B": 7_298_617_344, "Phi-2": 2_779_683_840, "Phi-4": 14_659_507_200,
    "Qwen2.5 7B": 7_615_616_512, "Qwen3 8B": 8_190_735_360, "SmolLM2 135M": 134_515_008,
}  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_named_models_hold_as_many_parameters_as_published(name):
    assert name in names()
    assert named(name).network.parameters == named(name).network.active == PARAMETERS[name]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (dict(model_type="gpt2", n_embd=30, n_head=4), "4 heads are 30 wide"),
        (dict(model_type="gpt2", add_cross_attention=True), "add_cross_attention = True"),
        (dict(model_type="llama", pretraining_tp=2), "pretraining_tp = 2"),
        (dict(model_type="llama", hidden_act="xielu"), "hidden_act = 'xielu'"),
        (dict(model_type="llama", num_attention_heads=6, num_key_value_heads=4), "num_key_value_heads = 4"),
        (dict(model_type="llama", is_causal=False), "'is_causal'"),
        (dict(model_type="llama", num_attention_heads=3, head_dim=8), "3 heads are 4096 wide"),
        (dict(model_type="gemma2", num_attention_heads=7, num_key_value_heads=7), "7 heads are 2304 wide"),
        (dict(model_type="gemma3_text", num_attention_heads=7, num_key_value_heads=7), "7 heads are 2304 wide"),
        (dict(model_type="llama", hidden_act=["silu"]), r"hidden_act = \['silu'\]: name a function"),
        (dict(model_type="cohere2", use_parallel_block=False), "use_parallel_block = False"),
        (dict(model_type="gemma", use_bidirectional_attention=True), "use_bidirectional_attention = True"),
        (dict(model_type="gemma2", sliding_window=None), "no sliding_window"),
        (dict(model_type="gemma2", num_hidden_layers=2, layer_types=["full_attention"]), "each of the 2 layers"),
        (dict(model_type="smollm3", num_hidden_layers=3, no_rope_layers=[1]), r"no_rope_layers = \[1\]"),
        (dict(model_type="phi3", attention_bias=True), "attention_bias = True"),
        (dict(model_type="gemma3", text_config=dict(model_type="gemma3_text")), "give its text_config alone"),
        (dict(model_type="gemma3", text_config={}), "model_type 'gemma3_text'"),
    ],
)
def test_what_is_not_derived_is_refused_by_name(config, said):
    with pytest.raises(ConfigError, match=said):
        from_config(config)


@pytest.mark.parametrize(
    ("model_type", "besides"),
    [
        ("gpt2", dict(_num_labels=1, n_ctx=1024, summary_type="cls_index")),
        ("starcoder2", dict(layer_norm_epsilon=1e-5, mlp_type="default", norm_type="layer_norm")),
        (
            "cohere2",
            dict(
                layer_switch=4, order_of_interleaved_layers="local_attn_first", position_embedding_type="rope_gptj",
                rotary_pct=1.0, use_embedding_sharing=True, use_gated_activation=True, use_parallel_block=True,
                use_parallel_embedding=False,
            ),
        ),
    ],
)  # fmt: skip
def test_keys_of_published_files_are_understood(model_type, besides):
    plain, published = from_config(dict(model_type=model_type)), from_config(dict(model_type=model_type, **besides))
    assert (published.sizes, published.parts) == (plain.sizes, plain.parts)


def test_what_is_kept_for_later_tokens_changes_no_product():
    config = SMALL | dict(model_type="olmo2", use_cache=False)
    assert_agrees(config, B=2, T=5)


def test_null_heads_of_keys_are_as_many_as_of_queries():
    config = SMALL | dict(model_type="qwen2", num_key_value_heads=None)
    assert from_config(config).sizes["G"] == 4
    assert_agrees(config, B=1, T=2)
