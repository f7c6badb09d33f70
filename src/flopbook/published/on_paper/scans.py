"""Give the parts that carry a state from token to token, in one set of letters.

Hs heads of a scan have a state of Ns x Ps numbers each, and Gs groups of heads share keys and queries; or Ds channels
have Ns numbers each. A convolution over Ks tokens comes before. A program may scan in chunks of Zs tokens.

The library's own code is what stands here. Its chunks are whole: the last one is padded with zeros. What is needed
leaves out padding, and what is masked.
"""

from collections.abc import Mapping
from dataclasses import replace

import sympy
from sympy import Expr, Rational

from flopbook.predict.axes import T, axis
from flopbook.predict.models.attention import chunks
from flopbook.predict.models.claims import MATRICES
from flopbook.predict.models.model import piece
from flopbook.predict.models.recurrent import chunk_sizes
from flopbook.predict.products import matmul
from flopbook.published.network import Part
from flopbook.published.on_paper.pieces import biases, norms

Ds, Gs, Hs, Ks, Ns, Ps, Zs = (axis(name) for name in ("Ds", "Gs", "Hs", "Ks", "Ns", "Ps", "Zs"))
#: Biases of the matrices before and after a scan of Mamba 2.
BEFORE, AFTER = "bz[Hs,Ps] bx[Hs,Ps] bb[Gs,Ns] bc[Gs,Ns] bt[Hs]", "bo[D]"
#: Chunks of a sequence, the last one padded.
CHUNKS = sympy.ceiling(T / Zs)
#: Keys that a query meets in its chunk, on average: itself and those before it.
MET = chunks(T, Zs) / T
HALF = Rational(1, 2)


def convolution(times: Expr, channels: Expr) -> Part:
    """Let each channel of a token meet itself and the Ks - 1 tokens before it, by a convolution.

    The library pads a sequence at both ends, and so makes T + Ks - 1 results, of which T are needed. It keeps the last
    Ks tokens for the next one.
    """
    model = piece(
        matmul("x[B,results,channels,taps] @ wk[channels,taps] -> u[B,results,channels]"),
        kept="x[B,T,channels] u[B,T,channels]",
    ) + piece(weights="wk[channels,Ks]")
    return Part(
        MATRICES,
        model.at(results=T + Ks - 1, taps=Ks, channels=channels),
        times,
        state=channels * Ks,
        token=2 * channels * Ks,
        needed=model.at(results=T, taps=Ks, channels=channels),
    )


def chunked_scan(times: Expr, sizes: Mapping[str, int]) -> Part:
    """Carry a state in each head from chunk to chunk, as the library's code for Mamba 2 does.

    Each head makes scores of its own, though a group of heads shares keys and queries. Between chunks, the states meet
    as tokens do in attention, which is not needed: a chunk can take the state of the one before pointwise. What would
    sum over a single number is multiplied pointwise. One more token reads its state once.

    Kernels also make scores only once for a group, as :func:`flopbook.predict.models.chunked_scan` says.
    """
    between = piece(matmul("decays[B,Hs,starts,starts_too] @ h[B,starts,Hs,Ps,Ns] -> h0[B,starts_too,Hs,Ps,Ns]"))
    products = []
    if sizes["Ns"] > 1:
        products += [
            matmul("c[B,tokens,Hs,Ns] @ b[B,keys,Hs,Ns] -> s[B,Hs,tokens,keys]"),
            matmul("cs[B,tokens,Hs,Ns] @ hs[B,Hs,Ps,Ns] -> yh[B,tokens,Hs,Ps]"),  # hs is the state before its chunk
        ]
    if sizes["Zs"] > 1:
        products += [
            matmul("m[B,Hs,tokens,keys] @ x[B,keys,Hs,Ps] -> y[B,tokens,Hs,Ps]"),
            matmul("bs[B,tokens,Hs,Ns] @ xs[B,tokens,Hs,Ps] -> added[B,Hs,Ps,Ns]"),  # by each chunk to the state
        ]
    within = piece(*products, kept="b[B,T,Gs,Ns] c[B,T,Gs,Ns] decay[B,T,Hs] h0[B,chunks,Hs,Ps,Ns]").at(chunks=CHUNKS)
    return Part(
        MATRICES,
        (within + between).at(tokens=Zs * CHUNKS, keys=Zs, starts=CHUNKS + 1, starts_too=CHUNKS + 1),
        times,
        state=Hs * Ps * Ns,
        token=2 * Hs * Ps * Ns,
        needed=within.at(tokens=T, keys=MET),
    )


def mamba2_mixer(times: Expr, sizes: Mapping[str, int], convolution_bias: bool) -> list[Part]:
    """Give what Mamba 2 has in the place of attention: a gate, a convolution, and a scan; a norm may follow."""
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
        chunked_scan(times, sizes),
        biases(times, "bt[Hs] decay[Hs] skip[Hs]"),
    ]
    if convolution_bias:
        parts.append(biases(times, "bx[Hs,Ps] bb[Gs,Ns] bc[Gs,Ns]"))
    return parts


