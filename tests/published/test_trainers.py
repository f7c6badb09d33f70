"""Test the formulas of trainers, against what their own code prints, and against the FLOPs of models on paper."""

import pytest

from flopbook.predict import T
from flopbook.predict.models import INVENTORIES, KINDS, TRAINERS
from flopbook.predict.models.claims import (
    BIASES,
    HEAD_NORMS,
    IDLE,
    LAST_NORM,
    LATENT_NORMS,
    LOOKUP,
    NORMS,
    POSITIONS,
    ROUTERS,
    TIED,
    needed_keys,
    whole_windows,
)
from flopbook.published import from_config, named

#: FLOPs for a token that each trainer's own function returned, run with the sizes of a model, at a length; those of
#: torchtitan are from its request #4300: a table for 4,096 tokens, and one for 8,192. Megatron-LM and MaxText at the
#: commits of `TRAINERS`, in float64; OLMo-core, nanoGPT, litgpt and Transformers with a model on the meta device.
PRINTED = {
    "torchtitan": {
        ("gpt-oss 20b", 4096): 24_141_260_160,
        ("gpt-oss 120b", 4096): 34_534_221_696,
        ("Qwen3 30B-A3B", 8192): 37_578_559_488,
    },
    "torchtitan, before": {
        ("gpt-oss 20b", 4096): 26_481_681_792,
        ("gpt-oss 120b", 4096): 38_044_854_144,
        ("Qwen3 30B-A3B", 8192): 37_578_559_488,
    },
    "nanoGPT": {("GPT-2", 1024): 855_166_464, ("GPT-2 XL", 1024): 10_279_555_200},
    "Megatron-LM": {
        ("GPT-2", 8192): 1_194_177_024,
        ("Llama 3 8B", 8192): 51_470_401_536,
        ("Mistral 7B v0.1", 8192): 49_104_814_080,
        ("Gemma 3 27B", 8192): 174_530_199_552,
        ("OLMo 2 7B", 8192): 47_764_733_952,
        ("Mixtral 8x7B", 8192): 82_927_681_536,
        ("Qwen3 30B-A3B", 8192): 27_838_119_936,
        ("gpt-oss 20b", 8192): 26_461_421_568,
        ("DeepSeek-V2-Lite", 8192): 18_084_873_216,
        ("DeepSeek-V3", 8192): 280_514_359_296,
        ("Llama 4 Scout", 8192): 108_883_476_480,
    },
    "Megatron-Bridge": {
        ("Llama 3 8B", 8192): 51_470_401_536,
        ("Mistral 7B v0.1", 2048): 44_272_975_872,
        ("Mistral 7B v0.1", 16384): 48_299_704_320,
        ("Gemma 3 27B", 8192): 166_515_044_352,
        ("gpt-oss 20b", 2048): 22_306_719_744,
        ("DeepSeek-V3", 8192): 280_514_359_296,
    },
    "MaxText": {
        ("Llama 3 8B", 8192): 51_470_401_536,
        ("Mistral 7B v0.1", 8192): 49_104_814_080,
        ("Gemma 2 9B", 2048): 57_560_530_944,
        ("Gemma 2 9B", 8192): 62_845_353_984,
        ("Gemma 3 27B", 512): 162_828_091_392,
        ("Gemma 3 27B", 8192): 166_514_884_608,
        ("Mixtral 8x7B", 8192): 82_933_972_992,
        ("Qwen3 30B-A3B", 8192): 27_913_617_408,
        ("gpt-oss 20b", 8192): 24_133_681_152,
        ("DeepSeek-V3", 8192): 281_152_192_512,
        ("Llama 4 Scout", 8192): 108_907_069_440,
        ("Llama 4 Scout", 20480): 112_530_948_096,
        ("Llama 4 Maverick", 20480): 112_601_726_976,
    },
    "OLMo-core": {
        ("Llama 3 8B", 8192): 57_912_877_056,
        ("Mistral 7B v0.1", 8192): 49_104_838_656,
        ("Gemma 3 27B", 8192): 168_691_855_872,
        ("Gemma 3 1B", 20000): 7_120_048_896,
        ("Qwen3 0.6B", 8192): 9_213_100_032,
        ("OLMo 2 7B", 8192): 54_208_782_336,
        ("OLMoE 1B-7B", 8192): 10_294_800_384,
    },
    "Hugging Face": {
        ("GPT-2", 4096): 6 * 85_056_000,
        ("GPT-2 XL", 4096): 6 * 1_475_561_600,
        ("Llama 3 8B", 4096): 6 * 7_504_924_672,
        ("Mistral 7B v0.1", 4096): 6 * 7_110_660_096,
        ("Gemma 3 27B", 4096): 6 * 25_599_716_096,
        ("Phi-2", 4096): 6 * 2_648_611_840,
        ("OLMo 2 7B", 4096): 6 * 6_887_575_552,
        ("Mixtral 8x7B", 4096): 6 * 46_571_720_704,
        ("Qwen3 30B-A3B", 4096): 6 * 30_220_957_696,
        ("gpt-oss 20b", 4096): 6 * 20_335_623_744,
        ("DeepSeek-V3", 4096): 6 * 670_099_725_312,
        ("Llama 4 Scout", 4096): 6 * 106_735_375_360,
    },
    "litgpt": {
        ("Llama 3 8B", 8192): 69_656_403_968,
        ("Mistral 7B v0.1", 4096): 54_187_810_816,
        ("Qwen3 8B", 4096): 61_224_007_680,
        ("OLMo 2 7B", 4096): 54_529_122_304,
        ("Mixtral 8x7B", 4096): 290_954_174_464,
        ("Qwen3 30B-A3B", 4096): 191_245_799_424,
    },
    "litgpt, measured": {
        ("Llama 3 8B", 8192): 57_912_852_480,
        ("Mistral 7B v0.1", 4096): 49_104_814_080,
        ("Qwen3 8B", 4096): 52_656_340_992,
        ("Gemma 2 9B", 4096): 63_902_318_592,
        ("Gemma 3 1B", 4096): 7_307_132_928,
        ("OLMo 2 7B", 4096): 47_764_733_952,
    },
}
ROWS = [(trainer, *at, flops) for trainer, rows in PRINTED.items() for at, flops in rows.items()]


