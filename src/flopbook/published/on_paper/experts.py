"""Derive decoders whose tokens choose among experts, some of them with attention over latents.

X experts are Fx wide, and a token meets K of them; experts that all tokens meet are Fs wide together. Where only some
layers have experts, it is Lx of them, and the others have a feed-forward part of width F.
"""

from dataclasses import replace

from sympy import Expr

from flopbook.predict.axes import B, D, K, L, T, axis
from flopbook.predict.models.attention import latent_piece
from flopbook.predict.models.claims import BIASES, IDLE, LATENT_NORMS, MATRICES, OUTPUT, ROUTERS
from flopbook.predict.models.experts import X, others, pieces_of_experts
from flopbook.predict.models.model import piece
from flopbook.predict.products import matmul
from flopbook.published.config import Config, ConfigError
from flopbook.published.network import CAUSAL, ZERO, Part, Read, in_chunks
from flopbook.published.on_paper.dense import ALL_HEADS, ATTENTION, GATED, head_norms, optional
from flopbook.published.on_paper.keys import absent, evenly, pointwise, reach, reach_by_layer, widths
from flopbook.published.on_paper.pieces import attention, attention_by_reach, biases, both_ends, feed_forward, norms

Ck, Cq, Er, Ev, Fs, Fx, Lp = (axis(name) for name in ("Ck", "Cq", "Er", "Ev", "Fs", "Fx", "Lp"))

#: Keys that scale and balance the scores of experts: pointwise arithmetic.
SCORES = ("output_router_logits", "router_aux_loss_coef", "router_jitter_noise", "norm_topk_prob")


def chosen(config: Config, key: str, *, X: int, K: int | None, Fx: int) -> dict[str, int]:
    """Read the X experts that a key gives, and the K that a token meets; `Fx` is their width.

    Raises
    ------
    ConfigError
        If a token would meet more experts than there are.
    """
    sizes = dict(X=config.size(key, X), K=config.size("num_experts_per_tok", K), Fx=Fx)
    if sizes["K"] > sizes["X"]:
        raise ConfigError(
            f"{config.where} says num_experts_per_tok = {sizes['K']} and {key} = {sizes['X']}: a token cannot meet "
            "more experts than there are"
        )
    return sizes


def experts(times: Expr, *, shared: bool = False, biased: bool = False, every: bool = False) -> list[Part]:
    """Score X experts, and multiply by the K that a token chose; each has a gate.

    Parameters
    ----------
    times : sympy.Expr
        How many layers have them.
    shared : bool
        Whether there are experts that all tokens meet besides.
    biased : bool
        Whether routers and experts have biases.
    every : bool
        Whether programs send all tokens through all experts, and multiply by zero where an expert was not chosen.
    """
    router, met, idle, always = (each.at(F=Fx, J=Fs) for each in pieces_of_experts(B * T * K, 1))
    needed = None
    if every:
        met, needed = pieces_of_experts(B * T * X, 1).met.at(F=Fx), met
    parts = [Part(ROUTERS, router, times), Part(MATRICES, met, times, needed=needed), Part(IDLE, idle, times)]
    if shared:
        parts.append(Part(MATRICES, always, times))
    if biased:
        added = piece(weights="bg[K,Fx] b1[K,Fx] b2[K,D]")
        parts += [biases(times, "br[X]"), Part(BIASES, added, times), Part(IDLE, others(added), times)]
    return parts


def in_some_layers(sizes: dict[str, int], letter: str, layers: int) -> tuple[Expr, Expr]:
    """Write so many of all L layers, and the others, with a letter where there are both; add its size."""
    if layers in (0, sizes["L"]):
        return (L, ZERO) if layers else (ZERO, L)
    sizes[letter] = layers
    return axis(letter), L - axis(letter)


def mixed(  # noqa: PLR0913  (each is a choice of the architecture)
    sizes: dict[str, int],
    layers: int,
    of_experts: dict[str, int],
    width: int,
    *,
    every: bool = False,
    biased: bool = False,
) -> list[Part]:
    """Give experts to so many layers, and a feed-forward part of a width to the others; add the sizes of both.

    `biased` gives biases to what all tokens of a layer meet.
    """
    some, rest = in_some_layers(sizes, "Lx", layers)
    parts = []
    if some:
        sizes |= of_experts
        parts += experts(some, shared="Fs" in of_experts, every=every)
        parts += [biases(some, "bg[Fs] b1[Fs] b2[D]")] if biased else []
    if rest:
        sizes["F"] = width
        parts.append(feed_forward(rest, gated=True))
        parts += [biases(rest, GATED)] if biased else []
    return parts


