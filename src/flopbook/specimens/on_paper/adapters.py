"""Derive adapters: what is trained is small, and the weights are frozen."""

from flopbook.predict.axes import T, axis
from flopbook.predict.models.adapters import dora, lora, vectors
from flopbook.predict.products import Product, matmul
from flopbook.specimens.on_paper.derivation import Derivation


def _layers() -> tuple[Product, Product]:
    return matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]")


def rescaled() -> Derivation:
    return Derivation(dora(*_layers(), adapted=["w1", "w2"], data="x"))


def scaled() -> Derivation:
    """Derive a trained vector behind the first layer: no gradient has to pass further."""
    return Derivation(vectors(*_layers(), behind="w1", data="x", frozen="w2"))


def quantized() -> Derivation:
    """Derive the products of any frozen weight: its format changes none."""
    return Derivation(lora(*_layers(), adapted=["w1", "w2"], data="x"))


def prefix() -> Derivation:
    """Derive attention whose queries meet P trained keys besides; the first weights need no gradient of x."""
    products = (
        matmul("x[B,T,D] @ wq[D,H,E] -> q[B,T,H,E]"),
        matmul("x[B,T,D] @ wk[D,H,E] -> k[B,T,H,E]"),
        matmul("x[B,T,D] @ wv[D,H,E] -> v[B,T,H,E]"),
        matmul("q[B,T,H,E] @ ks[B,S,H,E] -> s[B,H,T,S]"),
        matmul("p[B,H,T,S] @ vs[B,S,H,E] -> o[B,T,H,E]"),
        matmul("o[B,T,H,E] @ wo[H,E,D] -> y[B,T,D]"),
    )
    step = vectors(*products, behind=["wk", "wv"], data="x", frozen=["wq", "wo"])
    return Derivation(step, letters={"S": axis("P") + T})