@pytest.mark.parametrize(("trainer", "name", "length", "printed"), ROWS, ids=str)
def test_a_formula_gives_what_its_own_code_prints(trainer, name, length, printed):
    assert TRAINERS[trainer].flops(named(name).network.inventory.at(T=length)) == printed


def test_each_trainer_was_asked():
    assert set(PRINTED) == set(TRAINERS)


def test_litgpt_gives_a_second_table_to_models_that_tie_theirs():
    model = named("Gemma 2 9B").network.inventory.at(T=4096)
    assert TRAINERS["litgpt"].flops(model) + 6 * model.count(TIED) == 73_286_513_664
    assert model.count() + model.count(TIED) == 10_159_209_984


#: Sizes that no published model has, one configuration for each architecture whose formulas the page shows.
UNSEEN = {
    "gpt2": dict(n_embd=40, n_layer=3, n_head=5, n_positions=30, vocab_size=101),
    "llama": dict(
        hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, intermediate_size=96,
        vocab_size=101,
    ),
    "mistral": dict(
        hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, intermediate_size=96,
        vocab_size=101, sliding_window=7,
    ),
    "gemma3_text": dict(
        hidden_size=48, num_hidden_layers=8, num_attention_heads=4, num_key_value_heads=2, head_dim=10,
        intermediate_size=96, vocab_size=101, sliding_window=7,
    ),
    "olmo2": dict(
        hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, intermediate_size=96,
        vocab_size=101,
    ),
    "mixtral": dict(
        hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, intermediate_size=96,
        vocab_size=101, num_local_experts=5, num_experts_per_tok=3,
    ),
    "qwen3_moe": dict(
        hidden_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=10,
        intermediate_size=96, moe_intermediate_size=36, vocab_size=101, num_experts=5, num_experts_per_tok=3,
    ),
    "gpt_oss": dict(
        hidden_size=48, num_hidden_layers=5, num_attention_heads=4, num_key_value_heads=2, head_dim=10,
        intermediate_size=36, vocab_size=101, num_local_experts=5, num_experts_per_tok=3, sliding_window=7,
    ),
    "deepseek_v3": dict(
        hidden_size=48, num_hidden_layers=5, num_attention_heads=4, num_key_value_heads=4, intermediate_size=96,
        moe_intermediate_size=36, vocab_size=101, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=2,
        n_group=2, topk_group=1, first_k_dense_replace=2, q_lora_rank=20, kv_lora_rank=14, qk_nope_head_dim=10,
        qk_rope_head_dim=6, v_head_dim=12,
    ),
    "llama4_text": dict(
        hidden_size=64, num_hidden_layers=8, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        intermediate_size=36, intermediate_size_mlp=96, vocab_size=101, num_local_experts=5, num_experts_per_tok=1,
        interleave_moe_layer_step=2, attention_chunk_size=6,
    ),
}  # fmt: skip
LENGTHS = (3, 7, 13, 30)


@pytest.fixture(scope="module", params=UNSEEN)
def network(request):
    return from_config({"model_type": request.param, **UNSEEN[request.param]})


@pytest.fixture(params=LENGTHS)
def model(network, request):
    return network.inventory.at(T=request.param)


def test_an_inventory_is_all_that_a_model_has(network, model):
    length = int(model.length)
    assert set(model.parameters) == set(KINDS)
    assert model.count() == network.parameters
    assert model.count() - model.count(IDLE) == network.active
    assert length * model.needed == network.step(B=1, T=length, needed=True)
    assert model.others == 0
    if not any(part.needed for part in network.parts):  # a program may run all experts and drop most
        assert length * model.dense == network.step(B=1, T=length)


def off(trainer, model):
    return TRAINERS[trainer].flops(model) - model.dense


def over(trainer, model):
    return TRAINERS[trainer].flops(model) - model.needed


