"""Derive state spaces, and hybrids of them with attention: from Mamba and RWKV to Jamba and Qwen3-Next."""

from flopbook.checks import quoted
from flopbook.predict.axes import B, D, K, L, T, axis
from flopbook.predict.models.claims import HEAD_NORMS, IDLE, MATRICES, ROUTERS
from flopbook.predict.models.experts import pieces_of_experts
from flopbook.predict.models.model import piece
from flopbook.predict.products import matmul
from flopbook.published.config import Config, ConfigError
from flopbook.published.network import Part, Read
from flopbook.published.on_paper.dense import ATTENTION, EACH_HEAD, GATED, optional
from flopbook.published.on_paper.experts import SCORES, Fs, Fx, around, chosen, experts_of_qwen, in_some_layers, mixed
from flopbook.published.on_paper.keys import pointwise, widths
from flopbook.published.on_paper.pieces import attention, biases, both_ends, feed_forward, norms
from flopbook.published.on_paper.scans import AFTER, BEFORE, Ds, delta_mixer, mamba2_mixer, mamba2_norm, mamba_mixer

La, Lf, Ls, Lx = (axis(name) for name in ("La", "Lf", "Ls", "Lx"))

#: Keys that normalize, choose how a scan begins, and which code runs it: none changes what is multiplied.
OF_SCANS = (
    "layer_norm_epsilon", "residual_in_fp32", "rescale_prenorm_residual", "time_step_limit", "time_step_min",
    "time_step_max", "time_step_floor", "time_step_scale", "time_step_init_scheme", "use_mambapy", "use_mamba_kernels",
    "use_associative_scan", "num_logits_to_keep",
)  # fmt: skip


def shared_by_groups(config: Config, sizes: dict[str, int]) -> None:
    """Refuse groups that cannot share the heads of a scan."""
    if sizes["Hs"] % sizes["Gs"]:
        raise ConfigError(
            f"{config.where} has {sizes['Gs']} groups, which cannot share the {sizes['Hs']} heads of a scan evenly: "
            "give a number that divides the heads"
        )


def scan_sizes(config: Config, expanded: int, **sizes: int) -> dict[str, int]:
    """Check that the heads and groups of a scan go together."""
    if sizes["Hs"] * sizes["Ps"] != expanded:
        raise ConfigError(
            f"{config.where} has {sizes['Hs']} heads of a scan that are {sizes['Ps']} wide, but an expanded width of "
            f"{expanded}: let heads times width be the expanded width"
        )
    shared_by_groups(config, sizes)
    return sizes


def size_or_auto(config: Config, key: str, auto: int) -> int:
    """Read a size that may be "auto"."""
    return auto if config.value(key) == "auto" else config.size(key, auto)


