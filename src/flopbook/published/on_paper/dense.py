"""Derive decoders whose tokens meet all parameters: GPT-2, Llama and their relatives."""

from collections.abc import Callable

from sympy import Expr, Integer

from flopbook.predict.axes import L
from flopbook.predict.models.claims import HEAD_NORMS, POSITIONS
from flopbook.predict.models.model import piece
from flopbook.published.config import Config, ConfigError
from flopbook.published.network import Part, Read
from flopbook.published.on_paper.keys import absent, evenly, pointwise, reach, reach_by_layer, widths
from flopbook.published.on_paper.pieces import attention, biases, both_ends, feed_forward, norms

#: A norm with two numbers for each of its inputs, as `torch.nn.LayerNorm` has.
SHIFTED = "norm[D] shift[D]"
#: Biases of attention, and of a feed-forward part with a gate and without.
ATTENTION, GATED, PLAIN = "bq[H,E] bk[G,E] bv[G,E] bo[D]", "bg[F] b1[F] b2[D]", "b1[F] b2[D]"
#: What norms of queries and keys keep: norms of each head, and norms of all heads at once.
EACH_HEAD = "qx[B,T,H,E] qmean[B,T,H] qdeviation[B,T,H] kx[B,T,G,E] kmean[B,T,G] kdeviation[B,T,G]"
ALL_HEADS = "qx[B,T,H,E] qmean[B,T] qdeviation[B,T] kx[B,T,G,E] kmean[B,T] kdeviation[B,T]"


def gated(
    config: Config, met: list[Part], *, tied: bool = False, norms_of_a_layer: int = 2, norm: str = "norm[D]"
) -> list[Part]:
    """Put a feed-forward part with a gate, norms without a shift, and both tables to the attention of L layers."""
    tied = config.flag("tie_word_embeddings", tied)
    return [
        *met,
        feed_forward(L, gated=True),
        norms(norms_of_a_layer * L, norm),
        *both_ends(tied=tied, last_norm=norm),
    ]


def plain(config: Config, met: list[Part], times: Expr, *, tied: bool = False) -> list[Part]:
    """Put a feed-forward part of two matrices, so many norms with a shift, and both tables to attention."""
    tied = config.flag("tie_word_embeddings", tied)
    return [*met, feed_forward(L, gated=False), norms(times, SHIFTED), *both_ends(tied=tied, last_norm=SHIFTED)]


def optional(config: Config, key: str, weights: str, default: bool = False) -> list[Part]:
    """Give biases in all layers, where a key says so."""
    return [biases(L, weights)] if config.flag(key, default) else []


def head_norms(weights: str, kept: str = EACH_HEAD) -> Part:
    """Give norms of queries and keys in all layers."""
    return norms(L, weights, kept, HEAD_NORMS)


def gpt2(config: Config) -> Read:
    """Read a GPT-2: a table of positions, biases everywhere, norms with a shift, and one table at both ends."""
    config.also_named(
        hidden_size="n_embd", num_hidden_layers="n_layer", num_attention_heads="n_head",
        max_position_embeddings="n_positions",
    )  # fmt: skip
    pointwise(
        config, "n_ctx", "attn_pdrop", "embd_pdrop", "resid_pdrop", "layer_norm_epsilon", "scale_attn_weights",
        "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn", "summary_type", "summary_use_proj",
        "summary_activation", "summary_proj_to_labels", "summary_first_dropout", "_num_labels",
        activation="activation_function",
    )  # fmt: skip
    absent(config, "add_cross_attention")
    D, H = config.size("n_embd", 768), config.size("n_head", 12)
    sizes = dict(
        L=config.size("n_layer", 12), D=D, F=config.size("n_inner", 4 * D), V=config.size("vocab_size", 50257),
        P=config.size("n_positions", 1024), H=H, G=H, E=evenly(config, D, H),
    )  # fmt: skip
    positions = Part(POSITIONS, piece(weights="positions[P,D]"))
    return [*plain(config, [attention(L)], 2 * L, tied=True), positions, biases(L, ATTENTION), biases(L, PLAIN)], sizes


