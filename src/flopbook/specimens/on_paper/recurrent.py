"""Derive recurrent layers."""

from flopbook.predict.axes import H, T
from flopbook.predict.products import Product, matmul
from flopbook.predict.steps import training_step
from flopbook.specimens.on_paper.derivation import Derivation


def _layer(x: str, name: str) -> tuple[Product, ...]:
    """Derive all gates G from input and state, which rests once, then moves U times."""
    return (
        matmul(f"{x} @ wx{name}[{x[-2]},G] -> gx{name}[T,B,G]"),
        matmul(f"rest{name}[B,H] @ wh{name}[H,G] -> g0{name}[B,G]"),
        matmul(f"h{name}[U,B,H] @ wh{name}[H,G] -> gh{name}[U,B,G]"),
    )


def _one_layer(gates: int) -> Derivation:
    """Derive one layer whose gates are H wide."""
    step = training_step(*_layer("x[T,B,D]", "1"), data=("x", "rest1"))
    return Derivation(step, letters={"G": gates * H, "U": T - 1})


def rnn() -> Derivation:
    return _one_layer(gates=1)


def gru() -> Derivation:
    return _one_layer(gates=3)


def lstm() -> Derivation:
    """Derive two layers in both directions; the second takes both states, W = 2 H."""
    layers = [("x[T,B,D]", "1a"), ("x[T,B,D]", "1b"), ("h1[T,B,W]", "2a"), ("h1[T,B,W]", "2b")]
    products = [product for x, name in layers for product in _layer(x, name)]
    step = training_step(*products, data=["x", *(f"rest{name}" for _, name in layers)])
    return Derivation(step, letters={"G": 4 * H, "U": T - 1, "W": 2 * H})
