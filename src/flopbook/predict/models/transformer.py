"""Predict transformer decoders: the parts of a block, and a stack between an embedding and an output layer.

Products only: norms, activation functions, the softmax and the loss are pointwise and left out of the FLOPs. What
comes between two products has a new name in the second: ``q`` makes scores ``s``, and their softmax ``p`` weighs
the values.

Every part leaves `S` open: the keys that a query meets. ``part.at(S=T)`` counts attention dense; the mean of a mask
counts what the mask leaves, such as ``part.at(S=causal(T) / T)`` with `causal` of `flopbook.predict.models`.
"""

from fractions import Fraction

from sympy import Expr

from flopbook.checks import quoted
from flopbook.predict.axes import L, T, axis
from flopbook.predict.models.model import Model, piece
from flopbook.predict.products import matmul
from flopbook.predict.steps import TrainingStep, training_step

__all__ = [
    "attention_part",
    "decoder",
    "decoder_block",
    "embedding",
    "feed_forward_part",
    "matrices",
    "output_layer",
    "tables",
]

#: Matrices of a feed-forward part: 2, or 3 with a gate.
matrices = axis("matrices")
#: Matrices as large as the vocabulary: 1 where the embedding is also the output layer, 2 where each has its own.
tables = axis("tables")


def decoder_block(gated: bool = False) -> TrainingStep:
    """Derive a block of a transformer decoder: attention and feed-forward, each behind a norm.

    B sequences of T tokens, each D wide. H heads of queries share G heads of keys and values, all E wide, and each
    query meets S keys; the feed-forward part is F wide. Where every query meets every key, S has the size of T.

    Every product passes a gradient on in both directions.

    Parameters
    ----------
    gated : bool
        Whether the feed-forward part has a gate, as SwiGLU has: three matrices instead of two.

    Raises
    ------
    TypeError
        If `gated` is anything else.

    Notes
    -----
    Vaswani and others, *Attention Is All You Need* (2017), section 3; Ainslie and others, *GQA* (2023); Shazeer,
    *GLU Variants Improve Transformer* (2020). What a fused attention computes again on its way back is left out.

    Examples
    --------
    >>> decoder_block()
    forward: 4*B*D*E*G*T + 4*B*D*E*H*T + 4*B*D*F*T + 4*B*E*H*S*T FLOPs
      x[B,T,D] @ wq[D,H,E] -> q[B,T,H,E]
      x[B,T,D] @ wk[D,G,E] -> k[B,T,G,E]
      x[B,T,D] @ wv[D,G,E] -> v[B,T,G,E]
      q[B,T,H,E] @ ks[B,S,H,E] -> s[B,H,T,S]
      p[B,H,T,S] @ vs[B,S,H,E] -> o[B,T,H,E]
      o[B,T,H,E] @ wo[H,E,D] -> y[B,T,D]
      n[B,T,D] @ w1[D,F] -> f[B,T,F]
      h[B,T,F] @ w2[F,D] -> z[B,T,D]
    backward: 8*B*D*E*G*T + 8*B*D*E*H*T + 8*B*D*F*T + 8*B*E*H*S*T FLOPs
    ...
    """
    if not isinstance(gated, bool):
        raise TypeError(f"gated={quoted(gated)} is neither True nor False: give one of them")
    gate = [_GATE] if gated else []
    return training_step(*_ATTENTION, *gate, *_FEED_FORWARD)


_ATTENTION = (
    matmul("x[B,T,D] @ wq[D,H,E] -> q[B,T,H,E]"),
    matmul("x[B,T,D] @ wk[D,G,E] -> k[B,T,G,E]"),
    matmul("x[B,T,D] @ wv[D,G,E] -> v[B,T,G,E]"),
    matmul("q[B,T,H,E] @ ks[B,S,H,E] -> s[B,H,T,S]"),  # ks and vs are those of k and v that a query meets
    matmul("p[B,H,T,S] @ vs[B,S,H,E] -> o[B,T,H,E]"),
    matmul("o[B,T,H,E] @ wo[H,E,D] -> y[B,T,D]"),
)
_GATE = matmul("n[B,T,D] @ wg[D,F] -> g[B,T,F]")
_FEED_FORWARD = matmul("n[B,T,D] @ w1[D,F] -> f[B,T,F]"), matmul("h[B,T,F] @ w2[F,D] -> z[B,T,D]")