def mamba(config: Config) -> Read:
    """Read a Mamba: each layer is a scan, whose steps, keys and queries depend on the token; no attention.

    A Falcon Mamba has norms of these three besides, which have no weights.
    """
    config.without_effect(*OF_SCANS, "mixer_rms_eps")
    config.activation("hidden_act")
    width = config.size("hidden_size", 768)
    sizes = dict(
        L=config.size("num_hidden_layers", 32),
        D=width,
        V=config.size("vocab_size", 50280),
        Ds=config.size("intermediate_size", config.size("expand", 2) * width),
        Ns=config.size("state_size", 16),
        Ks=config.size("conv_kernel", 4),
        Rs=size_or_auto(config, "time_step_rank", -(-width // 16)),
    )
    mixer = mamba_mixer(L, config.flag("use_bias", False), config.flag("use_conv_bias", True))
    return [*mixer, norms(L), *both_ends(tied=config.flag("tie_word_embeddings", True))], sizes


def mamba2(config: Config) -> Read:
    """Read a Mamba 2: each layer is a scan in heads, which a program runs in chunks; no attention."""
    config.without_effect(*OF_SCANS, "time_step_rank", "intermediate_size", "norm_before_gate")
    config.activation("hidden_act")
    config.one_of("rms_norm", True, (True,))
    width = config.size("hidden_size", 4096)
    sizes = scan_sizes(
        config,
        config.size("expand", 2) * width,
        L=config.size("num_hidden_layers", 64),
        D=width,
        V=config.size("vocab_size", 32768),
        Hs=config.size("num_heads", 128),
        Ps=config.size("head_dim", 64),
        Gs=config.size("n_groups", 8),
        Ns=config.size("state_size", 128),
        Ks=config.size("conv_kernel", 4),
        Zs=config.size("chunk_size", 256),
    )
    parts = [*mamba2_mixer(L, sizes, config.flag("use_conv_bias", True)), mamba2_norm(L)]
    parts += optional(config, "use_bias", f"{BEFORE} {AFTER}")
    return [*parts, norms(L), *both_ends(tied=config.flag("tie_word_embeddings", False))], sizes


def bamba(config: Config) -> Read:
    """Read a Bamba: scans of Mamba 2, but attention in the listed layers, and a feed-forward part in all."""
    pointwise(config, *OF_SCANS, "attn_rotary_emb", "z_loss_coefficient")
    sizes = widths(config, L=32, D=4096, F=14336, V=128000, H=32, G=8)
    sizes |= scan_of_hybrid(config, config.size("mamba_expand", 2) * sizes["D"])
    places = config.indices("attn_layer_indices")
    attended, others = in_some_layers(sizes, "La", sum(place in places for place in range(sizes["L"])))
    parts = [*mamba2_mixer(others, sizes, config.flag("mamba_conv_bias", True)), mamba2_norm(others)]
    if config.flag("mamba_proj_bias", False):
        parts.append(biases(others, f"{BEFORE} {AFTER}"))
    parts += [attention(attended), feed_forward(L, gated=True)]
    if config.flag("attention_bias", False):
        parts.append(biases(attended, ATTENTION))
    return around(config, present([*parts, *optional(config, "mlp_bias", GATED)])), sizes


def scan_of_hybrid(config: Config, expanded: int) -> dict[str, int]:
    """Read the sizes of a scan of Mamba 2 beside attention, in so many channels."""
    heads = config.size("mamba_n_heads", 128)
    return scan_sizes(
        config,
        expanded,
        Hs=heads,
        Ps=size_or_auto(config, "mamba_d_head", expanded // heads),
        Gs=config.size("mamba_n_groups", 1),
        Ns=config.size("mamba_d_state", 256),
        Ks=config.size("mamba_d_conv", 4),
        Zs=config.size("mamba_chunk_size", 256),
    )


def falcon_h1(config: Config) -> Read:
    """Read a Falcon-H1: attention and a scan of Mamba 2 side by side in each layer, each scaled by a number."""
    pointwise(
        config, *OF_SCANS, "mamba_norm_before_gate", "lm_head_multiplier", "embedding_multiplier", "mlp_multipliers",
        "key_multiplier", "attention_out_multiplier", "attention_in_multiplier", "ssm_multipliers",
        "ssm_in_multiplier", "ssm_out_multiplier", "mlp_expansion_factor",
    )  # fmt: skip
    config.one_of("attn_layer_indices", None, (None,))
    config.one_of("mamba_use_mlp", True, (True,))
    sizes = widths(config, L=32, D=4096, F=14336, V=128000, H=32, G=8)
    expanded = config.size("mamba_expand", 2) * sizes["D"]
    sizes |= scan_of_hybrid(config, config.size_or_null("mamba_d_ssm", 1024) or expanded)
    parts = [*mamba2_mixer(L, sizes, config.flag("mamba_conv_bias", True)), attention(L), feed_forward(L, gated=True)]
    if config.flag("mamba_rms_norm", False):
        parts.append(mamba2_norm(L))
    given = {"mamba_proj_bias": BEFORE, "projectors_bias": AFTER, "attention_bias": ATTENTION, "mlp_bias": GATED}
    added = [part for key, weights in given.items() for part in optional(config, key, weights)]
    return around(config, [*parts, *added]), sizes


def present(parts: list[Part]) -> list[Part]:
    """Leave out the parts of a kind of layer that a model does not have."""
    return [part for part in parts if part.times != 0]


def jamba(config: Config) -> Read:
    """Read a Jamba: scans of Mamba with norms of steps, keys and queries, attention in one layer of some, and experts.

    Each `attn_layer_period`-th layer has attention, and each `expert_layer_period`-th has experts.
    """
    pointwise(config, *OF_SCANS, *SCORES, "calc_logits_for_entire_prompt", "n_ctx")
    config.one_of("mamba_inner_layernorms", True, (True,))
    config.also_named(num_local_experts="num_experts")
    config.one_of("sliding_window", None, (None,))
    sizes = widths(config, L=32, D=4096, F=14336, V=65536, H=32, G=8)
    sizes |= dict(
        Ds=config.size("mamba_expand", 2) * sizes["D"],
        Ns=config.size("mamba_d_state", 16),
        Ks=config.size("mamba_d_conv", 4),
        Rs=size_or_auto(config, "mamba_dt_rank", -(-sizes["D"] // 16)),
    )
    attended, others = in_some_layers(sizes, "La", len(periodic(config, sizes["L"], "attn_layer", 8, 4)))
    biased = config.flag("mamba_proj_bias", False), config.flag("mamba_conv_bias", True)
    of_scan = norms(others, "nr[Rs] nb[Ns] nc[Ns]", "deviation_r[B,T] deviation_b[B,T] deviation_c[B,T]")
    parts = present([*mamba_mixer(others, *biased), of_scan, attention(attended)])
    with_experts, width = periodic(config, sizes["L"], "expert_layer", 2, 1), sizes.pop("F")
    of_experts = {}
    if config.size("num_experts", 16) > 1:
        of_experts = chosen(config, "num_experts", X=16, K=2, Fx=width)
    else:
        with_experts = []
        config.without_effect("num_experts_per_tok")
    return around(config, [*parts, *mixed(sizes, len(with_experts), of_experts, width)]), sizes


def periodic(config: Config, layers: int, name: str, period: int, offset: int) -> list[int]:
    """List the layers, by their places from 0, that come once in a period.

    Raises
    ------
    ConfigError
        If the first of them is not in the first period.
    """
    period, offset = config.size(f"{name}_period", period), config.size(f"{name}_offset", offset, least=0)
    if offset >= period:
        raise ConfigError(
            f"{config.where} says {name}_offset = {offset} and {name}_period = {period}: let the offset be less"
        )
    return list(range(offset, layers, period))


def qwen3_next(config: Config) -> Read:
    """Read a Qwen3-Next: a gated delta rule in most layers, attention with a gate in the others, and experts.

    A token meets K experts, and one that all meet, whose result has a gate: a single number for each token. Chunks have
    64 tokens, as in the library. Its layers for the prediction of further tokens are not built by the library.
    """
    pointwise(config, *SCORES, "use_sliding_window", "max_window_layers")
    config.also_named(num_local_experts="num_experts")
    sizes = widths(config, L=48, D=2048, F=5632, V=151936, H=16, G=2, E=256)
    sizes |= dict(
        Hs=config.size("linear_num_value_heads", 32),
        Gs=config.size("linear_num_key_heads", 16),
        Ns=config.size("linear_key_head_dim", 128),
        Ps=config.size("linear_value_head_dim", 128),
        Ks=config.size("linear_conv_kernel_dim", 4),
        Zs=64,
    )
    shared_by_groups(config, sizes)
    kinds = config.kinds("layer_types", ("linear_attention", "full_attention"), sizes["L"])
    every = sizes["L"] // config.size("full_attention_interval", 4)
    attended, others = in_some_layers(sizes, "La", every if kinds is None else kinds.count("full_attention"))
    gate = piece(matmul("x[B,T,D] @ wz[D,H,E] -> z[B,T,H,E]"), weights="wz[D,H,E]", kept="z[B,T,H,E] oz[B,T,H,E]")
    parts = [
        *delta_mixer(others),
        attention(attended),
        Part(MATRICES, gate, attended),
        norms(attended, "nq[E] nk[E]", EACH_HEAD, HEAD_NORMS),
    ]
    if config.flag("attention_bias", False):
        parts.append(biases(attended, f"{ATTENTION} bz[H,E]"))
    places, of_experts = experts_of_qwen(config, sizes["L"], X=512, K=10, Fx=512)
    shared = config.size("shared_expert_intermediate_size", 512)
    fed = mixed(sizes, len(places), of_experts | dict(Fs=shared), sizes.pop("F"))
    if places:
        gate = piece(matmul("n[B,T,D] @ ws[D] -> g[B,T]"), weights="ws[D]", kept="g[B,T] zs[B,T,D]")
        fed.append(Part(MATRICES, gate, fed[0].times))
    return around(config, [*present(parts), *fed]), sizes


#: What a layer of Nemotron-H is, by the sign that a pattern has for it; and the letter of so many layers.
SIGNS = {"M": "linear_attention", "*": "full_attention", "E": "moe", "-": "mlp"}
COUNTED = {"linear_attention": "Ls", "full_attention": "La", "moe": "Lx", "mlp": "Lf"}


def nemotron_h(config: Config) -> Read:
    """Read a Nemotron-H: each layer is one thing, a scan of Mamba 2, attention, experts, or a feed-forward part.

    Experts have no gate, and may work on latents. One table stands at each end, even where a configuration says that
    they are one. Layers for the prediction of further tokens are not built by the library.
    """
    pointwise(
        config, *OF_SCANS, *SCORES, "sliding_window", "n_shared_experts", "moe_shared_expert_overlap", "n_group",
        "topk_group", "routed_scaling_factor", "hidden_dropout", "mamba_ssm_cache_dtype", "expand", "rms_norm",
        "attention_bias", "mamba_proj_bias", "tie_word_embeddings", "num_nextn_predict_layers",
        "mtp_layers_block_type", "mtp_hybrid_override_pattern", "mamba_dt_min", "mamba_dt_max", "mamba_dt_limit",
        "mamba_dt_init_floor", activation="mlp_hidden_act",
    )  # fmt: skip
    config.activation("mamba_hidden_act")
    config.also_named(
        mamba_n_groups="n_groups", mamba_d_conv="conv_kernel", mamba_conv_bias="use_conv_bias",
        mamba_chunk_size="chunk_size", num_local_experts="n_routed_experts", layer_types="layers_block_type",
    )  # fmt: skip
    kinds = kinds_of_nemotron(config)
    sizes = widths(config, L=len(kinds), D=4096, F=21504, V=131072, H=32, G=8, E=128) | dict(
        L=len(kinds),
        Hs=config.size("mamba_num_heads", 128),
        Ps=config.size("mamba_head_dim", 64),
        Gs=config.size("n_groups", 8),
        Ns=config.size("ssm_state_size", 128),
        Ks=config.size("conv_kernel", 4),
        Zs=config.size("chunk_size", 128),
        Fs=config.size("moe_shared_expert_intermediate_size", 7688),
    )
    shared_by_groups(config, sizes)
    sizes |= chosen(config, "n_routed_experts", X=8, K=2, Fx=config.size("moe_intermediate_size", 7688))
    latent = config.size_or_null("moe_latent_size", None)
    scans = [*mamba2_mixer(Ls, sizes, config.flag("use_conv_bias", True)), mamba2_norm(Ls)]
    if config.flag("use_bias", False):
        scans.append(biases(Ls, f"{BEFORE} {AFTER}"))
    experts, fed = experts_of_nemotron(latent is not None), [feed_forward(Lf, gated=False)]
    if config.flag("mlp_bias", False):
        experts.append(biases(Lx, "b1[Fs] b2[D]" + " bd[Dx] bu[D]" * (latent is not None)))
        fed.append(biases(Lf, "b1[F] b2[D]"))
    of_kind = dict(linear_attention=scans, full_attention=[attention(La)], moe=experts, mlp=fed)
    sizes |= {COUNTED[kind]: kinds.count(kind) for kind in kinds} | ({} if latent is None else dict(Dx=latent))
    parts = [part for kind, parts in of_kind.items() if kind in kinds for part in parts]
    return [*parts, norms(L), *both_ends(tied=False)], sizes


def kinds_of_nemotron(config: Config) -> list[str]:
    """Read what each layer is: from a list, or from a pattern of signs where there is no list.

    Raises
    ------
    ConfigError
        If a kind or a sign is not known, or there is no layer.
    """
    listed, pattern = config.value("layers_block_type"), config.value("hybrid_override_pattern")
    if listed is None and pattern is None:
        return ["linear_attention", "moe", "full_attention", "mlp"]
    if listed is None and isinstance(pattern, str) and pattern and not set(pattern) - SIGNS.keys():
        return [SIGNS[sign] for sign in pattern]
    if listed is None:
        raise ConfigError(
            f"{config.where} says hybrid_override_pattern = {quoted(pattern)}: write a sign for each layer, "
            f"such as {''.join(SIGNS)}"
        )
    layers = max(1, len(listed)) if isinstance(listed, (list, tuple)) else 1
    return list(config.kinds("layers_block_type", tuple(COUNTED), layers) or ())


def experts_of_nemotron(latents: bool) -> list[Part]:
    """Give experts without a gate, which may work on latents of Dx numbers, and one that all tokens meet."""
    router, met, idle, always = pieces_of_experts(B * T * K, 0)
    inside = axis("Dx") if latents else D
    parts = [
        Part(ROUTERS, router, Lx),
        Part(MATRICES, met.at(F=Fx, D=inside), Lx),
        Part(IDLE, idle.at(F=Fx, D=inside), Lx),
        Part(MATRICES, always.at(J=Fs), Lx),
    ]
    if latents:
        down, up = matmul("n[B,T,D] @ wd[D,Dx] -> m[B,T,Dx]"), matmul("z[B,T,Dx] @ wu[Dx,D] -> y[B,T,D]")
        parts.append(Part(MATRICES, piece(down, up, weights="wd[D,Dx] wu[Dx,D]", kept="m[B,T,Dx] z[B,T,Dx]"), Lx))
    return parts


def rwkv(config: Config) -> Read:
    """Read an RWKV-4: keys decay with distance, so that a sum of values stands for attention; all of it is pointwise.

    Kernels run the sum as the library does, so nothing else is multiplied there.
    """
    config.without_effect("layer_norm_epsilon", "rescale_every", "context_length", "max_position_embeddings")
    width = config.size("hidden_size", 4096)
    sizes = dict(
        L=config.size("num_hidden_layers", 32),
        D=width,
        Ds=config.size("attention_hidden_size", width),
        F=config.size("intermediate_size", 4 * width),
        V=config.size("vocab_size", 50277),
    )
    time = piece(
        matmul("xk[B,T,D] @ wk[D,Ds] -> k[B,T,Ds]"),
        matmul("xv[B,T,D] @ wv[D,Ds] -> v[B,T,Ds]"),
        matmul("xr[B,T,D] @ wr[D,Ds] -> r[B,T,Ds]"),
        matmul("o[B,T,Ds] @ wo[Ds,D] -> y[B,T,D]"),
        weights="wk[D,Ds] wv[D,Ds] wr[D,Ds] wo[Ds,D]",
        kept="xk[B,T,D] xv[B,T,D] xr[B,T,D] k[B,T,Ds] v[B,T,Ds] r[B,T,Ds] sum[B,T,Ds] o[B,T,Ds]",
    )
    channels = piece(
        matmul("xk[B,T,D] @ w1[D,F] -> f[B,T,F]"),
        matmul("h[B,T,F] @ w2[F,D] -> z[B,T,D]"),
        matmul("xr[B,T,D] @ wr[D,K] -> r[B,T,K]"),
        weights="w1[D,F] w2[F,D] wr[D,K]",
        kept="xk[B,T,D] xr[B,T,D] f[B,T,F] h[B,T,F] r[B,T,K] z[B,T,D]",
    ).at(K=D)
    return [
        Part(MATRICES, time, L, state=D + 3 * Ds),
        Part(MATRICES, channels, L, state=D),
        biases(L, "mk[D] mv[D] mr[D] decay[Ds] first[Ds] mk[D] mr[D]"),
        norms(2 * L + 1, "norm[D] bias[D]"),
        *both_ends(tied=config.flag("tie_word_embeddings", False), last_norm="norm[D] bias[D]"),
    ], sizes


READERS = {
    "bamba": bamba,
    "falcon_h1": falcon_h1,
    "falcon_mamba": mamba,
    "jamba": jamba,
    "mamba": mamba,
    "mamba2": mamba2,
    "nemotron_h": nemotron_h,
    "qwen3_next": qwen3_next,
    "rwkv": rwkv,
}
