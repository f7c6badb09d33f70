"""Derive encoders, whose tokens meet what comes before and after them, and encoders beside decoders."""

from dataclasses import replace

from sympy import Expr, Integer

from flopbook.checks import quoted
from flopbook.predict.axes import D, L, T, axis
from flopbook.predict.models.claims import LAST_NORM, LOOKUP, MATRICES, POSITIONS
from flopbook.predict.models.model import Model, piece
from flopbook.predict.products import matmul
from flopbook.published.config import Config, ConfigError
from flopbook.published.network import CAUSAL, EVERY, Mask, Part, Read, causal_among, every
from flopbook.published.on_paper.pieces import (
    NORM,
    attention,
    attention_by_reach,
    biases,
    both_ends,
    feed_forward,
    norms,
)

Le, Lw, U, W = (axis(letter) for letter in ("Le", "Lw", "U", "W"))
ZERO, ONE = Integer(0), Integer(1)

WITH_SHIFT = "norm[D] shift[D]"
#: Biases of attention and of the feed-forward part, where each matrix has one.
ATTENTION_BIASES, FEED_FORWARD_BIASES = "bq[H,E] bk[G,E] bv[G,E] bo[D]", "b1[F] b2[D]"


def encoder_attention(times: Expr, mask: Mask = EVERY) -> Part:
    """Give attention that keeps nothing for later queries: a further token would change all."""
    return replace(attention(times, mask), kept=ZERO)


def asking() -> Model:
    """Make queries of T tokens, let each meet S keys that are there already, and mix the heads."""
    return piece(
        matmul("x[B,T,D] @ wq[D,H,E] -> q[B,T,H,E]"),
        matmul("q[B,T,H,E] @ ks[B,S,H,E] -> s[B,H,T,S]"),
        matmul("p[B,H,T,S] @ vs[B,S,H,E] -> o[B,T,H,E]"),
        matmul("o[B,T,H,E] @ wo[H,E,D] -> y[B,T,D]"),
        weights="wq[D,H,E] wo[H,E,D]",
        kept="q[B,T,H,E] o[B,T,H,E] logsumexp[B,H,T]",
    )


def cross_attention(times: Expr, queries: Expr, keys: Expr) -> list[Part]:
    """Let each query meet what an encoder made; keys and values are made once, and kept.

    The tokens that ask are T in the products, and S are those that are asked.
    """
    made = piece(
        matmul("e[B,S,D] @ wk[D,G,E] -> k[B,S,G,E]"),
        matmul("e[B,S,D] @ wv[D,G,E] -> v[B,S,G,E]"),
        weights="wk[D,G,E] wv[D,G,E]",
        kept="k[B,S,G,E] v[B,S,G,E]",
    )
    met = every(queries, keys)
    return [
        Part(MATRICES, made, times, met, kept=attention(times).kept, once=True),
        Part(MATRICES, asking().at(T=queries), times, met),
    ]


def written(parts: list[Part], tokens: Expr) -> list[Part]:
    """Let parts of T tokens be those of a decoder, which writes as many tokens as a letter says."""
    return [replace(part, model=part.model.at(T=tokens), mask=causal_among(tokens)) for part in parts]


def read_once(parts: list[Part], tokens: Expr = T, **letters: Expr) -> list[Part]:
    """Let parts be those of an encoder that runs before the first token is written.

    Its tokens meet each other, and some letters may be others than those of what runs beside it.
    """
    put = {axis(letter): own for letter, own in letters.items()}
    return [
        replace(
            part,
            model=part.model.at(T=tokens, **letters),
            times=part.times.subs(put),
            mask=every(tokens, tokens),
            once=True,
        )
        for part in parts
    ]


def square() -> Part:
    """Multiply each token by a matrix as wide as high, as the heads of masked language models do."""
    layer = piece(matmul("x[B,T,D] @ wt[D,K] -> t[B,T,K]"), weights="wt[D,K]", kept="t[B,T,K]")  # a norm follows
    return Part(MATRICES, layer.at(K=D))


