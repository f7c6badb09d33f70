"""Give the parts that many architectures share, in one set of letters.

B sequences of T tokens, each D wide; H heads of queries share G heads of keys and values, E wide; a feed-forward part
is F wide; V words of a vocabulary; L layers. A query meets S keys.
"""

from dataclasses import replace

from sympy import Expr

from flopbook.predict.axes import E, G, L, axis
from flopbook.predict.models.claims import BIASES, LAST_NORM, LOOKUP, MATRICES, NORMS, OUTPUT, TIED
from flopbook.predict.models.model import piece
from flopbook.predict.products import matmul
from flopbook.published.network import CAUSAL, EVERY, ZERO, Mask, Part, in_window, in_window_around

W, Lw = axis("W"), axis("Lw")
NORM = "x[B,T,D] mean[B,T] deviation[B,T] n[B,T,D]"  # what a norm keeps


def attention(times: Expr, mask: Mask = CAUSAL) -> Part:
    """Make queries, keys and values, let them meet, and mix the heads; keys and values are kept for later queries."""
    model = piece(
        matmul("x[B,T,D] @ wq[D,H,E] -> q[B,T,H,E]"),
        matmul("x[B,T,D] @ wk[D,G,E] -> k[B,T,G,E]"),
        matmul("x[B,T,D] @ wv[D,G,E] -> v[B,T,G,E]"),
        matmul("q[B,T,H,E] @ ks[B,S,H,E] -> s[B,H,T,S]"),
        matmul("p[B,H,T,S] @ vs[B,S,H,E] -> o[B,T,H,E]"),
        matmul("o[B,T,H,E] @ wo[H,E,D] -> y[B,T,D]"),
        weights="wq[D,H,E] wk[D,G,E] wv[D,G,E] wo[H,E,D]",
        kept="q[B,T,H,E] k[B,T,G,E] v[B,T,G,E] o[B,T,H,E] logsumexp[B,H,T]",
    )
    return Part(MATRICES, model, times, mask, kept=2 * G * E)


def attention_by_reach(
    sizes: dict[str, int], layers: int, width: int | None, *, both_sides: bool = False
) -> list[Part]:
    """Give the attention of all L layers, of which so many have a window of a width; add the sizes of both.

    Where tokens meet those after them too, nothing is kept for later queries: a further token would change all.
    """
    whole, near = (EVERY, in_window_around(W)) if both_sides else (CAUSAL, in_window(W))
    if not layers or width is None:
        parts = [attention(L, whole)]
    elif layers == sizes["L"]:
        sizes["W"] = width
        parts = [attention(L, near)]
    else:
        sizes |= dict(W=width, Lw=layers)
        parts = [attention(Lw, near), attention(L - Lw, whole)]
    return [replace(part, kept=ZERO) for part in parts] if both_sides else parts


def feed_forward(times: Expr, *, gated: bool) -> Part:
    """Multiply by two matrices, or by three where there is a gate."""
    model = piece(
        matmul("n[B,T,D] @ w1[D,F] -> f[B,T,F]"),
        matmul("h[B,T,F] @ w2[F,D] -> z[B,T,D]"),
        weights="w1[D,F] w2[F,D]",
        kept="f[B,T,F] h[B,T,F]",
    )
    if gated:
        gate = matmul("n[B,T,D] @ wg[D,F] -> g[B,T,F]")
        model = model + piece(gate, weights="wg[D,F]", kept="g[B,T,F] silu[B,T,F]")
    return Part(MATRICES, model, times)


def norms(times: Expr, weights: str = "norm[D]", kept: str = NORM, kind: str = NORMS) -> Part:
    """Give norms their weights; what they multiply is pointwise.

    Those of queries and keys are of the kind `HEAD_NORMS`, and those of latents of `LATENT_NORMS`: trainers' formulas
    tell them apart.
    """
    return Part(kind, piece(weights=weights, kept=kept), times)


def biases(times: Expr, weights: str) -> Part:
    """Give biases, which are added."""
    return Part(BIASES, piece(weights=weights), times)


def both_ends(*, tied: bool, last_norm: str = "norm[D]") -> list[Part]:
    """Look words up, and multiply by the table of the output layer, which may be the same; a last norm lies between."""
    logits = matmul("n[B,T,D] @ table[D,V] -> logits[B,T,V]")
    output = piece(logits, weights="table[D,V]", kept="logsoftmax[B,T,V] weight[]")
    first = [] if tied else [Part(LOOKUP, piece(weights="table[V,D]"))]
    return [*first, Part(LAST_NORM, piece(weights=last_norm, kept=NORM)), Part(TIED if tied else OUTPUT, output)]
