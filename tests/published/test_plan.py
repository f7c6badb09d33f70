"""Test plans of published models: every row follows from the model on paper."""

import json
from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest
from sympy import Min

from flopbook.predict import axes
from flopbook.predict.memory import MIXED
from flopbook.predict.models import decoder_block
from flopbook.predict.parallel import MeshAxis, split
from flopbook.published import from_config, named, names
from flopbook.published.config import ConfigError
from flopbook.published.network import CAUSAL
from flopbook.published.plan import _LOGITS, AMOUNTS, _known, _terms, amounts, presets, read_option, run_plan, use_plan

LLAMA = dict(
    model_type="llama", hidden_size=24, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
    intermediate_size=40, vocab_size=53,
)  # fmt: skip
MISTRAL = LLAMA | dict(model_type="mistral", sliding_window=5)
DEEPSEEK = dict(
    model_type="deepseek_v3", hidden_size=24, num_hidden_layers=3, num_attention_heads=4, intermediate_size=40,
    vocab_size=53, qk_nope_head_dim=10, qk_rope_head_dim=4, v_head_dim=7, kv_lora_rank=6, q_lora_rank=11,
    moe_intermediate_size=5, n_routed_experts=16, first_k_dense_replace=1,
)  # fmt: skip
LLAMA4 = LLAMA | dict(model_type="llama4_text", attention_chunk_size=4, num_local_experts=5, num_hidden_layers=5)
#: Seven tokens of eleven lie in whole chunks of seven, and the last chunk is padded.
MAMBA2 = dict(
    model_type="mamba2", hidden_size=24, num_hidden_layers=3, vocab_size=53, num_heads=8, head_dim=6, n_groups=2,
    state_size=5, chunk_size=7,
)  # fmt: skip
BAMBA = dict(
    model_type="bamba", hidden_size=24, num_hidden_layers=3, vocab_size=53, num_attention_heads=4,
    num_key_value_heads=2, intermediate_size=40, mamba_n_heads=8, mamba_d_state=5, mamba_chunk_size=4,
    attn_layer_indices=[1],
)  # fmt: skip
QWEN3_NEXT = dict(
    model_type="qwen3_next", hidden_size=24, num_hidden_layers=4, vocab_size=53, num_attention_heads=4,
    num_key_value_heads=2, head_dim=8, linear_key_head_dim=5, linear_value_head_dim=7, linear_num_key_heads=2,
    linear_num_value_heads=4, num_experts=5, num_experts_per_tok=2, moe_intermediate_size=9,
    shared_expert_intermediate_size=11,
)  # fmt: skip
RWKV = dict(model_type="rwkv", hidden_size=24, num_hidden_layers=3, vocab_size=53)
MODELS = {each["model_type"]: each for each in (LLAMA, MISTRAL, DEEPSEEK, LLAMA4, MAMBA2, BAMBA, QWEN3_NEXT, RWKV)}
RUN = dict(B=6, T=11, devices=3, budget=1000, utilization=40, tensor=1, context=1, pipeline=1, micro_batches=1)


@cache
def plans():
    """Return the plans of a run and of its use."""
    return run_plan({}), use_plan()


def values(config, T=11, devices=3, **chosen):
    """Work out all rows at the first option of each choice, unless told."""
    run, use = plans()
    sizes = RUN | dict(T=T, devices=devices) | amounts(from_config(config))
    for label, options in run.choices.items():
        sizes |= options[chosen.get(label, next(iter(options)))]
    return run.at(**sizes) | use.at(**sizes)