def mamba2_norm(times: Expr) -> Part:
    """Give the norm of a scan's results, in groups of heads."""
    return norms(times, "norm[Hs,Ps]", "y[B,T,Hs,Ps] deviation[B,T,Gs]")


def mamba_mixer(times: Expr, bias: bool, convolution_bias: bool) -> list[Part]:
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


def delta_mixer(times: Expr) -> list[Part]:
    """Give what a gated delta rule has in the place of attention: a convolution, a scan, a norm of each head, a gate.

    Each head has a step of its own, and forgets at a rate of its own.
    """
    around = piece(
        matmul("n[B,T,D] @ wq[D,Gs,Ns] -> q[B,T,Gs,Ns]"),
        matmul("n[B,T,D] @ wk[D,Gs,Ns] -> k[B,T,Gs,Ns]"),
        matmul("n[B,T,D] @ wv[D,Hs,Ps] -> v[B,T,Hs,Ps]"),
        matmul("n[B,T,D] @ wz[D,Hs,Ps] -> z[B,T,Hs,Ps]"),
        matmul("n[B,T,D] @ wb[D,Hs] -> b[B,T,Hs]"),
        matmul("n[B,T,D] @ wa[D,Hs] -> a[B,T,Hs]"),
        matmul("o[B,T,Hs,Ps] @ wo[Hs,Ps,D] -> y[B,T,D]"),
        weights="wq[D,Gs,Ns] wk[D,Gs,Ns] wv[D,Hs,Ps] wz[D,Hs,Ps] wb[D,Hs] wa[D,Hs] wo[Hs,Ps,D]",
        kept="z[B,T,Hs,Ps] b[B,T,Hs] a[B,T,Hs] o[B,T,Hs,Ps]",
    )
    return [
        Part(MATRICES, around, times),
        convolution(times, 2 * Gs * Ns + Hs * Ps),
        delta_rule(times),
        norms(times, "norm[Ps]", "y[B,T,Hs,Ps] deviation[B,T,Hs]"),
        biases(times, "ba[Hs] decay[Hs]"),
    ]


def delta_rule(times: Expr) -> Part:
    """Carry a state in each head from chunk to chunk, and correct it by what it answers wrong: a delta rule.

    In a chunk, all corrections at once solve a triangular system: n^2 FLOPs for each column of an n x n matrix, and
    backward as many again, and a product for the gradient of the matrix, of which half is dropped. Nobody needs the
    gradient of the first state, and nobody reads the last one. Kernels run the same products in their chunks.

    One more token reads its state twice: for what the state answers, and for the result. The library does so pointwise.
    """
    products = piece(
        matmul("kb[B,tokens,Hs,Ns] @ k[B,keys,Hs,Ns] -> a[B,Hs,tokens,keys]"),
        matmul("q[B,tokens,Hs,Ns] @ ks[B,keys,Hs,Ns] -> s[B,Hs,tokens,keys]"),
        matmul("m[B,Hs,tokens,keys] @ vn[B,keys,Hs,Ps] -> y[B,tokens,Hs,Ps]"),
        matmul("kf[B,first,Hs,Ns] @ h0[B,Hs,Ns,Ps] -> wrong_f[B,first,Hs,Ps]"),
        matmul("kd[B,later,Hs,Ns] @ h[B,Hs,Ns,Ps] -> wrong[B,later,Hs,Ps]"),
        matmul("qf[B,first,Hs,Ns] @ h0[B,Hs,Ns,Ps] -> y_f[B,first,Hs,Ps]"),
        matmul("qd[B,later,Hs,Ns] @ h[B,Hs,Ns,Ps] -> yh[B,later,Hs,Ps]"),
        matmul("ke[B,earlier,Hs,Ns] @ ve[B,earlier,Hs,Ps] -> added[B,Hs,Ns,Ps]"),
        matmul("k_last[B,last,Hs,Ns] @ v_last[B,last,Hs,Ps] -> h_last[B,Hs,Ns,Ps]"),
        kept="q[B,T,Gs,Ns] k[B,T,Gs,Ns] v[B,T,Hs,Ps] b[B,T,Hs] decay[B,T,Hs] h[B,chunks,Hs,Ns,Ps]",
        data=["h0", "k_last", "v_last"],
    )
    solved = piece(
        matmul("a[B,Hs,tokens,half] @ u[B,half,Hs,Ps] -> vb[B,tokens,Hs,Ps]"),
        matmul("a[B,Hs,tokens,half] @ w[B,half,Hs,Ns] -> kb[B,tokens,Hs,Ns]"),
    )
    dropped = replace(0 * solved, backward=solved.forward)
    others = Zs * (CHUNKS - 1)
    padded = dict(tokens=Zs * CHUNKS, keys=Zs, half=Zs / 2, first=Zs, last=Zs, later=others, earlier=others)
    real = {letter.name: size for letter, size in chunk_sizes(T, Zs).items()} | dict(
        tokens=T, keys=MET, half=MET - HALF
    )
    return Part(
        MATRICES,
        (products + solved + dropped).at(chunks=CHUNKS).at(**padded),
        times,
        state=Hs * Ns * Ps,
        token=4 * Hs * Ns * Ps,
        needed=(products + solved).at(chunks=CHUNKS).at(**real),
    )