def around(config: Config, parts: list[Part]) -> list[Part]:
    """Put two norms a layer, a last norm, and both tables around attention and experts."""
    return [*parts, norms(2 * L), *both_ends(tied=config.flag("tie_word_embeddings", False))]


def mixtral(config: Config) -> Read:
    """Read a Mixtral: a Mistral with experts in each layer, without a window unless one is given."""
    pointwise(config, *SCORES)
    config.also_named(num_experts="num_local_experts")
    sizes = widths(config, L=32, D=4096, F=14336, V=32000, H=32, G=8)
    sizes |= chosen(config, "num_local_experts", X=8, K=2, Fx=sizes.pop("F"))
    return around(config, [*reach(config, sizes, None), *experts(L)]), sizes


def qwen3_moe(config: Config) -> Read:
    """Read a Qwen 3 with experts: norms of queries and keys, and experts in each layer, or in some.

    Each `decoder_sparse_step`-th layer has them, but none of `mlp_only_layers`. A window, where it is used, is that of
    all layers: the library passes `max_window_layers` over.
    """
    pointwise(config, *SCORES, "max_window_layers")
    absent(config, "qkv_bias")
    config.one_of("shared_expert_intermediate_size", 0, (0,))
    config.one_of("use_qk_norm", True, (True,))
    config.also_named(num_local_experts="num_experts")
    sizes = widths(config, L=24, D=2048, F=6144, V=151936, H=32, G=4)
    width = config.size_or_null("sliding_window", 4096)
    met = attention_by_reach(sizes, sizes["L"], width if config.flag("use_sliding_window", False) else None)
    places, of_experts = experts_of_qwen(config, sizes["L"], X=128, K=8, Fx=768)
    parts = around(config, [*met, *mixed(sizes, len(places), of_experts, sizes.pop("F"))])
    return [*parts, head_norms("nq[E] nk[E]"), *optional(config, "attention_bias", ATTENTION)], sizes


def experts_of_qwen(config: Config, layers: int, *, X: int, K: int, Fx: int) -> tuple[list[int], dict[str, int]]:
    """List the layers that have experts, by their places from 0, and read the sizes of these."""
    step, without = config.size("decoder_sparse_step", 1), config.indices("mlp_only_layers")
    if not config.size("num_experts", X, least=0):
        config.without_effect("num_experts_per_tok", "moe_intermediate_size")
        return [], {}
    places = [place for place in range(step - 1, layers, step) if place not in without]
    return places, chosen(config, "num_experts", X=X, K=K, Fx=config.size("moe_intermediate_size", Fx))


def olmoe(config: Config) -> Read:
    """Read an OLMoE: experts in each layer, and norms of all queries and all keys of a token at once."""
    pointwise(config, *SCORES, "clip_qkv")
    config.also_named(num_local_experts="num_experts")
    sizes = widths(config, L=16, D=2048, F=2048, V=50304, H=16)
    if sizes["H"] * sizes["E"] != sizes["D"]:
        raise ConfigError(
            f"{config.where} says hidden_size = {sizes['D']}, and {sizes['H']} heads of {sizes['E']} are not as wide: "
            "the norm of all queries needs them to be"
        )
    sizes |= chosen(config, "num_experts", X=64, K=8, Fx=sizes.pop("F"))
    parts = [*around(config, [attention(L), *experts(L)]), head_norms("nq[H,E] nk[G,E]", ALL_HEADS)]
    return [*parts, *optional(config, "attention_bias", ATTENTION)], sizes


def gpt_oss(config: Config) -> Read:
    """Read a gpt-oss: a window in every second layer, a sink for each head, and biases in routers and experts.

    A sink is one more score of each query, which no key has: pointwise arithmetic. The library multiplies scores and
    values one after the other here; activations are those of a fused attention, which people train with.
    """
    pointwise(config, *SCORES, "swiglu_alpha", "swiglu_limit", "experts_per_token", "initial_context_length")
    config.also_named(num_experts="num_local_experts")
    sizes = widths(config, L=36, D=2880, F=2880, V=201088, H=64, G=8, E=64)
    sizes |= chosen(config, "num_local_experts", X=128, K=4, Fx=sizes.pop("F"))
    width = config.size_or_null("sliding_window", 128)
    met = reach_by_layer(config, sizes, width, lambda place: place % 2 == 0)
    parts = [*around(config, [*met, *experts(L, biased=True)]), biases(L, "sinks[H]")]
    return [*parts, *optional(config, "attention_bias", ATTENTION, default=True)], sizes


