"""Hold encoders on paper to the library: parameters, forward and backward pass, to the last one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbook.predict import evaluate
from flopbook.published import from_config
from flopbook.published.in_library.witness import witness
from tests.support.published import assert_agrees, assert_no_effect, defaults, on_paper

SMALL = dict(hidden_size=24, num_hidden_layers=4, num_attention_heads=4, intermediate_size=40, vocab_size=53)
MODELS = {
    "bert": SMALL,
    "modernbert": SMALL | dict(pad_token_id=0, local_attention=4),
    "t5": dict(d_model=24, num_layers=3, num_decoder_layers=2, num_heads=4, d_kv=5, d_ff=40, vocab_size=53),
}
SIZES = {"bert": dict(B=2, T=7), "modernbert": dict(B=2, T=9), "t5": dict(B=2, T=7, U=5)}


@pytest.mark.parametrize("model_type", MODELS)
def test_the_librarys_defaults_are_read_to_the_last_key(model_type):
    config = defaults(model_type, **MODELS[model_type])
    assert_agrees(config, **SIZES[model_type])
    assert_no_effect(config, **SIZES[model_type])


@pytest.mark.parametrize("model_type", MODELS)
def test_keys_that_are_left_out_have_the_librarys_defaults(model_type):
    assert_agrees(dict(model_type=model_type), **dict.fromkeys(SIZES[model_type], 1))


@st.composite
def encoders(draw):
    flags = dict(bert=["is_decoder"], modernbert=["norm_bias", "attention_bias", "mlp_bias", "classifier_bias",
        "decoder_bias"])  # fmt: skip
    model_type = draw(st.sampled_from(sorted(flags)))
    heads, layers = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    config = dict(
        model_type=model_type, hidden_size=heads * 2 * draw(st.integers(1, 5)), num_attention_heads=heads,
        num_hidden_layers=layers, intermediate_size=draw(st.integers(1, 50)), vocab_size=draw(st.integers(2, 90)),
        pad_token_id=0, **{flag: draw(st.booleans()) for flag in [*flags[model_type], "tie_word_embeddings"]},
    )  # fmt: skip
    if model_type == "bert":
        return config | dict(max_position_embeddings=draw(st.integers(11, 40)), type_vocab_size=draw(st.integers(1, 3)))
    kinds = st.sampled_from(["full_attention", "sliding_attention"])
    pattern = draw(st.sampled_from(["global_attn_every_n_layers", "layer_types"]))
    chosen = draw(st.integers(1, 4) if pattern[0] == "g" else st.lists(kinds, min_size=layers, max_size=layers))
    return config | {pattern: chosen, "local_attention": draw(st.integers(1, 30))}


@settings(max_examples=4, deadline=None)
@given(encoders(), st.integers(1, 3), st.integers(1, 11))
def test_any_encoder_agrees(config, B, T):
    assert_agrees(config, B=B, T=T)


@st.composite
def readers_and_writers(draw):
    config = dict(
        model_type="t5", d_model=draw(st.integers(1, 30)), num_layers=draw(st.integers(1, 3)),
        num_heads=draw(st.integers(1, 5)), d_kv=draw(st.integers(1, 9)), d_ff=draw(st.integers(1, 50)),
        vocab_size=draw(st.integers(2, 90)), relative_attention_num_buckets=4 * draw(st.integers(1, 9)),
        feed_forward_proj=draw(st.sampled_from(["relu", "gelu", "gated-gelu", "gated-silu"])),
        tie_word_embeddings=draw(st.booleans()),
    )  # fmt: skip
    layers = draw(st.integers(0, 3))
    return config | (dict(num_decoder_layers=layers) if layers else {})


@settings(max_examples=4, deadline=None)
@given(readers_and_writers(), st.integers(1, 3), st.integers(1, 11), st.integers(1, 11))
def test_any_reader_and_writer_agrees(config, B, T, U):
    assert_agrees(config, B=B, T=T, U=U)


@pytest.mark.parametrize("model_type", MODELS)
def test_a_wrong_size_is_noticed(model_type):
    config, sizes = defaults(model_type, **MODELS[model_type]), SIZES[model_type]
    feed_forward = "d_ff" if model_type == "t5" else "intermediate_size"
    assert on_paper(config | {feed_forward: 41}, **sizes) != witness(config, **sizes)


def test_names_that_the_library_takes_too_win():
    config = dict(model_type="t5", hidden_size=20, num_hidden_layers=2, num_attention_heads=3, head_dim=4, d_model=9)
    assert_agrees(config, B=1, T=3, U=2)


def test_an_encoder_needs_all_pairs_and_keeps_nothing():
    network = from_config(defaults("bert", **MODELS["bert"]))
    assert network.needed == network.dense
    assert network.cache == 0
    assert network.at(network.token, T=7) * 7 == network.forward(B=1, T=7)


def test_a_window_around_each_token_leaves_fewer_pairs():
    network = from_config(defaults("modernbert", **MODELS["modernbert"]))
    pairs = sum(abs(query - key) <= 2 for query in range(9) for key in range(9))  # half of local_attention
    masked = 2 * 2 * (9 * 9 - pairs)  # B times the layers with a window
    assert network.step(B=2, T=9) - network.step(B=2, T=9, needed=True) == 3 * 4 * 24 * masked


def test_a_writer_reads_once_and_keeps_what_it_read():
    network = from_config(defaults("t5", **MODELS["t5"]))
    longer, shorter = (network.forward(B=1, T=7, U=tokens, needed=True) for tokens in (5, 4))
    assert network.at(network.token, T=7, U=5) == longer - shorter
    assert evaluate(network.cache, network.sizes | dict(T=7, U=5)) == 2 * 2 * 4 * 5 * (7 + 5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (dict(model_type="bert", hidden_size=30), "hidden_size = 30: give a multiple of num_attention_heads = 12"),
        (dict(model_type="bert", position_embedding_type="relative_key"), 'known are "absolute"'),
        (dict(model_type="modernbert", sparse_prediction=True), "sparse_prediction = True"),
        (
            dict(model_type="modernbert", layer_types=["full_attention"]),
            "list a kind for each of the 22 layers",
        ),
        (dict(model_type="modernbert", classifier_activation="prelu"), "'prelu', which has trained numbers of its own"),
        (dict(model_type="t5", feed_forward_proj="glued-gelu"), "feed_forward_proj = 'glued-gelu'"),
        (dict(model_type="t5", feed_forward_proj="gated-prelu"), "'prelu', which has trained numbers of its own"),
    ],
)
def test_what_is_not_derived_is_refused_by_name(config, message):
    with pytest.raises(ValueError, match="config says") as refused:
        from_config(config)
    assert message in str(refused.value)