def gpt_neox(config: Config) -> Read:
    """Read a GPT-NeoX or Pythia: a GPT-2 that turns positions into angles, with two tables."""
    pointwise(
        config, "layer_norm_eps", "rotary_pct", "rotary_emb_base", "use_parallel_residual", "is_decoder",
        "hidden_dropout", "classifier_dropout", "attention_probs_dropout_prob", "hidden_dropout_prob",
    )  # fmt: skip
    D, H = config.size("hidden_size", 6144), config.size("num_attention_heads", 64)
    sizes = dict(
        L=config.size("num_hidden_layers", 44), D=D, F=config.size("intermediate_size", 24576),
        V=config.size("vocab_size", 50432), H=H, G=H, E=evenly(config, D, H),
    )  # fmt: skip
    parts = [*plain(config, [attention(L)], 2 * L), biases(L, PLAIN)]
    return parts + optional(config, "attention_bias", ATTENTION, default=True), sizes


def llama(config: Config) -> Read:
    """Read a Llama: a norm before each part, heads that share keys and values, a gate."""
    pointwise(config, "rope_interleaved", "is_llama_config", "max_sequence_length")
    config.one_of("pretraining_tp", 1, (1,))
    parts, sizes = _llama(config)
    evenly(config, sizes["D"], sizes["H"])  # even where head_dim is given, as in the library
    return parts, sizes


def granite(config: Config) -> Read:
    """Read a Granite: a Llama that scales scores, logits and what its parts add."""
    pointwise(config, "embedding_multiplier", "logits_scaling", "residual_multiplier", "attention_multiplier")
    return _llama(config)


def _llama(config: Config) -> Read:
    sizes = widths(config, L=32, D=4096, F=11008, V=32000, H=32)
    parts = gated(config, [attention(L)])
    return parts + optional(config, "attention_bias", ATTENTION) + optional(config, "mlp_bias", GATED), sizes


def mistral(config: Config) -> Read:
    """Read a Mistral: a Llama whose queries reach over a window, where one is given."""
    pointwise(config)
    sizes = widths(config, L=32, D=4096, F=14336, V=32000, H=32, G=8)
    return gated(config, reach(config, sizes, 4096)), sizes


def ministral3(config: Config) -> Read:
    """Read the text part of a Ministral 3: a Mistral with heads of their own width, that scales far queries."""
    pointwise(config)
    sizes = widths(config, L=34, D=4096, F=14336, V=131072, H=32, G=8, E=128)
    return gated(config, reach(config, sizes, None)), sizes


def qwen2(config: Config) -> Read:
    """Read a Qwen 2 or 2.5: a Llama with biases of queries, keys and values; its last layers may have a window."""
    pointwise(config, "use_mrope")
    sizes = widths(config, L=32, D=4096, F=22016, V=151936, H=32, G=32)
    return [*gated(config, _last_layers_reach(config, sizes)), biases(L, "bq[H,E] bk[G,E] bv[G,E]")], sizes


def qwen3(config: Config) -> Read:
    """Read a Qwen 3: a Qwen 2 with norms of queries and keys in the place of biases."""
    pointwise(config)
    sizes = widths(config, L=32, D=4096, F=22016, V=151936, H=32, G=32, E=128)
    parts = [*gated(config, _last_layers_reach(config, sizes)), head_norms("nq[E] nk[E]")]
    return parts + optional(config, "attention_bias", ATTENTION), sizes


def _last_layers_reach(config: Config, sizes: dict[str, int]) -> list[Part]:
    """Give a Qwen's attention: a window from layer `max_window_layers` on, if `use_sliding_window` says so."""
    first, width = config.size("max_window_layers", 28, least=0), config.size_or_null("sliding_window", 4096)
    if not config.flag("use_sliding_window", False):
        width = None
    return reach_by_layer(config, sizes, width, lambda place: width is not None and place >= first)


def smollm3(config: Config) -> Read:
    """Read a SmolLM 3: a Llama with one table, where a layer in four turns no positions into angles.

    The layers without positions may have a window.
    """
    pointwise(config, "pretraining_tp", "max_window_layers")
    sizes = widths(config, L=36, D=2048, F=11008, V=128256, H=16, G=4)
    interval = config.size("no_rope_layer_interval", 4)
    turned = config.numbers("no_rope_layers", [(place + 1) % interval for place in range(sizes["L"])])
    if len(turned) < sizes["L"]:
        raise ConfigError(
            f"{config.where} says no_rope_layers = {turned}: give a number for each of {sizes['L']} layers"
        )
    width = config.size_or_null("sliding_window", None)
    windows = config.flag("use_sliding_window", False) and width is not None
    met = reach_by_layer(config, sizes, width, lambda place: windows and not turned[place])
    parts = gated(config, met, tied=True)
    return parts + optional(config, "attention_bias", ATTENTION) + optional(config, "mlp_bias", GATED), sizes


