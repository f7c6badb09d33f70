"""Derive models that are trained in special ways."""

from flopbook.predict.products import Product, matmul
from flopbook.predict.steps import training_step
from flopbook.specimens.on_paper.derivation import Derivation
from flopbook.specimens.on_paper.products import mlp


def lora() -> Derivation:
    products = []
    for x, D, H, number in (("x", "D", "H", 1), ("h", "H", "K", 2)):
        products += [
            matmul(f"{x}[B,{D}] @ w{number}[{D},{H}] -> f{number}[B,{H}]"),
            matmul(f"{x}[B,{D}] @ a{number}[{D},R] -> r{number}[B,R]"),
            matmul(f"r{number}[B,R] @ b{number}[R,{H}] -> u{number}[B,{H}]"),
        ]
    return Derivation(training_step(*products, data="x", frozen=("w1", "w2")))


def _blocks() -> list[Product]:
    stem = matmul("x[B,D] @ w[D,H] -> h0[B,H]")
    blocks = [
        (matmul(f"h{n - 1}[B,H] @ u{n}[H,F] -> f{n}[B,F]"), matmul(f"g{n}[B,F] @ d{n}[F,H] -> h{n}[B,H]"))
        for n in (1, 2)
    ]
    return [stem, *blocks[0], *blocks[1]]


def checkpointed() -> Derivation:
    """Derive blocks that run again, without the last product, whose result nothing needs."""
    products = _blocks()
    return Derivation(training_step(*products, data="x"), recomputed=(products[3], products[1]))


def checkpointed_reentrant() -> Derivation:
    """Derive blocks that run again as a whole."""
    products = _blocks()
    return Derivation(training_step(*products, data="x"), recomputed=(*products[3:5], *products[1:3]))


def autocast() -> Derivation:
    """Derive the same products, since the format changes none."""
    return mlp()