def test_litgpts_measurement_is_exact(model):
    assert off("litgpt, measured", model) == 0


ALL_NORMS = (NORMS, HEAD_NORMS, LATENT_NORMS, LAST_NORM)


def test_the_differences_are_as_the_page_says(model):
    """Each is a sum of kinds of parameters and of keys, at sizes that no published model has."""
    attention = model.attention_flops(T)
    windows = model.attention_flops(whole_windows) - attention
    assert off("torchtitan, before", model) == 6 * model.count(POSITIONS, BIASES, *ALL_NORMS)
    assert off("torchtitan", model) == 6 * model.count(BIASES, *ALL_NORMS) + windows
    assert off("OLMo-core", model) == 6 * model.count(BIASES, HEAD_NORMS, LATENT_NORMS, LAST_NORM) + windows
    assert off("nanoGPT", model) == 6 * model.count(IDLE, LOOKUP, BIASES, *ALL_NORMS)
    assert off("Hugging Face", model) == 6 * (model.count(IDLE, BIASES, *ALL_NORMS) - model.count(TIED)) - attention
    more = 6 * model.count(IDLE, LOOKUP, POSITIONS, BIASES, *ALL_NORMS)
    assert off("litgpt", model) == more + 20 * model.length * model.width - attention
    half = attention / 2 - model.attention_flops(needed_keys)
    assert over("Megatron-LM", model) == 6 * (model.count(LATENT_NORMS) - model.count(ROUTERS)) + half


def test_maxtext_leaves_out_half_of_the_diagonal_of_the_masks_that_it_knows(network, model):
    """A token's own key counts half: of each token where it meets all before it, of the first ones in a window."""
    if network.architecture in TRAINERS["MaxText"].masks_of:
        own = {
            mask: min(mask.reach, model.length) if mask.words == "window" else model.length for mask in model.attention
        }
        halves = sum(3 * numbers * own[mask] / model.length for mask, numbers in model.attention.items())
        assert over("MaxText", model) == -halves
    else:
        assert over("MaxText", model) == model.attention_flops(T / 2) - model.attention_flops(needed_keys)


@pytest.mark.parametrize("name", ["T5 small", "ViT-B/16", "Whisper tiny"])
def test_tokens_that_are_not_those_of_one_sequence_are_refused(name):
    network = named(name).network
    with pytest.raises(ValueError, match=f"{name} has other tokens than the T of one sequence"):
        _ = network.inventory


def test_gpt_oss_20b_is_torchtitans_table_term_by_term():
    """The difference of the two numbers of torchtitan's request #4300 gives the length, and the length the rest."""
    before, after = 26_481_681_792, 24_141_260_160
    layers, heads, width, window = 24, 64, 64, 128
    for_a_key = 12 * heads * width  # of one layer
    short, rest = divmod(before - after, layers // 2 * for_a_key)
    assert (short, rest) == (3968, 0)
    length = window + short
    assert length == 4096
    D, V, X, K = 2880, 201088, 32, 4
    expert = 3 * D * D + 3 * D
    biases_of_attention = heads * width + 2 * 8 * width + D
    layer = 2 * D * (heads + 8) * width + biases_of_attention + heads + 2 * D + X * D + X + K * expert
    active = layers * layer + D + D * V
    assert active == 3_608_307_264
    assert before == 6 * active + layers * for_a_key * length
    assert after == 6 * active + layers // 2 * for_a_key * (length + window)
    model = named("gpt-oss 20b").network.inventory.at(T=length)
    assert active == model.count() - model.count(IDLE, LOOKUP)


def test_a_gated_delta_rule_is_counted_by_its_state():
    """Four products with the state; the gate of the shared expert is left out, and MaxText has no gate of attention."""
    network = named("Qwen3-Next 80B-A3B").network
    size, model = network.sizes, network.inventory.at(T=8192)
    states = (size["L"] - size["La"]) * size["Hs"] * size["Ns"] * size["Ps"]
    of_attention, of_shared_expert = size["La"] * size["D"] * size["H"] * size["E"], size["L"] * size["D"]
    megatron, maxtext = (TRAINERS[name].flops(model) + 24 * states for name in ("Megatron-LM", "MaxText"))
    assert megatron - 6 * of_shared_expert == 23_947_640_832
    assert maxtext - 6 * (of_shared_expert + of_attention) == 23_645_650_944


@pytest.mark.parametrize("name", ["GPT-2 small", "Llama 3 8B", "Llama 3 70B", "Mistral 7B", "Mixtral 8x7B"])
def test_the_lectures_inventories_are_those_of_the_published_models(name):
    """The lecture's come from few letters, those of published models from a configuration."""
    theirs = {"GPT-2 small": "GPT-2", "Mistral 7B": "Mistral 7B v0.1"}
    ours = INVENTORIES[name]
    model = named(theirs.get(name, name)).network.inventory.at(T=int(ours.length))
    assert model.parameters == ours.parameters
    assert model.needed == ours.needed and model.dense == ours.dense
    assert (model.scores, model.width) == (ours.scores, ours.width)