def starcoder2(config: Config) -> Read:
    """Read a StarCoder 2: no gate, norms with a shift, biases everywhere, one table, and perhaps a window."""
    pointwise(
        config, "norm_epsilon", "layer_norm_epsilon", "residual_dropout", "embedding_dropout",
        "attention_softmax_in_fp32", "scale_attention_softmax_in_fp32", "scale_attn_weights", "activation_function",
    )  # fmt: skip
    config.one_of("mlp_type", "default", ("default",))
    config.one_of("norm_type", "layer_norm", ("layer_norm",))
    sizes = widths(config, L=30, D=3072, F=12288, V=49152, H=24, G=2)
    parts = plain(config, reach(config, sizes, None), 2 * L, tied=True)
    return parts + optional(config, "use_bias", f"{ATTENTION} {PLAIN}", default=True), sizes


def phi(config: Config) -> Read:
    """Read a Phi 1 to 2: one norm before attention and feed-forward, which run side by side; biases of all products."""
    pointwise(config, "layer_norm_eps", "resid_pdrop", "embd_pdrop")
    sizes = widths(config, L=24, D=2048, F=8192, V=51200, H=32)
    parts = plain(config, [attention(L)], L)
    parts += [biases(L, ATTENTION), biases(L, PLAIN), biases(Integer(1), "b[V]")]
    if config.flag("qk_layernorm", False):
        parts.append(head_norms("nq[E] sq[E] nk[E] sk[E]"))
    return parts, sizes


def phi3(config: Config) -> Read:
    """Read a Phi 3 or 4: a Llama, perhaps with a window; one product makes queries, keys and values."""
    pointwise(
        config, "original_max_position_embeddings", "resid_pdrop", "embd_pdrop", "full_attn_mod", "interpolate_factor"
    )
    absent(config, "attention_bias", "mlp_bias", "lm_head_bias")
    sizes = widths(config, L=32, D=3072, F=8192, V=32064, H=32)
    return gated(config, reach(config, sizes, None)), sizes


def gemma(config: Config) -> Read:
    """Read a Gemma 1: a Llama with heads of their own width, and one table."""
    pointwise(config, "hidden_activation")
    absent(config, "use_bidirectional_attention")
    sizes = widths(config, L=28, D=3072, F=24576, V=256000, H=16, G=16, E=256)
    return gated(config, [attention(L)], tied=True) + optional(config, "attention_bias", ATTENTION), sizes


def gemma2(config: Config) -> Read:
    """Read a Gemma 2: a window in every second layer, norms before and after each part, caps, and one table."""
    config.without_effect("sliding_window_size")
    config.one_of("sliding_window_pattern", 2, (2,))
    absent(config, "use_bidirectional_attention")
    sizes = _sandwich(config, V=256000)
    met = reach_by_layer(config, sizes, config.size_or_null("sliding_window", 4096), lambda place: place % 2 == 0)
    return _sandwiched(config, met), sizes


