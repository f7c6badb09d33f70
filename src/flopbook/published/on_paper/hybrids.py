"""Derive state spaces, and hybrids of them with attention: Mamba, Mamba 2, Bamba and RWKV.

A scan carries a state of fixed size from token to token. Here stands what the library's own PyTorch code multiplies, in
which a scan of Mamba 2 runs in chunks of Zs tokens. The last chunk is padded, so whole chunks are multiplied.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import sympy
from sympy import Expr

from flopbook.predict.axes import D, L, T, axis
from flopbook.predict.models.claims import MATRICES
from flopbook.predict.models.model import piece
from flopbook.predict.products import matmul
from flopbook.published.config import Config, ConfigError
from flopbook.published.network import Part, Read
from flopbook.published.on_paper.keys import pointwise, widths
from flopbook.published.on_paper.pieces import attention, biases, both_ends, feed_forward, norms

Ds, Gs, Hs, Ks, La, Ls, Ns, Ps, Zs = (axis(name) for name in ("Ds", "Gs", "Hs", "Ks", "La", "Ls", "Ns", "Ps", "Zs"))

#: Keys that normalize, choose how a scan begins, and which code runs it: none changes what is multiplied.
OF_SCANS = (
    "layer_norm_epsilon", "residual_in_fp32", "rescale_prenorm_residual", "time_step_limit", "time_step_min",
    "time_step_max", "time_step_floor", "time_step_scale", "time_step_init_scheme", "use_mambapy", "use_mamba_kernels",
    "use_associative_scan", "num_logits_to_keep",
)  # fmt: skip


def convolution(times: Expr, channels: Expr) -> Part:
    """Let each channel of a token meet itself and the Ks - 1 tokens before it, by a convolution.

    The library pads a sequence at both ends, and so makes T + Ks - 1 results, of which it uses T. It keeps the last Ks
    tokens for the next one.
    """
    model = piece(
        matmul("x[B,results,channels,Ks] @ wk[channels,Ks] -> u[B,results,channels]"),
        weights="wk[channels,Ks]",
        kept="x[B,T,channels] u[B,T,channels]",
    ).at(results=T + Ks - 1, channels=channels)
    return Part(MATRICES, model, times, state=channels * Ks, token=2 * channels * Ks)


def scan_in_chunks(times: Expr, sizes: Mapping[str, int]) -> Part:
    """Carry a state of Ps x Ns numbers in each of Hs heads from chunk to chunk of Zs tokens, as the library does.

    Each head makes scores of its own, though a group of heads shares keys and queries. Between chunks, the states meet
    as tokens do in attention. What would sum over a single number is multiplied pointwise. One more token reads its
    state once.

    A kernel multiplies less, as :func:`flopbook.predict.models.chunked_scan` says: scores once for a group, states from
    chunk to chunk pointwise, and no padding.
    """
    products = [matmul("decays[B,Hs,from,to] @ hs[B,from,Hs,Ps,Ns] -> first[B,to,Hs,Ps,Ns]")]
    if sizes["Ns"] > 1:
        products += [
            matmul("c[B,chunks,Zs,Hs,Ns] @ b[B,chunks,keys,Hs,Ns] -> s[B,chunks,Hs,Zs,keys]"),
            matmul("cs[B,chunks,Zs,Hs,Ns] @ h0[B,chunks,Hs,Ps,Ns] -> yh[B,chunks,Zs,Hs,Ps]"),
        ]
    if sizes["Zs"] > 1:
        products += [
            matmul("m[B,chunks,Hs,Zs,keys] @ x[B,chunks,keys,Hs,Ps] -> y[B,chunks,Zs,Hs,Ps]"),
            matmul("bd[B,chunks,Zs,Hs,Ns] @ xs[B,chunks,Zs,Hs,Ps] -> h[B,chunks,Hs,Ps,Ns]"),
        ]
    model = piece(*products, kept="b[B,T,Gs,Ns] c[B,T,Gs,Ns] decay[B,T,Hs] h0[B,chunks,Hs,Ps,Ns]")
    chunks = sympy.ceiling(T / Zs)
    model = model.at(**{"keys": Zs, "from": chunks + 1, "to": chunks + 1, "chunks": chunks})
    return Part(MATRICES, model, times, state=Hs * Ps * Ns, token=2 * Hs * Ps * Ns)


def mamba2_mixer(times: Expr, sizes: Mapping[str, int], *, bias: bool, convolution_bias: bool) -> list[Part]:
    """Give what Mamba 2 has in the place of attention: a gate, a convolution, a scan, a norm."""
    around = piece(
        matmul("n[B,T,D] @ wz[D,Hs,Ps] -> z[B,T,Hs,Ps]"),
        matmul("n[B,T,D] @ wx[D,Hs,Ps] -> x[B,T,Hs,Ps]"),
        matmul("n[B,T,D] @ wb[D,Gs,Ns] -> b[B,T,Gs,Ns]"),
        matmul("n[B,T,D] @ wc[D,Gs,Ns] -> c[B,T,Gs,Ns]"),
        matmul("n[B,T,D] @ wt[D,Hs] -> t[B,T,Hs]"),
        matmul("o[B,T,Hs,Ps] @ wo[Hs,Ps,D] -> y[B,T,D]"),
        weights="wz[D,Hs,Ps] wx[D,Hs,Ps] wb[D,Gs,Ns] wc[D,Gs,Ns] wt[D,Hs] wo[Hs,Ps,D]",
        kept="z[B,T,Hs,Ps] t[B,T,Hs] o[B,T,Hs,Ps]",
    )
    parts = [
        Part(MATRICES, around, times),
        convolution(times, Hs * Ps + 2 * Gs * Ns),
        scan_in_chunks(times, sizes),
        norms(times, "norm[Hs,Ps]", "y[B,T,Hs,Ps] deviation[B,T,Gs]"),
        biases(times, "bt[Hs] decay[Hs] skip[Hs]"),
    ]
    if convolution_bias:
        parts.append(biases(times, "bx[Hs,Ps] bb[Gs,Ns] bc[Gs,Ns]"))
    if bias:
        parts.append(biases(times, "bz[Hs,Ps] bx[Hs,Ps] bb[Gs,Ns] bc[Gs,Ns] bd[Hs] bo[D]"))
    return parts


def mamba_mixer(times: Expr, *, bias: bool, convolution_bias: bool) -> list[Part]:
    """Give what Mamba has in the place of attention: a gate, a convolution, and a scan of Ds channels.

    Each channel has a state of Ns numbers of its own, which one product for each token reads. How the state changes is
    pointwise, in the library and in kernels alike. Steps of Ds channels come from Rs numbers.
    """
    model = piece(
        matmul("n[B,T,D] @ wx[D,Ds] -> x[B,T,Ds]"),
        matmul("n[B,T,D] @ wz[D,Ds] -> z[B,T,Ds]"),
        matmul("u[B,T,Ds] @ wr[Ds,Rs] -> r[B,T,Rs]"),
        matmul("u[B,T,Ds] @ wb[Ds,Ns] -> b[B,T,Ns]"),
        matmul("u[B,T,Ds] @ wc[Ds,Ns] -> c[B,T,Ns]"),
        matmul("rs[B,T,Rs] @ wt[Rs,Ds] -> t[B,T,Ds]"),
        matmul("h[B,T,Ds,Ns] @ cs[B,T,Ns] -> s[B,T,Ds]"),
        matmul("o[B,T,Ds] @ wo[Ds,D] -> y[B,T,D]"),
        weights="wx[D,Ds] wz[D,Ds] wr[Ds,Rs] wb[Ds,Ns] wc[Ds,Ns] wt[Rs,Ds] wo[Ds,D]",
        kept="z[B,T,Ds] r[B,T,Rs] b[B,T,Ns] c[B,T,Ns] t[B,T,Ds] s[B,T,Ds] o[B,T,Ds]",
    )
    parts = [
        Part(MATRICES, model, times, state=Ds * Ns),
        convolution(times, Ds),
        biases(times, "bt[Ds] decay[Ds,Ns] skip[Ds]"),
    ]
    if convolution_bias:
        parts.append(biases(times, "bu[Ds]"))
    if bias:
        parts.append(biases(times, "bx[Ds] bz[Ds] bo[D]"))
    return parts


def scan_sizes(config: Config, expanded: int, **sizes: int) -> dict[str, int]:
    """Check that the heads and groups of a scan go together."""
    if sizes["Hs"] * sizes["Ps"] != expanded:
        raise ConfigError(
            f"{config.where} has {sizes['Hs']} heads of a scan that are {sizes['Ps']} wide, but an expanded width of "
            f"{expanded}: let heads times width be the expanded width"
        )
    if sizes["Hs"] % sizes["Gs"]:
        raise ConfigError(
            f"{config.where} has {sizes['Gs']} groups, which cannot share the {sizes['Hs']} heads of a scan evenly: "
            "give a number that divides the heads"
        )
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
    mixer = mamba_mixer(L, bias=config.flag("use_bias", False), convolution_bias=config.flag("use_conv_bias", True))
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
    mixer = mamba2_mixer(
        L, sizes, bias=config.flag("use_bias", False), convolution_bias=config.flag("use_conv_bias", True)
    )
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
    kinds = scans_and_attention(layer in config.indices("attn_layer_indices") for layer in range(sizes["L"]))
    of_scans = mamba2_mixer(
        Ls,
        sizes,
        bias=config.flag("mamba_proj_bias", False),
        convolution_bias=config.flag("mamba_conv_bias", True),
    )
    of_attention = [attention(La)]
    if config.flag("attention_bias", False):
        of_attention.append(biases(La, "bq[H,E] bk[G,E] bv[G,E] bo[D]"))
    parts = [*(of_scans if "Ls" in kinds else []), *(of_attention if "La" in kinds else [])]
    parts += [feed_forward(L, gated=True), norms(2 * L)]
    if config.flag("mlp_bias", False):
        parts.append(biases(L, "bg[F] b1[F] b2[D]"))
    return [*parts, *both_ends(tied=config.flag("tie_word_embeddings", False))], sizes | kinds


def scans_and_attention(attended: Iterable[bool]) -> dict[str, int]:
    """Tell layers with attention from those with a scan, as far as there are such."""
    counted = Counter("La" if each else "Ls" for each in attended)
    return dict(counted)


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


READERS = {"bamba": bamba, "mamba": mamba, "mamba2": mamba2, "rwkv": rwkv}
