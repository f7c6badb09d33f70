"""Derive attention, and the layers around it."""

from sympy import Expr

from flopbook.predict.axes import D, E, G, H, T, axis
from flopbook.predict.models import attention
from flopbook.predict.products import Product, matmul
from flopbook.predict.steps import TrainingStep, training_step
from flopbook.specimens.on_paper.derivation import Derivation

R = axis("R")


def self_attention(scores: Product, values: Product, number: str = "") -> tuple[Product, ...]:
    """Derive self-attention: a product P wide, the attention, and one J wide behind it."""
    return (
        matmul(f"x{number}[B,T,D] @ wp{number}[D,P] -> qkv{number}[B,T,P]"),
        scores,
        values,
        matmul(f"c{number}[B,T,J] @ wj{number}[J,D] -> y{number}[B,T,D]"),
    )


def heads(number: str = "") -> tuple[Product, Product]:
    """Derive H dense heads: scores of T queries and S keys, and weighted values."""
    return (
        matmul(f"q{number}[B,H,T,E] @ k{number}[B,H,S,E] -> s{number}[B,H,T,S]"),
        matmul(f"a{number}[B,H,T,S] @ v{number}[B,H,S,E] -> o{number}[B,H,T,E]"),
    )


def shared_heads() -> tuple[Product, Product]:
    """Derive G heads of keys and values, each for R heads of queries."""
    return (
        matmul("q[B,G,R,T,E] @ k[B,G,S,E] -> s[B,G,R,T,S]"),
        matmul("a[B,G,R,T,S] @ v[B,G,S,E] -> o[B,G,R,T,E]"),
    )


def feed_forward(number: str = "") -> tuple[Product, Product]:
    """Derive two linear layers, F wide between them."""
    return (
        matmul(f"n{number}[B,T,D] @ w1{number}[D,F] -> f{number}[B,T,F]"),
        matmul(f"g{number}[B,T,F] @ w2{number}[F,D] -> z{number}[B,T,D]"),
    )


def widths(of_queries: Expr, of_keys: Expr) -> dict[str, Expr]:
    """Return sizes of self-attention: keys as many as queries, and widths of all heads."""
    return {"S": T, "P": of_queries + 2 * of_keys, "J": of_queries}


#: Where the heads share the model's width.
OF_MODEL = {"E": D / H, **widths(D, D)}


def causal_attention() -> Derivation:
    scores, values = heads()
    step = training_step(*self_attention(scores, values), data="x")
    return Derivation(step, fused=(scores,), letters=widths(H * E, H * E))


def grouped_attention() -> Derivation:
    scores, values = shared_heads()
    step = training_step(*self_attention(scores, values), data="x")
    return Derivation(step, fused=(scores,), letters=widths(G * R * E, G * E))


def one_shared_head() -> Derivation:
    """Derive R heads of queries that share one of keys and values."""
    scores, values = matmul("q[B,R,T,E] @ k[B,S,E] -> s[B,R,T,S]"), matmul("a[B,R,T,S] @ v[B,S,E] -> o[B,R,T,E]")
    step = training_step(*self_attention(scores, values), data="x")
    return Derivation(step, fused=(scores,), letters=widths(R * E, E))


def latent_attention() -> Derivation:
    """Derive attention from latents, whose values have a width of their own, so that nothing is fused."""
    return Derivation(training_step(*attention.latent_attention().forward, data="x"), letters={"S": T})


def absorbed_latent_attention() -> Derivation:
    """Derive attention whose queries meet the latents themselves."""
    return Derivation(training_step(*attention.latent_attention(absorbed=True).forward, data="x"), letters={"S": T})


def multi_head_attention() -> Derivation:
    """Derive multi-head attention that returns its weights, so that nothing is fused."""
    return Derivation(training_step(*self_attention(*heads()), data="x"), letters=OF_MODEL)


def encoder_layer() -> Derivation:
    scores, values = heads()
    layer = *self_attention(scores, values), *feed_forward()
    return Derivation(training_step(*layer, data="x"), fused=(scores,), letters=OF_MODEL)


def encoder_layer_inference() -> Derivation:
    return Derivation(TrainingStep(encoder_layer().step.forward, backward=()), letters=OF_MODEL)