@pytest.mark.parametrize("config", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("needed", [False, True])
def test_flops_are_those_of_the_model_on_paper(config, needed):
    network = from_config(config)
    option = next(name for name in plans()[0].choices["Attention"] if name.startswith("needed" if needed else "dense"))
    for tokens in (1, 11, 130):
        rows = values(config, T=tokens, Attention=option)
        assert rows["Parameters"] == network.parameters
        assert rows["Forward pass"] == network.forward(B=6, T=tokens, needed=needed)
        assert rows["Backward pass"] == network.backward(B=6, T=tokens, needed=needed)
        assert rows["Read T tokens"] == network.forward(B=1, T=tokens, needed=needed)
        assert rows["Write the next token"] == network.at(network.token, T=tokens)
        assert rows["Bytes that T tokens leave"] == 2 * network.at(network.cache, T=tokens)


@pytest.mark.parametrize("config", MODELS.values(), ids=MODELS)
def test_without_checkpoints_activations_are_those_of_the_model_on_paper(config):
    network = from_config(config)
    found = values(config, T=11, devices=1, Loss="in 16 bits")["Bytes of activations"]
    of_loss = sum(part.times * part.model.activations for part in network.parts if part.kind in _LOGITS)
    kept = network.at(network.dense.activations - of_loss, B=6, T=11)
    assert found == 2 * kept + 2 * 6 * 11 * network.sizes["V"]


def test_a_next_token_meets_all_before_it():
    network = from_config(LLAMA)
    longer, shorter = (network.forward(B=1, T=tokens, needed=True) for tokens in (11, 10))
    assert network.at(network.token, T=11) == longer - shorter


def test_activations_of_each_checkpoint():
    kept = 24 + 24 + 24 + 1 + 1 - 24  # of a norm: its input, its output, mean and deviation
    block = 2 * kept + (24 + 12 + 12 + 24 + 4) + 4 * 40  # and q, k, v, o, a logarithm for each head; f, h, g, silu
    results = (24 + 12 + 12 + 24 + 4 + 24) + 3 * 40 - 40 + 24  # q, k, v, o, logarithms, out; two of width F, and out
    tokens, logits = 2 * 11, 4 * 2 * 11 * 53  # two of six sequences on each device, and what a loss in 32 bits keeps
    rows = {option: values(LLAMA, Checkpoints=option) for option in plans()[0].choices["Checkpoints"]}
    whole, selective, full = (each["Bytes of activations"] for each in rows.values())
    assert whole == 2 * tokens * (3 * block + kept) + logits
    assert selective == 2 * tokens * (3 * (24 + results) + kept) + logits
    assert full == 2 * tokens * (3 * 24 + block + kept) + logits
    again = [each["Forward pass, run again"] for each in rows.values()]
    assert again == [0, 0, rows["none"]["Forward pass"] - 2 * 6 * 11 * 24 * 53]


def test_a_loss_in_16_bits_keeps_half():
    by_bits = [values(LLAMA, Loss=option)["Bytes of activations"] for option in ("in 32 bits", "in 16 bits")]
    assert by_bits[0] - by_bits[1] == 2 * 2 * 11 * 53


def on_mesh(  # noqa: PLR0913, PLR0917
    devices, tensor=1, context=1, pipeline=1, micro_batches=1, B=12, T=8, sharding="none", checkpoints="none"
):
    """Work out a Llama on a mesh, with a loss in 16 bits."""
    run, _ = plans()
    sizes = RUN | dict(T=T, B=B, devices=devices) | amounts(from_config(LLAMA))
    for label, options in run.choices.items():
        wanted = {"Sharding": sharding, "Checkpoints": checkpoints, "Loss": "in 16"}.get(label, "")
        sizes |= next(option for name, option in options.items() if name.startswith(wanted))
    mesh = dict(tensor=tensor, context=context, pipeline=pipeline, micro_batches=micro_batches)
    return run.at(**sizes | mesh)


def test_a_mesh_shares_what_a_device_computes_and_holds():
    alone, shared = on_mesh(1), on_mesh(8, tensor=2, context=2, pipeline=2, micro_batches=12)
    assert shared["Copies of the model"] == 1
    assert shared["Products of a device in a step"] * 8 == alone["Products of a device in a step"]
    assert shared["Bytes of parameters"] * 4 == alone["Bytes of parameters"] == 2 * alone["Parameters"]
    kept = alone["Bytes of activations"] - 2 * 12 * 8 * 53
    assert shared["Bytes of activations"] == kept / 12 / 4 + 2 * 8 * 53 / 4  # two wait, in half the layers
    assert shared["Bubble of the pipeline"] == Fraction(100, 13)
    assert shared["Time of a step"] * 8 == alone["Time of a step"] * Fraction(13, 12)
    assert shared["Devices with work"] == 8


def test_copies_shard_and_send_what_they_share():
    for sharding, each in {"none": 4, "ZeRO 1": 4, "ZeRO 2": 4, "ZeRO 3": 6}.items():
        rows = on_mesh(24, tensor=2, context=3, sharding=sharding)
        ring = Fraction(rows["Parameters"], 2) * each * Fraction(11, 12)  # four copies of three devices each
        assert rows["Bytes sent for gradients and parameters"] == -(-ring // 1)
    assert on_mesh(24, tensor=2, context=3, sharding="ZeRO 3")["Bytes of gradients"] == -(-rows["Parameters"] // 12)
    halves = 10 * 2 * (3 * 8 * 24 * 3) / 3  # of a copy's 3 sequences: 10 of BTD a layer, on 3 devices a sequence
    assert rows["Bytes sent between the parts of a layer"] == halves / 2


@pytest.mark.parametrize("tensor", [1, 2])
def test_devices_that_keep_nothing_whole_send_what_their_split_products_say(tensor):
    """The inputs of products are kept in parts, as the bytes of activations say, and gathered again backward."""
    lies, kept_in_parts = dict(x="T", y="T", n="T", z="T"), ("x", "n")
    block = split(
        decoder_block(gated=True), MeshAxis("H,G,F", tensor, lies, again=kept_in_parts), weights="wq wk wv wo wg w1 w2",
        formats=MIXED,
    )  # fmt: skip
    carried = block.at(dict(B=12, T=8, S=8, D=24, H=4, G=2, E=6, F=40)).carried
    sent = on_mesh(tensor, tensor=tensor)["Bytes sent between the parts of a layer"]
    assert sent == 3 * sum(ring for *_, ring in carried.values())
    forward = sum(ring for (_, phase), (*_, ring) in carried.items() if phase == "forward")
    of_full = on_mesh(tensor, tensor=tensor, checkpoints="full")["Bytes sent between the parts of a layer"]
    assert of_full == sent + 3 * forward  # all of a block runs again
    assert on_mesh(tensor, tensor=tensor, checkpoints="selective")["Bytes sent between the parts of a layer"] == sent


def test_devices_without_a_place_in_the_mesh_have_no_work():
    assert on_mesh(11, tensor=2, pipeline=2)["Devices with work"] == 8
    assert on_mesh(3, tensor=2, pipeline=2)["Devices that the mesh lacks"] == 1


def test_micro_batches_keep_less_of_a_batch_at_a_time():
    assert on_mesh(1, micro_batches=12)["Bytes of activations"] * 12 == on_mesh(1)["Bytes of activations"]
    assert on_mesh(1, micro_batches=99)["Bytes of activations"] * 12 == on_mesh(1)["Bytes of activations"]


def test_a_text_takes_what_it_leaves_beside_the_weights():
    rows = values(LLAMA)
    left = 80 * 10**9 - 2 * rows["Parameters"]
    assert rows["Texts of T tokens that fit beside the weights"] == left // rows["Bytes that T tokens leave"]
    read = 2 * rows["Parameters"] + rows["Bytes that T tokens leave"]
    assert rows["Time of the next token, at least"] == read / (3350 * 10**9)


def test_every_amount_is_explained_and_used():
    letters = {letter.name for plan in plans() for _, row in plan.rows.values() for letter in row.free_symbols}
    assert amounts(from_config(LLAMA)).keys() == AMOUNTS.keys() <= letters


def test_the_masks_of_a_plan_are_those_of_networks():
    assert from_config(LLAMA).parts[0].mask is CAUSAL


def test_a_model_that_a_plan_cannot_hold_is_refused():
    network = from_config(LLAMA)
    cut = type(network)("cut", "llama", network.parts, {**network.sizes, "B": 3})
    with pytest.raises(ConfigError, match="cut does not read tokens through layers of one width"):
        amounts(cut)


@pytest.mark.parametrize("times", [axes.T**2, 1 / axes.T**2, Min(axes.T, 9)])
def test_a_model_that_grows_otherwise_is_refused(times):
    network = from_config(LLAMA)
    first, *others = network.parts
    grown = replace(first, model=replace(first.model, results=axes.B * axes.T * times))
    with pytest.raises(ConfigError, match="llama grows otherwise with its tokens than a plan knows"):
        amounts(replace(network, parts=(grown, *others)))


def test_a_product_of_sums_is_multiplied_out():
    T = axes.T
    assert _terms((T + axes.D) * (T + 2) ** 2, _known({"D": 3})) == {(0, 0, 0): 1, (0, 0): 7, (0,): 16, (): 12}


def test_a_plan_holds_every_named_model_that_reads_on():
    others = {named(name).config.get("model_type", "of images") for name in set(names()) - presets().keys()}
    assert others <= {
        "bert", "clip", "convnext", "modernbert", "of images", "resnet", "swin", "t5", "vit", "whisper"
    }  # fmt: skip


def test_a_text_is_read_as_an_option():
    option = read_option(json.dumps(LLAMA))
    assert option["sizes"] == {name: str(size) for name, size in amounts(from_config(LLAMA)).items()}
    assert option["name"] == f"your llama: {from_config(LLAMA).parameters:,} parameters"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the text is not JSON: Expecting value"),
        ("[" * 100_000, "the text is not JSON: "),
        ("[1]", r"the text holds \[1\]: give a configuration in curly brackets"),
        ('{"model_type": "lama"}', "model_type = 'lama' is not understood: did you mean 'llama'"),
        ('{"model_type": "bert"}', "bert has the mask 'every', which a plan does not know"),
    ],
)
def test_a_text_that_is_not_a_model_for_a_plan_is_refused(text, said):
    with pytest.raises(ConfigError, match=said):
        read_option(text)
