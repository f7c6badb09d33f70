"""What each specimen takes, derived on paper: products, no PyTorch.

Biases, norms, activations, embeddings and losses are no contractions, so they
don't occur. A tensor that no product makes has come through them.
"""

from dataclasses import dataclass, replace

from flopbook.predict.products import Product, conv, matmul
from flopbook.predict.steps import TrainingStep, flops, training_step
from flopbook.predict.values import evaluate


@dataclass(frozen=True)
class Derivation:
    """The products of one step.

    Attributes
    ----------
    step : TrainingStep
        Forward and backward pass.
    fused : tuple of Product
        The scores that fused attention computes again on its way back, since
        it keeps none; part of the backward pass.
    recomputed : tuple of Product
        What a checkpoint runs again.
    """

    step: TrainingStep
    fused: tuple[Product, ...] = ()
    recomputed: tuple[Product, ...] = ()

    @property
    def phases(self) -> dict[str, tuple[Product, ...]]:
        """The products of each phase, fused attention's own among the backward ones."""
        backward = *self.step.backward, *self.fused
        return {"forward": self.step.forward, "backward": backward, "recomputed": self.recomputed}

    def flops(self, phase: str, sizes: dict[str, int]) -> int:
        """FLOPs of one phase."""
        return int(evaluate(flops(self.phases[phase]), sizes))


def mlp() -> Derivation:
    first = matmul("x[B,D] @ w1[D,H] -> h1[B,H]")
    second = matmul("h1[B,H] @ w2[H,J] -> h2[B,J]")
    third = matmul("h2[B,J] @ w3[J,K] -> y[B,K]")
    return Derivation(training_step(first, second, third, data="x"))


def linear_on_four_axes() -> Derivation:
    return Derivation(training_step(matmul("x[A,B,T,D] @ w[D,K] -> y[A,B,T,K]"), data="x"))


def vectors() -> Derivation:
    """A linear layer takes a vector for a batch of one, so its weight's gradient is a product like any other.

    The other gradients but one sum over nothing: they scale a vector, or multiply each element of
    one with each of another. Such products are pointwise.
    """
    linear = matmul("x[B,D] @ w[D,H] -> h[B,H]")
    matrix = matmul("h1[H] @ m[K,H] -> y[K]")
    dot = matmul("y[K] @ v[K] -> z[]")
    step = training_step(linear, matrix, dot, data="x")
    summing = tuple(product for product in step.backward if set(product.axes) - set(product.output.axes))
    return Derivation(replace(step, backward=summing))


def einsum() -> Derivation:
    split = matmul("x[B,T,D] @ ws[D,H,E] -> h[B,H,T,E]")
    join = matmul("h[B,H,T,E] @ wj[H,E,K] -> y[B,T,K]")
    return Derivation(training_step(split, join, data="x"))


def _convolution(text: str) -> Derivation:
    return Derivation(training_step(conv(text), data="x"))


def dilated() -> Derivation:
    return _convolution("x[B,C,X] * w[K,C,R] -> y[B,K,P]")


def strided() -> Derivation:
    return _convolution("x[B,C,X,Y] * w[K,C,R,S] -> y[B,K,P,Q]")


def volumetric() -> Derivation:
    return _convolution("x[B,C,X,Y,Z] * w[K,C,R,S,U] -> y[B,K,P,Q,O]")


def grouped() -> Derivation:
    return _convolution("x[B,G,C,X,Y] * w[G,K,C,R,S] -> y[B,G,K,P,Q]")


def depthwise_separable() -> Derivation:
    """Each channel by itself, then a matrix product at each place."""
    depthwise = conv("x[B,C,X,Y] * w1[C,R,S] -> h[B,C,P,Q]")
    pointwise = matmul("h[B,C,P,Q] @ w2[K,C] -> y[B,K,P,Q]")
    return Derivation(training_step(depthwise, pointwise, data="x"))


def transposed() -> Derivation:
    """A convolution from y to x, run the other way round: the letters are the same."""
    straight = conv("y[B,K,P,Q] * w[C,K,R,S] -> x[B,C,X,Y]")
    return Derivation(training_step(replace(straight, left=straight.output, output=straight.left), data="x"))


def cnn() -> Derivation:
    first = conv("x[B,C,X,Y] * w1[D,C,R,S] -> y1[B,D,P,Q]")
    second = conv("h1[B,D,X2,Y2] * w2[H,D,R,S] -> y2[B,H,P2,Q2]")
    last = matmul("h2[B,H] @ w3[H,K] -> y[B,K]")
    return Derivation(training_step(first, second, last, data="x"))


def _recurrent_layer(x: str, name: str) -> tuple[Product, ...]:
    """All gates G from the input, then from the state: first from the one at rest, then U times from the last."""
    return (
        matmul(f"{x} @ wx{name}[{x[-2]},G] -> gx{name}[T,B,G]"),
        matmul(f"rest{name}[B,H] @ wh{name}[H,G] -> g0{name}[B,G]"),
        matmul(f"h{name}[U,B,H] @ wh{name}[H,G] -> gh{name}[U,B,G]"),
    )


