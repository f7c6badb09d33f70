"""Test plans of published models: every row follows from the model on paper."""

import pytest

from flopbook.published import from_config
from flopbook.published.config import ConfigError
from flopbook.published.network import CAUSAL
from flopbook.published.plan import AMOUNTS, amounts, run_plan, use_plan

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
MODELS = {each["model_type"]: each for each in (LLAMA, MISTRAL, DEEPSEEK, LLAMA4)}
RUN = dict(B=6, T=11, devices=3, budget=1000, utilization=40)
PLAN, USE = run_plan({}), use_plan()


def values(config, **chosen):
    """Work out all rows at the first option of each choice, unless told."""
    sizes = RUN | amounts(from_config(config))
    for label, options in PLAN.choices.items():
        sizes |= options[chosen.get(label, next(iter(options)))]
    return PLAN.at(**sizes) | USE.at(**sizes)


@pytest.mark.parametrize("config", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("needed", [False, True])
def test_flops_are_those_of_the_model_on_paper(config, needed):
    network = from_config(config)
    option = "needed: what the mask leaves" if needed else "dense: every pair is multiplied"
    rows = values(config, Attention=option)
    assert rows["Parameters"] == network.parameters
    if needed or config is not LLAMA4:  # a plan has the experts that were chosen, and the library multiplies all
        assert rows["Forward pass"] == network.forward(B=6, T=11, needed=needed)
        assert rows["Backward pass"] == network.backward(B=6, T=11, needed=needed)
        assert rows["Read T tokens"] == network.forward(B=1, T=11, needed=needed)
    assert rows["Write the next token"] == network.at(network.token, T=11)
    assert rows["Bytes that T tokens leave"] == 2 * network.at(network.cache, T=11)


def test_a_next_token_meets_all_before_it():
    network = from_config(LLAMA)
    longer, shorter = (network.forward(B=1, T=tokens, needed=True) for tokens in (11, 10))
    assert network.at(network.token, T=11) == longer - shorter


def test_activations_of_each_checkpoint():
    kept = 24 + 24 + 24 + 1 + 1 - 24  # of a norm: its input, its output, mean and deviation
    block = 2 * kept + (24 + 12 + 12 + 24 + 4) + 4 * 40  # and q, k, v, o, a logarithm for each head; f, h, g, silu
    results = (24 + 12 + 12 + 24 + 4 + 24) + 3 * 40 - 40 + 24  # q, k, v, o, logarithms, out; two of width F, and out
    tokens, logits = 2 * 11, 4 * 2 * 11 * 53  # two of six sequences on each device, and what a loss in 32 bits keeps
    rows = {option: values(LLAMA, Checkpoints=option) for option in PLAN.choices["Checkpoints"]}
    whole, selective, full = (each["Bytes of activations"] for each in rows.values())
    assert whole == 2 * tokens * (3 * block + kept) + logits
    assert selective == 2 * tokens * (3 * (24 + results) + kept) + logits
    assert full == 2 * tokens * (3 * 24 + block + kept) + logits
    again = [each["Forward pass, run again"] for each in rows.values()]
    assert again == [0, 0, rows["none"]["Forward pass"] - 2 * 6 * 11 * 24 * 53]


def test_a_loss_in_16_bits_keeps_half():
    by_bits = [values(LLAMA, Loss=option)["Bytes of activations"] for option in ("in 32 bits", "in 16 bits")]
    assert by_bits[0] - by_bits[1] == 2 * 2 * 11 * 53


def test_a_text_takes_what_it_leaves_beside_the_weights():
    rows = values(LLAMA)
    left = 80 * 10**9 - 2 * rows["Parameters"]
    assert rows["Texts of T tokens that fit beside the weights"] == left // rows["Bytes that T tokens leave"]
    read = 2 * rows["Parameters"] + rows["Bytes that T tokens leave"]
    assert rows["Time of the next token, at least"] == read / (3350 * 10**9)


def test_every_amount_is_explained_and_used():
    letters = {letter.name for plan in (PLAN, USE) for _, row in plan.rows.values() for letter in row.free_symbols}
    assert amounts(from_config(LLAMA)).keys() == AMOUNTS.keys() <= letters


def test_the_masks_of_a_plan_are_those_of_networks():
    assert from_config(LLAMA).parts[0].mask is CAUSAL


def test_a_model_that_a_plan_cannot_hold_is_refused():
    network = from_config(LLAMA)
    cut = type(network)("cut", "llama", network.parts, {**network.sizes, "B": 3})
    with pytest.raises(ConfigError, match="cut does not read tokens through layers of one width"):
        amounts(cut)