def heads(
    config: Config, *, width: int, number: int, names: tuple[str, str] = ("hidden_size", "num_attention_heads")
) -> dict[str, int]:
    """Read heads that share the width of a model evenly, with the library's defaults.

    Raises
    ------
    ConfigError
        If they cannot; the library refuses that, too.
    """
    D, H = config.size(names[0], width), config.size(names[1], number)
    if D % H:
        raise ConfigError(f"{config.where} says {names[0]} = {D}: give a multiple of {names[1]} = {H}")
    return dict(D=D, H=H, G=H, E=D // H)


def bert(config: Config) -> Read:
    """Read a BERT that tells masked words.

    So it is the library's ``BertForMaskedLM``: no pooler, and a square matrix before the output table. Norms stand
    behind each part, all matrices have biases, and tables give words, positions and segments. With `is_decoder` it
    is causal.
    """
    config.activation("hidden_act")
    config.without_effect(
        "layer_norm_eps", "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout",
        "directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
        "pooler_size_per_head", "pooler_type",
    )  # fmt: skip
    config.one_of("position_embedding_type", "absolute", ("absolute",))
    config.one_of("add_cross_attention", False, (False,))
    sizes = heads(config, width=768, number=12) | dict(
        L=config.size("num_hidden_layers", 12),
        F=config.size("intermediate_size", 3072),
        V=config.size("vocab_size", 30522),
        P=config.size("max_position_embeddings", 512),
        Vt=config.size("type_vocab_size", 2),
    )
    tied = config.flag("tie_word_embeddings", True)
    attended = attention(L, CAUSAL) if config.flag("is_decoder", False) else encoder_attention(L)
    return [
        attended,
        feed_forward(L, gated=False),
        biases(L, f"{ATTENTION_BIASES} {FEED_FORWARD_BIASES}"),
        norms(2 * L, WITH_SHIFT),
        Part(POSITIONS, piece(weights="positions[P,D]")),
        Part(LOOKUP, piece(weights="segments[Vt,D]")),
        norms(ONE, WITH_SHIFT),  # behind the tables
        square(),
        biases(ONE, "bt[D]"),
        *both_ends(tied=tied, last_norm=WITH_SHIFT),
        biases(ONE, "bv[V]" if tied else "bv[V] unused[V]"),  # the second is tied with the first, or is not used
    ], sizes


def modernbert(config: Config) -> Read:
    """Read a ModernBERT that tells masked words.

    In every third layer a token meets all, in the others a window around it: `local_attention` reaches half of it
    to either side, so a token meets one key more. The feed-forward part has a gate, positions are angles, and the
    first layer has no norm before its attention.
    """
    config.activation("hidden_activation")
    config.activation("classifier_activation")
    config.without_effect(
        "norm_eps", "layer_norm_eps", "attention_dropout", "embedding_dropout", "mlp_dropout", "classifier_dropout",
        "classifier_pooling", "initializer_cutoff_factor", "rope_parameters", "rope_scaling", "global_rope_theta",
        "local_rope_theta", "max_position_embeddings", "position_embedding_type", "sparse_pred_ignore_index",
        "deterministic_flash_attn", "reference_compile", "repad_logits_with_grad",
    )  # fmt: skip
    config.one_of("sparse_prediction", False, (False,))  # else the output table meets as many tokens as are masked
    sizes = heads(config, width=768, number=12) | dict(
        L=config.size("num_hidden_layers", 22),
        F=config.size("intermediate_size", 1152),
        V=config.size("vocab_size", 50368),
    )
    norm = WITH_SHIFT if config.flag("norm_bias", False) else "norm[D]"
    parts = [
        *_near_and_far(config, sizes),
        feed_forward(L, gated=True),
        norms(2 * L + 1, norm),  # two of each layer but one of the first, behind the table, and behind the layers
        square(),
        *both_ends(tied=config.flag("tie_word_embeddings", True), last_norm=norm),
    ]
    for key, default, times, weights in (
        ("attention_bias", False, L, ATTENTION_BIASES),
        ("mlp_bias", False, L, f"{FEED_FORWARD_BIASES} bg[F]"),
        ("classifier_bias", False, ONE, "bt[D]"),
        ("decoder_bias", True, ONE, "bv[V]"),
    ):
        if config.flag(key, default):
            parts.append(biases(times, weights))
    return parts, sizes


def _near_and_far(config: Config, sizes: dict[str, int]) -> list[Part]:
    """Read which layers have a window, and how wide it is; add both to the sizes."""
    each = config.size("global_attn_every_n_layers", 3)
    usual = ["sliding_attention" if place % each else "full_attention" for place in range(sizes["L"])]
    kinds = config.kinds("layer_types", ("full_attention", "sliding_attention"), sizes["L"]) or usual
    half = config.size("local_attention", 128, least=0) // 2
    half = config.size("sliding_window", half, least=0)
    return attention_by_reach(sizes, kinds.count("sliding_attention"), 2 * half + 1, both_sides=True)


def t5(config: Config) -> Read:
    """Read a T5, which reads a text and writes another.

    Le layers read T tokens, L layers write U, and each of these meets all T through cross-attention. A token's
    distance to another is looked up in a table, one beside each stack, that adds a number to a score. Version 1.1
    and Flan have a gate in the feed-forward part (`feed_forward_proj`). The library ties the output table to the
    words' whatever `tie_word_embeddings` says; the checkpoints of version 1.1 have one of their own.
    """
    config.activation("dense_act_fn")
    config.without_effect(
        "dropout_rate", "classifier_dropout", "layer_norm_epsilon", "relative_attention_max_distance", "is_decoder",
        "tie_word_embeddings", "scale_decoder_outputs", "n_positions",
    )  # fmt: skip
    config.one_of("is_encoder_decoder", True, (True,))
    written_layers = config.size("num_decoder_layers", config.size("num_layers", 6))
    config.also_named(
        hidden_size="d_model", num_attention_heads="num_heads", num_hidden_layers="num_layers", head_dim="d_kv"
    )
    H = config.size("num_heads", 8)
    sizes = dict(
        Le=config.size("num_layers", 6),
        L=written_layers,
        D=config.size("d_model", 512),
        H=H,
        G=H,
        E=config.size("d_kv", 64),
        F=config.size("d_ff", 2048),
        V=config.size("vocab_size", 32128),
        Rb=config.size("relative_attention_num_buckets", 32),
    )
    gated = config.flag("is_gated_act", _gated(config))
    distances = Part(POSITIONS, piece(weights="distances[Rb,H]"))
    reader = [
        encoder_attention(Le),
        feed_forward(Le, gated=gated),
        norms(2 * Le),
        Part(LAST_NORM, piece(weights="norm[D]", kept=NORM)),
        distances,
    ]
    writer = [
        attention(L),
        feed_forward(L, gated=gated),
        norms(3 * L),
        distances,
        *both_ends(tied=True),
    ]
    return [*read_once(reader), *written(writer, U), *cross_attention(L, U, T)], sizes


def _gated(config: Config) -> bool:
    """Read whether the feed-forward part has a gate, such as "gated-gelu" says.

    Raises
    ------
    ConfigError
        If it is neither a function without trained numbers nor a gated one.
    """
    words = str(config.value("feed_forward_proj") or "relu").split("-")
    Config({"feed_forward_proj": words[-1]}, config.where).activation("feed_forward_proj")
    if len(words) > 1 and (words[0] != "gated" or len(words) > 2):
        raise ConfigError(
            f"{config.where} says feed_forward_proj = {quoted('-'.join(words))}: "
            "give a function, such as relu, or a gated one, such as gated-gelu"
        )
    return words[0] == "gated"


READERS = {"bert": bert, "modernbert": modernbert, "t5": t5}
