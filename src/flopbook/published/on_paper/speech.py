"""Derive models that listen: an encoder of sound beside a decoder that writes."""

from sympy import Integer

from flopbook.predict.axes import D, L, T, axis
from flopbook.predict.models.claims import LAST_NORM, MATRICES, POSITIONS
from flopbook.predict.models.model import piece
from flopbook.predict.products import conv
from flopbook.published.config import Config
from flopbook.published.network import Part, Read
from flopbook.published.on_paper.encoders import (
    ATTENTION_BIASES,
    FEED_FORWARD_BIASES,
    WITH_SHIFT,
    cross_attention,
    encoder_attention,
    heads,
    read_once,
)
from flopbook.published.on_paper.pieces import NORM, attention, biases, both_ends, feed_forward, norms

A = axis("A")
ONE = Integer(1)
WITHOUT_KEYS = ATTENTION_BIASES.replace("bk[G,E] ", "")  # keys have no bias

#: The letters that the encoder of sound has of its own, beside the decoder.
OF_SOUND = {letter: axis(f"{letter}e") for letter in "LHEF"} | {"G": axis("He")}


def moments() -> list[Part]:
    """Make T moments of twice as many frames of sound, with two convolutions, of which the second halves."""
    first = piece(
        conv("sound[B,Cs,Frames] * w1[D,Cs,Taps] -> x[B,D,Places]"),
        weights="w1[D,Cs,Taps]",
        kept="sound[B,Cs,Places] x[B,D,Places] gelu[B,D,Places]",
        data=["sound"],
    )
    second = piece(
        conv("x[B,In,Frames] * w2[D,In,Taps] -> y[B,D,Places]"),
        weights="w2[D,In,Taps]",
        kept="y[B,D,Places]",
    )
    three = Integer(3)
    both = first.at(Taps=three, Places=2 * T) + second.at(In=D, Taps=three, Places=T)
    return [Part(MATRICES, both), biases(ONE, "b1[D] b2[D]")]


def whisper(config: Config) -> Read:
    """Read a Whisper, which writes what it hears.

    Le layers hear A moments of sound, L layers write T tokens, and each of these meets all A moments. Two
    convolutions make the moments from 2A frames of Cs bands of frequencies; sound is always padded to as many
    frames as `max_source_positions` says. Keys have no bias. Positions of sound are a table that is not trained;
    parameters hold it all the same.
    """
    config.also_named(
        hidden_size="d_model", num_hidden_layers="encoder_layers", num_attention_heads="encoder_attention_heads",
        num_key_value_heads="encoder_attention_heads",
    )  # fmt: skip
    config.activation("activation_function")
    config.without_effect(
        "dropout", "attention_dropout", "activation_dropout", "init_std", "scale_embedding",
        "use_weighted_layer_sum", "classifier_proj_size", "apply_spec_augment", "mask_time_prob", "mask_time_length",
        "mask_time_min_masks", "mask_feature_prob", "mask_feature_length", "mask_feature_min_masks",
        "median_filter_width",
    )  # fmt: skip
    for key in ("encoder_layerdrop", "decoder_layerdrop"):
        config.one_of(key, 0.0, (0.0, 0))  # else layers are passed over by chance
    writer, listener = (
        heads(config, width=384, number=6, names=("d_model", f"{which}_attention_heads"))
        | dict(L=config.size(f"{which}_layers", 4), F=config.size(f"{which}_ffn_dim", 1536))
        for which in ("decoder", "encoder")
    )
    sizes = writer | dict(
        A=config.size("max_source_positions", 1500),
        Cs=config.size("num_mel_bins", 80),
        V=config.size("vocab_size", 51865),
        P=config.size("max_target_positions", 448),
    )
    sizes |= {str(OF_SOUND[letter]): size for letter, size in listener.items() if letter in OF_SOUND}
    layer = [feed_forward(L, gated=False), biases(L, f"{WITHOUT_KEYS} {FEED_FORWARD_BIASES}")]
    heard = [
        encoder_attention(L),
        *layer,
        norms(2 * L, WITH_SHIFT),
        Part(POSITIONS, piece(weights="positions[T,D]")),
        Part(LAST_NORM, piece(weights=WITH_SHIFT, kept=NORM)),
    ]
    return [
        *read_once([*moments(), *heard], A, **OF_SOUND),
        attention(L),
        *layer,
        norms(3 * L, WITH_SHIFT),
        *cross_attention(L, T, A),
        biases(L, WITHOUT_KEYS),
        Part(POSITIONS, piece(weights="positions[P,D]")),
        *both_ends(tied=config.flag("tie_word_embeddings", True), last_norm=WITH_SHIFT),
    ], sizes


READERS = {"whisper": whisper}