def deepseek_v2(config: Config) -> Read:
    """Read a DeepSeek-V2: attention over latents, and small experts beside some that all tokens meet.

    The first `first_k_dense_replace` layers have no experts.
    """
    config.also_named(num_experts="n_routed_experts")
    sizes = _own_heads(config, L=32, D=4096, V=102400, H=32)
    evenly(config, sizes["D"], sizes["H"])  # although heads have widths of their own, as in the library
    of_experts = _small_experts(config, X=64, K=None, Fx=1407, shared=2)
    biased = config.flag("mlp_bias", False)
    after = _after_dense_layers(config, sizes, of_experts, first=0, F=11008, biased=biased)
    return around(config, [*latents(config, sizes), *after]), sizes


def deepseek_v3(config: Config) -> Read:
    """Read a DeepSeek-V3: a V2 whose first three layers have no experts, and whose experts are balanced by numbers.

    These numbers are moved without gradients. The library holds them beside the parameters: X for each layer with
    experts, and those of the published model are in its 671,026,419,200.

    Layers that predict a token further ahead each, `num_nextn_predict_layers` of them, are in `further`, as the 671
    billion of the published model are without them: the library builds them for generation alone. Such a layer joins
    what a token has become to the word that comes next, and has attention and experts; it shares both tables. The
    published model's makers count 11.5 billion numbers in its one: README_WEIGHTS.md in
    https://github.com/deepseek-ai/DeepSeek-V3, commit 0b39205.
    """
    config.also_named(num_local_experts="n_routed_experts", num_mtp_layers="num_nextn_predict_layers")
    config.without_effect("rope_interleave")
    sizes = _own_heads(config, L=61, D=7168, V=129280, H=128)
    of_experts = _small_experts(config, X=256, K=8, Fx=2048, shared=1)
    parts = [*latents(config, sizes), *_after_dense_layers(config, sizes, of_experts, first=3, F=18432)]
    parts = around(config, parts)
    if further := config.size("num_nextn_predict_layers", 1, least=0):
        sizes |= of_experts | dict(Lp=further)
        parts += [replace(part, further=True) for part in _predicting_further(config, sizes)]
    return parts, sizes


def _predicting_further(config: Config, sizes: dict[str, int]) -> list[Part]:
    """Give the layers that predict a token further ahead each."""
    joined = piece(matmul("e[B,T,J] @ wj[J,D] -> y[B,T,D]"), weights="wj[J,D]", kept="e[B,T,J]").at(J=2 * D)
    logits = piece(matmul("n[B,T,D] @ table[D,V] -> logits[B,T,V]"), kept="logsoftmax[B,T,V] weight[]")
    return [
        Part(MATRICES, joined, Lp),
        *latents(config, sizes, Lp),
        *experts(Lp, shared=True),
        norms(5 * Lp),  # of both that are joined, before attention and experts, and the last
        Part(OUTPUT, logits, Lp),
    ]


def _own_heads(config: Config, **defaults: int) -> dict[str, int]:
    """Read the sizes of a decoder whose heads have keys and values of their own, made from latents."""
    pointwise(
        config, *SCORES, "n_group", "topk_group", "topk_method", "routed_scaling_factor", "scoring_func",
        "aux_loss_alpha", "seq_aux", "head_dim", "qk_head_dim", "pretraining_tp", "ep_size",
    )  # fmt: skip
    keys = dict(L="num_hidden_layers", D="hidden_size", V="vocab_size", H="num_attention_heads")
    sizes = {letter: config.size(key, defaults[letter]) for letter, key in keys.items()}
    if (G := config.size("num_key_value_heads", sizes["H"])) < sizes["H"]:
        raise ConfigError(
            f"{config.where} says num_key_value_heads = {G}: with latents, each head has keys and values of its own: "
            f"give {sizes['H']}, or leave it out"
        )
    return sizes