def attention_part() -> Model:
    """Predict the attention of a block, with its norm: H heads of queries, G of keys and values.

    No scores are kept, as in a fused attention, but one number for each query and head. A norm has one weight for
    each of its D numbers, and keeps its input and the mean and deviation of each token, as `torch.nn.LayerNorm` does.

    Examples
    --------
    >>> attention_part().parameters
    2*D*E*G + 2*D*E*H + D
    >>> attention_part().at(S=T).forward
    4*B*D*E*G*T + 4*B*D*E*H*T + 4*B*E*H*T**2
    """
    kept = "x[B,T,D] mean[B,T] deviation[B,T] n[B,T,D] q[B,T,H,E] k[B,T,G,E] v[B,T,G,E] o[B,T,H,E] logsumexp[B,H,T]"
    return piece(*_ATTENTION, weights="wq[D,H,E] wk[D,G,E] wv[D,G,E] wo[H,E,D] norm[D]", kept=kept)


def feed_forward_part() -> Model:
    """Predict the feed-forward part of a block, with its norm; `matrices` is 3 with a gate and 2 without.

    Examples
    --------
    >>> feed_forward_part().at(matrices=3).parameters
    3*D*F + D
    """
    kept = "x[B,T,D] mean[B,T] deviation[B,T] n[B,T,D] f[B,T,F] h[B,T,F]"
    whole = piece(*_FEED_FORWARD, weights="w1[D,F] w2[F,D] norm[D]", kept=kept)
    return whole + (matrices - 2) * piece(_GATE, weights="wg[D,F]", kept="g[B,T,F] silu[B,T,F]")


def output_layer() -> Model:
    """Predict the last norm, the output layer without its table, and the cross-entropy.

    The mean of the cross-entropy keeps what it divides by.
    """
    kept = "x[B,T,D] mean[B,T] deviation[B,T] n[B,T,D] logsoftmax[B,T,V] weight[]"
    return piece(matmul("n[B,T,D] @ table[D,V] -> logits[B,T,V]"), weights="norm[D]", kept=kept)


def embedding() -> Model:
    """Predict a table of the vocabulary: a lookup takes no FLOPs."""
    return piece(weights="table[V,D]")


def decoder(keys: Expr | int | Fraction = T) -> Model:
    """Predict a transformer decoder: L blocks between an embedding and an output layer.

    Norms have one weight for each of their D numbers, there are no other biases, and positions have no parameters,
    as in Llama. Attention is fused, so that no scores are kept. Dropout is left out.

    Besides the letters of :func:`decoder_block`, `V` is the vocabulary, `matrices` is 3 where the feed-forward
    part has a gate and 2 where it has none, and `tables` is 1 where the embedding is also the output layer.

    A decoder of several kinds of layers is a sum of its parts.

    Parameters
    ----------
    keys : sympy.Expr
        The keys that a query meets, on average: T counts attention dense, ``causal(T) / T`` what a causal mask leaves.

    Raises
    ------
    TypeError
        If `keys` is not an expression.

    Examples
    --------
    The published size of Llama 3 8B:

    >>> from flopbook.predict import evaluate
    >>> evaluate(decoder().parameters, dict(
    ...     L=32, D=4096, H=32, G=8, E=128, F=14336, V=128256, matrices=3, tables=2))
    8030261248

    In one layer of three a token meets all before it, and in the others a window:

    >>> from flopbook.predict.models import causal, window
    >>> full, near = (attention_part().at(S=pairs / T) for pairs in (causal(T), window(T, 4096)))
    >>> stack = L / 3 * (full + 2 * near + 3 * feed_forward_part()) + output_layer() + tables * embedding()
    """
    block = attention_part() + feed_forward_part()
    return (L * block + output_layer() + tables * embedding()).at(S=keys)
