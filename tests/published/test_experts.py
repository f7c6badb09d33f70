"""Hold decoders with experts on paper to the library: parameters, forward and backward pass, to the last one."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.modeling_layers import MtpModel

from flopbook.measure import FlopCount
from flopbook.published import from_config, named
from flopbook.published.config import ConfigError
from flopbook.published.in_library.dense import DECODER
from flopbook.published.in_library.experts import EXPERTS
from flopbook.published.in_library.witness import witness
from tests.support.published import WITHOUT_DEFAULT, assert_agrees, assert_no_effect, defaults, on_paper

SIZES = dict(
    hidden_size=24, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, intermediate_size=40,
    vocab_size=53,
)  # fmt: skip
LATENTS = dict(
    num_key_value_heads=4, qk_nope_head_dim=10, qk_rope_head_dim=4, v_head_dim=7, kv_lora_rank=6, q_lora_rank=11,
    num_experts_per_tok=3, moe_intermediate_size=5, n_routed_experts=16, first_k_dense_replace=1,
)  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "mixtral": SIZES,
    "qwen3_moe": SIZES | dict(moe_intermediate_size=9, num_experts=16, decoder_sparse_step=2, mlp_only_layers=[3]),
    "olmoe": SIZES,
    "gpt_oss": SIZES | dict(head_dim=8, num_local_experts=16, sliding_window=5),
    "deepseek_v2": SIZES | LATENTS,
    "deepseek_v3": SIZES | LATENTS,
    "llama4_text": SIZES
    | dict(head_dim=8, num_local_experts=6, attention_chunk_size=3, interleave_moe_layer_step=2, num_experts_per_tok=2),
}


@pytest.mark.parametrize("model_type", MODELS)
def test_the_librarys_defaults_are_read_to_the_last_key(model_type):
    config = defaults(model_type, **MODELS[model_type] | dict(num_hidden_layers=2))
    assert_agrees(config, B=2, T=7)
    assert_no_effect(config, B=2, T=7)


@pytest.mark.parametrize("model_type", MODELS)
def test_keys_that_are_left_out_have_the_librarys_defaults(model_type):
    few = {"num_hidden_layers": 5} | WITHOUT_DEFAULT.get(model_type, {})
    assert_agrees(dict(model_type=model_type, **few), B=1, T=3)


def test_a_deepseek_v2_says_how_many_experts_a_token_meets():
    with pytest.raises(ConfigError, match="config has no 'num_experts_per_tok': give it a whole number"):
        from_config(dict(model_type="deepseek_v2"))


@pytest.mark.parametrize(
    "model_type, besides",
    {
        "mixtral": dict(num_experts=8, architectures=["MixtralForCausalLM"], torch_dtype="bfloat16"),
        "qwen3_moe": dict(
            max_window_layers=48, rope_scaling=None, qkv_bias=False, use_qk_norm=True, shared_expert_intermediate_size=0
        ),
        "olmoe": dict(num_local_experts=64, clip_qkv=8),
        "gpt_oss": dict(
            experts_per_token=4, initial_context_length=4096, quantization_config={"quant_method": "mxfp4"}
        ),
        "deepseek_v2": dict(aux_loss_alpha=0.001, ep_size=1, moe_layer_freq=1, seq_aux=True, scoring_func="softmax"),
        "deepseek_v3": dict(topk_method="noaux_tc", num_local_experts=16, auto_map={"AutoModel": "modeling"}),
        "llama4_text": dict(for_llm_compressor=False, no_rope_layers=[], cache_implementation="hybrid"),
    }.items(),
)
def test_keys_of_published_files_are_understood(model_type, besides):
    config = dict(model_type=model_type, **MODELS[model_type])
    plain, published = from_config(config), from_config(config | besides)
    assert (published.sizes, published.parts) == (plain.sizes, plain.parts)


@st.composite
def configs(draw):
    """Draw sizes and switches of any of the architectures."""
    model_type = draw(st.sampled_from(sorted(MODELS)))
    heads = draw(st.sampled_from([1, 2, 4, 6]))
    keys = draw(st.sampled_from([keys for keys in (1, 2, 3, 6) if heads % keys == 0]))
    layers, experts, width = draw(st.integers(1, 5)), draw(st.integers(1, 9)), draw(st.integers(1, 20))
    met = draw(st.integers(1, experts))
    some_layers = st.lists(st.integers(0, layers), max_size=3)
    config = dict(
        model_type=model_type, num_hidden_layers=layers, hidden_size=24, num_attention_heads=heads,
        num_key_value_heads=keys, vocab_size=draw(st.integers(2, 50)), intermediate_size=draw(st.integers(1, 30)),
        num_experts_per_tok=met, tie_word_embeddings=draw(st.booleans()),
    )  # fmt: skip
    if model_type != "mixtral":
        config["attention_bias"] = draw(st.booleans())
    if model_type.startswith("deepseek"):
        if model_type == "deepseek_v2":
            config["mlp_bias"] = draw(st.booleans())
        return config | dict(
            num_key_value_heads=heads, n_routed_experts=2 * experts, n_group=1, topk_group=1,
            moe_intermediate_size=width, n_shared_experts=draw(st.integers(1, 3)),
            first_k_dense_replace=draw(st.integers(0, layers + 1)), qk_nope_head_dim=2 * draw(st.integers(1, 5)),
            qk_rope_head_dim=2 * draw(st.integers(1, 4)), v_head_dim=draw(st.integers(1, 9)),
            kv_lora_rank=2 * draw(st.integers(1, 9)), q_lora_rank=draw(st.none() | st.integers(1, 9)),
        )  # fmt: skip
    if model_type in ("olmoe", "qwen3_moe"):
        config["num_experts"] = experts
    else:
        config["num_local_experts"] = experts
    if model_type != "olmoe":
        config["head_dim"] = 2 * draw(st.integers(1, 9))
    if model_type in ("gpt_oss", "mixtral"):
        config["sliding_window"] = draw(st.integers(1, 9))
    if model_type == "gpt_oss":
        kinds = st.sampled_from(["sliding_attention", "full_attention"])
        config["layer_types"] = draw(st.none() | st.lists(kinds, min_size=layers, max_size=layers))
    if model_type == "qwen3_moe":
        config |= dict(
            moe_intermediate_size=width, decoder_sparse_step=draw(st.integers(1, 3)), mlp_only_layers=draw(some_layers),
            use_sliding_window=draw(st.booleans()), sliding_window=draw(st.integers(1, 9)),
        )  # fmt: skip
    if model_type == "llama4_text":
        config |= dict(
            intermediate_size_mlp=width, interleave_moe_layer_step=draw(st.integers(1, 3)),
            moe_layers=draw(st.none() | some_layers), attention_chunk_size=draw(st.none() | st.integers(1, 5)),
            no_rope_layer_interval=draw(st.integers(1, 4)),
        )  # fmt: skip
    return config


@settings(max_examples=4, deadline=None)
@given(configs(), st.integers(1, 3), st.integers(1, 11))
def test_any_sizes_agree(config, B, T):
    assert_agrees(config, B=B, T=T)


@pytest.mark.parametrize("model_type", ["mixtral", "gpt_oss", "deepseek_v3"])
def test_a_grouped_product_of_experts_takes_as_much(model_type):
    config = MODELS[model_type] | dict(
        model_type=model_type, hidden_size=16, intermediate_size=32, moe_intermediate_size=32, dtype="bfloat16",
        experts_implementation="grouped_mm",
    )  # fmt: skip
    if not model_type.startswith("deepseek"):
        del config["moe_intermediate_size"]
    with torch.device("meta"):
        model = DECODER.build(config)
        with FlopCount() as counted:
            DECODER.run(model, B=2, T=8).backward()
    del config["experts_implementation"]
    network = from_config(config)
    assert (network.forward(B=2, T=8), network.backward(B=2, T=8)) == (counted.forward, counted.backward)


@pytest.mark.parametrize(
    "fault", [dict(num_experts_per_tok=2), dict(n_shared_experts=2), dict(first_k_dense_replace=2)]
)
def test_a_wrong_number_is_noticed(fault):
    config = defaults("deepseek_v3", **MODELS["deepseek_v3"])
    assert on_paper(config | fault, B=2, T=7) != witness(config, B=2, T=7)


@pytest.mark.parametrize("changed", [dict(num_mtp_layers=2), dict(q_lora_rank=None, attention_bias=True)])
def test_layers_that_predict_further_agree(changed):
    config = dict(model_type="deepseek_v3", **MODELS["deepseek_v3"]) | changed
    B, T = 2, 7
    with torch.device("meta"):
        model: Any = EXPERTS.build(config)
        layers: Any = MtpModel(model, changed.get("num_mtp_layers", 1))
        tokens, places = torch.zeros(B, T, dtype=torch.long), torch.arange(T)[None]
        with FlopCount() as counted:
            hidden = model.model(input_ids=tokens).last_hidden_state
            answers = model.lm_head(hidden).sum()
            words = model.get_input_embeddings()(tokens)
            angles = model.model.rotary_emb(words, places)
            for layer in layers.layers:
                hidden = layer(words, hidden, angles, None, places, None)
                answers = answers + layers.shared_head(hidden).sum()
            answers.backward()
    every = {id(each): each.numel() for each in (*model.parameters(), *layers.parameters())}
    network = from_config(config).predicting_further
    assert network.parameters == sum(every.values())
    assert (network.forward(B=B, T=T), network.backward(B=B, T=T)) == (counted.forward, counted.backward)


def pairs(kind: str, tokens: int, width: int) -> int:
    """Count the pairs of a mask one by one."""
    met = {
        "sliding_attention": lambda query, key: query - key < width,
        "chunked_attention": lambda query, key: query // width == key // width,
        "full_attention": lambda query, key: True,
    }[kind]
    return sum(met(query, key) for query in range(tokens) for key in range(query + 1))


@pytest.mark.parametrize("T", [2, 3, 5, 7, 9])
@pytest.mark.parametrize("model_type", ["gpt_oss", "llama4_text"])
def test_masks_leave_fewer_pairs(model_type, T):
    config = MODELS[model_type]
    network = from_config(dict(model_type=model_type, **config))
    kinds = {
        "gpt_oss": ["sliding_attention", "full_attention"] * 2,
        "llama4_text": 3 * ["chunked_attention"] + ["full_attention"],
    }[model_type]
    width = config.get("sliding_window") or config["attention_chunk_size"]
    left_out = sum(T * T - pairs(kind, T, width) for kind in kinds)
    idle = 2 * T * 4 * 3 * 24 * 40 if model_type == "llama4_text" else 0  # in 2 layers, 4 experts of 6, 3 matrices
    assert network.step(B=1, T=T) - network.step(B=1, T=T, needed=True) == 3 * (2 * 2 * 4 * 8 * left_out + 2 * idle)


def test_a_window_and_a_chunk_keep_few_tokens():
    oss, llama4 = (from_config(dict(model_type=each, **MODELS[each])) for each in ("gpt_oss", "llama4_text"))
    assert oss.at(oss.cache, T=9) == 2 * 2 * 8 * (2 * 5 + 2 * 9)
    assert llama4.at(llama4.cache, T=8) == 2 * 2 * 8 * (3 * 2 + 8)


def test_latents_are_kept_and_the_heads_are_not():
    network = from_config(dict(model_type="deepseek_v3", **MODELS["deepseek_v3"]))
    assert network.at(network.cache, T=9) == 4 * (6 + 4) * 9
    per_key = network.at(network.token, T=9) - network.at(network.token, T=8)
    assert per_key == 4 * 4 * 2 * (6 + 4 + 6)  # layers, heads: a key is a latent and its place, a value a latent


def test_a_token_meets_few_experts():
    network = from_config(dict(model_type="deepseek_v2", **MODELS["deepseek_v2"], mlp_bias=True))
    assert network.parameters - network.active == 3 * (16 - 3) * 3 * 24 * 5
    oss = from_config(dict(model_type="gpt_oss", **MODELS["gpt_oss"]))
    assert oss.parameters - oss.active == 4 * (16 - 4) * (3 * 24 * 40 + 2 * 40 + 24)


@pytest.mark.parametrize(
    "name, parameters",
    {"Mixtral 8x7B": 46_702_792_704, "gpt-oss 20b": 20_914_757_184, "DeepSeek-V3": 671_026_419_200 - 58 * 256}.items(),
)
def test_published_models_have_their_parameters(name, parameters):
    assert named(name).network.parameters == parameters


def test_the_layer_of_deepseek_v3_that_predicts_further_is_as_large_as_its_makers_say():
    network = named("DeepSeek-V3").network
    further = network.predicting_further.parameters - network.parameters
    assert further - 2 * 7168 * 7168 == pytest.approx(11.5e9, rel=1e-3)  # they leave out what joins both


@pytest.mark.parametrize(
    "model_type, wrong, words",
    [
        (
            "mixtral",
            dict(num_experts_per_tok=9),
            "= 9 and num_local_experts = 8: a token cannot meet more",
        ),
        ("mixtral", dict(num_key_value_heads=3), "num_key_value_heads = 3, which does not divide"),
        ("olmoe", dict(hidden_size=26), "hidden_size = 26, and 4 heads of 6 are not as wide"),
        ("gpt_oss", dict(layer_types=["full"] * 4), "'full', which is not understood"),
        ("gpt_oss", dict(sliding_window=None), "layers with a window but no sliding_window"),
        ("deepseek_v2", dict(moe_layer_freq=2), "moe_layer_freq = 2, which is not understood: known are 1"),
        ("deepseek_v3", dict(num_key_value_heads=2), "num_key_value_heads = 2: with latents, each head"),
        ("llama4_text", dict(no_rope_layers=[1]), r"no_rope_layers = \[1\]: give a number for each of 4 layers"),
        (
            "llama4_text",
            dict(layer_types=["chunked_attention"] * 4, attention_chunk_size=None),
            "layers in chunks but no attention_chunk_size",
        ),
    ],
)
def test_what_does_not_run_is_refused(model_type, wrong, words):
    with pytest.raises(ConfigError, match=words):
        from_config(dict(model_type=model_type, **MODELS[model_type]) | wrong)


def test_a_model_of_text_and_pictures_is_refused_with_a_remedy():
    with pytest.raises(ConfigError, match="give its text_config alone, with model_type 'llama4_text'"):
        from_config(dict(model_type="llama4", text_config={}, vision_config={}))
