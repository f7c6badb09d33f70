"""Derive state spaces, and hybrids of them with attention: Mamba, Mamba 2, Bamba, Jamba, Qwen3-Next and RWKV."""

from flopbook.predict.axes import D, L
from flopbook.predict.models.claims import HEAD_NORMS, MATRICES
from flopbook.predict.models.model import piece
from flopbook.predict.products import matmul
from flopbook.published.config import Config, ConfigError
from flopbook.published.network import Part, Read
from flopbook.published.on_paper.dense import ATTENTION, EACH_HEAD, GATED, optional
from flopbook.published.on_paper.experts import SCORES, around, chosen, experts_of_qwen, in_some_layers, mixed
from flopbook.published.on_paper.keys import pointwise, widths
from flopbook.published.on_paper.pieces import attention, biases, both_ends, feed_forward, norms
from flopbook.published.on_paper.scans import Ds, delta_mixer, mamba2_mixer, mamba_mixer

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
    """Read a Mamba: each layer is a scan, whose steps, keys and queries depend on the token; no attention."""
    config.without_effect(*OF_SCANS)
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
    config.without_effect(*OF_SCANS, "time_step_rank", "intermediate_size", "norm_before_gate", "rms_norm")
    config.activation("hidden_act")
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
    mixer = mamba2_mixer(L, sizes, config.flag("use_bias", False), config.flag("use_conv_bias", True))
    return [*mixer, norms(L), *both_ends(tied=config.flag("tie_word_embeddings", False))], sizes


def bamba(config: Config) -> Read:
    """Read a Bamba: scans of Mamba 2, but attention in the listed layers, and a feed-forward part in all."""
    pointwise(config, *OF_SCANS, "attn_rotary_emb", "z_loss_coefficient")
    sizes = widths(config, L=32, D=4096, F=14336, V=128000, H=32, G=8)
    expanded, scan_heads = config.size("mamba_expand", 2) * sizes["D"], config.size("mamba_n_heads", 128)
    sizes |= scan_sizes(
        config,
        expanded,
        Hs=scan_heads,
        Ps=size_or_auto(config, "mamba_d_head", expanded // scan_heads),
        Gs=config.size("mamba_n_groups", 1),
        Ns=config.size("mamba_d_state", 256),
        Ks=config.size("mamba_d_conv", 4),
        Zs=config.size("mamba_chunk_size", 256),
    )
    places = config.indices("attn_layer_indices")
    attended, others = in_some_layers(sizes, "La", sum(place in places for place in range(sizes["L"])))
    biased = config.flag("mamba_proj_bias", False), config.flag("mamba_conv_bias", True)
    parts = [*mamba2_mixer(others, sizes, *biased), attention(attended), feed_forward(L, gated=True)]
    if config.flag("attention_bias", False):
        parts.append(biases(attended, ATTENTION))
    return around(config, there([*parts, *optional(config, "mlp_bias", GATED)])), sizes


def there(parts: list[Part]) -> list[Part]:
    """Leave out the parts of a kind of layer that a model does not have."""
    return [part for part in parts if part.times != 0]


def jamba(config: Config) -> Read:
    """Read a Jamba: scans of Mamba with norms of steps, keys and queries, attention in one layer of some, and experts.

    Each `attn_layer_period`-th layer has attention, and each `expert_layer_period`-th has experts.
    """
    pointwise(config, *OF_SCANS, *SCORES, "calc_logits_for_entire_prompt")
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
    parts = there([*mamba_mixer(others, *biased), of_scan, attention(attended)])
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
    pointwise(config, *SCORES)
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
    return around(config, [*there(parts), *fed]), sizes


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
    "jamba": jamba,
    "mamba": mamba,
    "mamba2": mamba2,
    "qwen3_next": qwen3_next,
    "rwkv": rwkv,
}
