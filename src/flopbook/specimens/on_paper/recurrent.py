"""Derive recurrent layers and scans."""

from flopbook.predict.axes import H, T, axis
from flopbook.predict.models.recurrent import chunk_sizes, recurrent_layer
from flopbook.predict.models.recurrent import chunked_scan as in_chunks
from flopbook.predict.models.recurrent import recurrent_scan as by_tokens
from flopbook.predict.products import matmul
from flopbook.predict.steps import training_step
from flopbook.specimens.on_paper.derivation import Derivation

_G, _N, _P, _Q, _R = map(axis, "GNPQR")


def _one_layer(gates: int) -> Derivation:
    """Derive one layer whose gates are H wide."""
    step = training_step(*recurrent_layer(), data=("x", "h0"))
    return Derivation(step, letters={"gates": gates, "J": H, "U": T - 1})


def rnn() -> Derivation:
    return _one_layer(gates=1)


def gru() -> Derivation:
    return _one_layer(gates=3)


def lstm() -> Derivation:
    """Derive two layers in both directions; the second takes both states, W = 2 H."""
    layers = [("x[T,B,D]", "1a"), ("x[T,B,D]", "1b"), ("y[T,B,W]", "2a"), ("y[T,B,W]", "2b")]
    products = [product for x, name in layers for product in recurrent_layer(x, name)]
    step = training_step(*products, data=["x", *(f"h0{name}" for _, name in layers)])
    return Derivation(step, letters={"gates": 4, "J": H, "U": T - 1, "W": 2 * H})


def lstm_cells() -> Derivation:
    return _one_layer(gates=4)


def scan() -> Derivation:
    """Derive W numbers of queries, keys, values and decays for each token, and a scan of H heads."""
    project = matmul("x[B,T,D] @ w[D,W] -> z[B,T,W]")
    step = training_step(project, *by_tokens().forward, data="x")
    return Derivation(step, letters={"W": H * (2 * _N + _P + 1)})


def chunked_scan() -> Derivation:
    """Derive the same with queries and keys of G groups, for H = G R heads, in chunks of Q tokens."""
    project, scanned = matmul("x[B,T,D] @ w[D,W] -> z[B,T,W]"), in_chunks()
    step = training_step(project, *scanned.forward, data=("x", *scanned.data))
    letters = {str(letter): size for letter, size in chunk_sizes(T, _Q).items()}
    return Derivation(step, letters=letters | {"W": _G * (2 * _N + _R * (_P + 1)), "H": _G * _R})
