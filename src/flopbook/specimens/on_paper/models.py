"""Derive transformers and mixtures of experts."""

from flopbook.predict.axes import B, E, G, H
from flopbook.predict.products import Product, matmul
from flopbook.predict.steps import training_step
from flopbook.specimens.on_paper.attention import R, feed_forward, heads, self_attention, shared_heads, widths
from flopbook.specimens.on_paper.derivation import Derivation


def gpt() -> Derivation:
    """Derive two blocks, then the token embedding once more as the output layer."""
    products: list[Product] = []
    for number in "12":
        products += self_attention(*heads(number), number)
        products += feed_forward(number)
    logits = matmul("y[B,T,D] @ w[V,D] -> logits[B,T,V]")
    fused = tuple(product for product in products if product.output.name in ("s1", "s2"))
    return Derivation(training_step(*products, logits), fused, letters=widths(H * E, H * E))


def llama() -> Derivation:
    """Derive a block after a weighted norm, to which projections pass a gradient."""
    scores, values = shared_heads()
    gate = matmul("n[B,T,D] @ wg[D,F] -> g[B,T,F]")
    up = matmul("n[B,T,D] @ wu[D,F] -> u[B,T,F]")
    down = matmul("gu[B,T,F] @ wd[F,D] -> z[B,T,D]")
    step = training_step(*self_attention(scores, values), gate, up, down)
    return Derivation(step, fused=(scores,), letters=widths(G * R * E, G * E))


def mixture() -> Derivation:
    """Derive X experts, of which each of B tokens chooses two: M pairs."""
    router = matmul("x[B,D] @ wr[D,X] -> r[B,X]")
    up = matmul("xm[M,D] @ w1[D,F] -> h[M,F]")
    down = matmul("hm[M,F] @ w2[F,D] -> y[M,D]")
    return Derivation(training_step(router, up, down, data=("x", "xm")), letters={"M": 2 * B})