def gemma3(config: Config) -> Read:
    """Read the text part of a Gemma 3: a Gemma 2 with windows in five layers of six, and norms of queries and keys.

    With `use_bidirectional_attention`, as in EmbeddingGemma, a window reaches half its width to either side.
    """
    config.without_effect("rope_local_base_freq", "_sliding_window_pattern")
    pattern = config.size("sliding_window_pattern", 6)
    sizes = _sandwich(config, V=262208)
    width, both_sides = config.size_or_null("sliding_window", 4096), config.flag("use_bidirectional_attention", False)
    if both_sides and width:
        width = 2 * (width // 2) + 1
    met = reach_by_layer(config, sizes, width, lambda place: (place + 1) % pattern != 0, both_sides=both_sides)
    return [*_sandwiched(config, met), head_norms("nq[E] nk[E]")], sizes


def _sandwich(config: Config, *, V: int) -> dict[str, int]:
    """Read the sizes that Gemma 2 and 3 have in common."""
    pointwise(
        config, "hidden_act", "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping",
        activation="hidden_activation",
    )  # fmt: skip
    sizes = widths(config, L=26, D=2304, F=9216, V=V, H=8, G=4, E=256)
    evenly(config, sizes["D"], sizes["H"])  # even where head_dim is given, as in the library
    return sizes


def _sandwiched(config: Config, met: list[Part]) -> list[Part]:
    """Put each part between two norms."""
    return gated(config, met, tied=True, norms_of_a_layer=4) + optional(config, "attention_bias", ATTENTION)


def olmo(config: Config) -> Read:
    """Read an OLMo 1: a Llama whose norms have no weights."""
    pointwise(config, "clip_qkv")
    sizes = widths(config, L=32, D=4096, F=11008, V=50304, H=32)
    return gated(config, [attention(L)], norm="") + optional(config, "attention_bias", ATTENTION), sizes


def olmo2(config: Config) -> Read:
    """Read an OLMo 2: norms after each part instead of before, and of all queries and all keys of a token at once."""
    return _normed_after(config, lambda sizes: [attention(L)])


def olmo3(config: Config) -> Read:
    """Read an OLMo 3: an OLMo 2 with a window in three layers of four."""
    width = config.size_or_null("sliding_window", 4096)
    return _normed_after(config, lambda sizes: reach_by_layer(config, sizes, width, lambda place: (place + 1) % 4 != 0))


def _normed_after(config: Config, met: Callable[[dict[str, int]], list[Part]]) -> Read:
    pointwise(config)
    sizes = widths(config, L=32, D=4096, F=11008, V=50304, H=32)
    parts = [*gated(config, met(sizes)), head_norms("nq[H,E] nk[G,E]", ALL_HEADS)]
    return parts + optional(config, "attention_bias", ATTENTION), sizes


def cohere(config: Config) -> Read:
    """Read a Command R: one norm before attention and feed-forward, which run side by side, and one table."""
    pointwise(config, "layer_norm_eps", "logit_scale", "model_max_length", "pretraining_tp")
    sizes = widths(config, L=40, D=8192, F=22528, V=256000, H=64)
    parts = gated(config, [attention(L)], tied=True, norms_of_a_layer=1)
    if config.flag("use_qk_norm", False):
        parts.append(head_norms("nq[H,E] nk[G,E]"))
    return parts + optional(config, "attention_bias", ATTENTION), sizes


def cohere2(config: Config) -> Read:
    """Read a Command R 7B or A: a Command R with a window in three layers of four.

    Its makers' files also say what the library does in any case: which layers have a window, that both parts of a
    layer run side by side, and that there is one table.
    """
    pointwise(config, "layer_norm_eps", "logit_scale", "layer_switch", "position_embedding_type", "rotary_pct")
    config.one_of("order_of_interleaved_layers", "local_attn_first", ("local_attn_first",))
    for key in ("use_embedding_sharing", "use_gated_activation", "use_parallel_block"):
        config.one_of(key, True, (True,))
    absent(config, "use_parallel_embedding", "use_qk_norm")
    sizes = widths(config, L=40, D=8192, F=22528, V=256000, H=64)
    width, pattern = config.size_or_null("sliding_window", 4096), config.size("sliding_window_pattern", 4)
    met = reach_by_layer(config, sizes, width, lambda place: (place + 1) % pattern != 0)
    parts = gated(config, met, tied=True, norms_of_a_layer=1)
    return parts + optional(config, "attention_bias", ATTENTION), sizes


READERS = {
    "cohere": cohere, "cohere2": cohere2, "gemma": gemma, "gemma2": gemma2, "gemma3_text": gemma3, "gpt2": gpt2,
    "gpt_neox": gpt_neox, "granite": granite, "llama": llama, "ministral3": ministral3, "mistral": mistral,
    "olmo": olmo, "olmo2": olmo2, "olmo3": olmo3, "phi": phi, "phi3": phi3, "qwen2": qwen2, "qwen3": qwen3,
    "smollm3": smollm3, "starcoder2": starcoder2,
}  # fmt: skip