def recurrent() -> Derivation:
    """One layer; G gates are H wide for an RNN, 3 H for a GRU, 4 H for an LSTM."""
    return Derivation(training_step(*_recurrent_layer("x[T,B,D]", "1"), data=("x", "rest1")))


def stacked_recurrent() -> Derivation:
    """Two layers in both directions; the second sees both states of the first, W = 2 H."""
    layers = [("x[T,B,D]", "1a"), ("x[T,B,D]", "1b"), ("h1[T,B,W]", "2a"), ("h1[T,B,W]", "2b")]
    products = [product for x, name in layers for product in _recurrent_layer(x, name)]
    return Derivation(training_step(*products, data=["x", *(f"rest{name}" for _, name in layers)]))


def _attention(number: str = "") -> tuple[Product, Product]:
    """Scores of T queries and S keys in H heads, and the values by their weights; dense, whatever the mask."""
    return (
        matmul(f"q{number}[B,H,T,E] @ k{number}[B,H,S,E] -> s{number}[B,H,T,S]"),
        matmul(f"a{number}[B,H,T,S] @ v{number}[B,H,S,E] -> o{number}[B,H,T,E]"),
    )


def _grouped_attention() -> tuple[Product, Product]:
    """G heads of keys and values, each for R heads of queries."""
    return (
        matmul("q[B,G,R,T,E] @ k[B,G,S,E] -> s[B,G,R,T,S]"),
        matmul("a[B,G,R,T,S] @ v[B,G,S,E] -> o[B,G,R,T,E]"),
    )


def _self_attention(x: str, scores: Product, values: Product, number: str = "") -> tuple[Product, ...]:
    """Queries, keys and values in one product, P wide, the attention, and what joins the heads, J = H E wide."""
    return (
        matmul(f"{x}{number}[B,T,D] @ wp{number}[D,P] -> qkv{number}[B,T,P]"),
        scores,
        values,
        matmul(f"c{number}[B,T,J] @ wj{number}[J,D] -> y{number}[B,T,D]"),
    )


def causal_attention() -> Derivation:
    scores, values = _attention()
    return Derivation(training_step(*_self_attention("x", scores, values), data="x"), fused=(scores,))


def grouped_attention() -> Derivation:
    scores, values = _grouped_attention()
    return Derivation(training_step(*_self_attention("x", scores, values), data="x"), fused=(scores,))


def multi_head_attention() -> Derivation:
    """It returns the weights too, so nothing is fused."""
    return Derivation(training_step(*_self_attention("x", *_attention()), data="x"))


def _feed_forward(number: str = "") -> tuple[Product, Product]:
    return (
        matmul(f"n{number}[B,T,D] @ w1{number}[D,F] -> f{number}[B,T,F]"),
        matmul(f"g{number}[B,T,F] @ w2{number}[F,D] -> z{number}[B,T,D]"),
    )


def encoder_layer() -> Derivation:
    scores, values = _attention()
    layer = *_self_attention("x", scores, values), *_feed_forward()
    return Derivation(training_step(*layer, data="x"), fused=(scores,))


def encoder_layer_inference() -> Derivation:
    return Derivation(TrainingStep(encoder_layer().step.forward, backward=()))


def gpt() -> Derivation:
    """Two blocks, then the token embedding once more as the output layer."""
    products: list[Product] = []
    for number in "12":
        products += _self_attention("x", *_attention(number), number)
        products += _feed_forward(number)
    logits = matmul("y[B,T,D] @ w[V,D] -> logits[B,T,V]")
    fused = tuple(product for product in products if product.output.name in ("s1", "s2"))
    return Derivation(training_step(*products, logits), fused)


def llama() -> Derivation:
    """The input's norm has a weight, so the projections pass a gradient back to it."""
    scores, values = _grouped_attention()
    gate = matmul("n[B,T,D] @ wg[D,F] -> g[B,T,F]")
    up = matmul("n[B,T,D] @ wu[D,F] -> u[B,T,F]")
    down = matmul("gu[B,T,F] @ wd[F,D] -> z[B,T,D]")
    return Derivation(training_step(*_self_attention("x", scores, values), gate, up, down), fused=(scores,))


def mixture() -> Derivation:
    """B tokens choose among X experts; M = B x top are the pairs of a token and one that it chose."""
    router = matmul("x[B,D] @ wr[D,X] -> r[B,X]")
    up = matmul("xm[M,D] @ w1[D,F] -> h[M,F]")
    down = matmul("hm[M,F] @ w2[F,D] -> y[M,D]")
    return Derivation(training_step(router, up, down, data=("x", "xm")))


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
    """Nothing needs the last result of a block again, so its last product is left out."""
    products = _blocks()
    return Derivation(training_step(*products, data="x"), recomputed=(products[3], products[1]))


def checkpointed_reentrant() -> Derivation:
    """A block runs again as a whole."""
    products = _blocks()
    return Derivation(training_step(*products, data="x"), recomputed=(*products[3:5], *products[1:3]))