def latents(config: Config, sizes: dict[str, int], times: Expr = L) -> list[Part]:
    """Give attention over latents, with or without one for queries, its norms and its biases; add their sizes.

    In training, and for a text that is read, keys and values of all heads are made from their latent. For one more
    token, the weights that would make them act on its query and its result instead, as in programs that serve such
    models; the library makes all keys and values anew for each token. A token leaves Ck + Er numbers.
    """
    sizes |= dict(
        E=config.size("qk_nope_head_dim", 128), Er=config.size("qk_rope_head_dim", 64),
        Ev=config.size("v_head_dim", 128), Ck=config.size("kv_lora_rank", 512),
    )  # fmt: skip
    norm, kept, bias = "nk[Ck]", "ck[B,T,Ck] lk[B,T,Ck] mean[B,T] deviation[B,T]", "bk[Ck] br[Er] bo[D]"
    if rank := config.size_or_null("q_lora_rank", 1536):
        sizes["Cq"] = rank
        norm, bias = f"nq[Cq] {norm}", f"bq[Cq] {bias}"
        kept += " cq[B,T,Cq] lq[B,T,Cq] qmean[B,T] qdeviation[B,T]"
    letters = dict(C=Ck, Q=Cq, R=Er, J=Ev)
    model, absorbed = (
        latent_piece(absorbed, latent_queries=rank is not None).at(**letters) for absorbed in (False, True)
    )
    met = Part(MATRICES, model, times, kept=Ck + Er, token=absorbed.forward)
    added = [biases(times, bias)] if config.flag("attention_bias", False) else []
    return [met, norms(times, norm, kept, LATENT_NORMS), *added]


def _small_experts(config: Config, *, X: int, K: int | None, Fx: int, shared: int) -> dict[str, int]:
    """Read the sizes of experts that a token chooses, and of those that all tokens meet."""
    sizes = chosen(config, "n_routed_experts", X=X, K=K, Fx=config.size("moe_intermediate_size", Fx))
    return sizes | dict(Fs=config.size("n_shared_experts", shared) * sizes["Fx"])


def _after_dense_layers(  # noqa: PLR0913  (each is a choice of the architecture)
    config: Config, sizes: dict[str, int], of_experts: dict[str, int], *, first: int, F: int, biased: bool = False
) -> list[Part]:
    """Give experts to all but the first layers, and add their sizes."""
    config.one_of("moe_layer_freq", 1, (1,))
    layers = max(0, sizes["L"] - config.size("first_k_dense_replace", first, least=0))
    return mixed(sizes, layers, of_experts, config.size("intermediate_size", F), biased=biased)


def llama4_text(config: Config) -> Read:
    """Read the text part of a Llama 4: chunks in three of four layers, and an expert that all tokens meet.

    The library sends every token through all X experts, and multiplies by zero where an expert was not chosen; what
    is needed has the K that were chosen, as programs that people train with have. Norms of queries and keys have no
    weights.
    """
    pointwise(
        config, *SCORES, "use_qk_norm", "attn_temperature_tuning", "floor_scale", "attn_scale", "for_llm_compressor",
    )  # fmt: skip
    sizes = widths(config, L=48, D=5120, F=8192, V=202048, H=40, G=8, E=128)
    of_experts = chosen(config, "num_local_experts", X=16, K=1, Fx=sizes["F"]) | dict(Fs=sizes.pop("F"))
    step = config.size("interleave_moe_layer_step", 1)
    with_experts = set(range(step - 1, sizes["L"], step))
    if config.value("moe_layers") is not None:
        with_experts = {place for place in config.indices("moe_layers") if place < sizes["L"]}
    parts = _in_chunks(config, sizes)
    parts += mixed(sizes, len(with_experts), of_experts, config.size("intermediate_size_mlp", 16384), every=True)
    return [*around(config, parts), *optional(config, "attention_bias", ATTENTION)], sizes


def _in_chunks(config: Config, sizes: dict[str, int]) -> list[Part]:
    """Give attention of L layers, which stays in chunks where positions are turned into angles."""
    chunk, interval = config.size_or_null("attention_chunk_size", 8192), config.size("no_rope_layer_interval", 4)
    turned = config.numbers("no_rope_layers", ()) or [(place + 1) % interval for place in range(sizes["L"])]
    if len(turned) < sizes["L"]:
        raise ConfigError(
            f"{config.where} says no_rope_layers = {turned}: give a number for each of {sizes['L']} layers"
        )
    kinds = config.kinds("layer_types", ("full_attention", "chunked_attention"), sizes["L"])
    if kinds is None:
        layers = sum(map(bool, turned[: sizes["L"]])) if chunk else 0
    else:
        layers = kinds.count("chunked_attention")
    if layers and chunk is None:
        raise ConfigError(f"{config.where} has layers in chunks but no attention_chunk_size: give a whole number")
    chunked, whole = in_some_layers(sizes, "Lc", layers)
    if chunk and chunked:
        sizes["M"] = chunk
    return [attention(times, mask) for times, mask in ((chunked, in_chunks(axis("M"))), (whole, CAUSAL)) if times]


READERS = {
    "deepseek_v2": deepseek_v2, "deepseek_v3": deepseek_v3, "gpt_oss": gpt_oss, "llama4_text": llama4_text,
    "mixtral": mixtral, "olmoe": olmoe, "qwen3_moe": qwen3_moe,
}  # fmt: skip
