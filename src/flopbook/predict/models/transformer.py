"""Predict transformer decoders: one block, and a stack between an embedding and an output layer.

Products only: norms, activation functions, the softmax and the loss are pointwise and left out of the FLOPs. What
comes between two products has a new name in the second: ``q`` makes scores ``s``, and their softmax ``p`` weighs
the values.
"""

from flopbook.checks import quoted
from flopbook.predict.axes import L, T, axis
from flopbook.predict.models.model import Model, model_of
from flopbook.predict.notation import tensors
from flopbook.predict.products import matmul
from flopbook.predict.steps import TrainingStep, training_step

__all__ = ["decoder", "decoder_block", "matrices", "tables"]

#: Matrices of a feed-forward block: 2, or 3 with a gate.
matrices = axis("matrices")
#: Matrices as large as the vocabulary: 1 where the embedding is also the output layer, 2 where each has its own.
tables = axis("tables")


def decoder_block(gated: bool = False) -> TrainingStep:
    """Derive a block of a transformer decoder: attention and feed-forward, each behind a norm.

    B sequences of T tokens, each D wide. H heads of queries look at S positions, and share G heads of keys and
    values, all E wide; the feed-forward block is F wide. For self-attention S has the size of T.

    Every product passes a gradient on in both directions. Attention is counted dense, whatever the mask.

    Parameters
    ----------
    gated : bool
        Whether the feed-forward block has a gate, as SwiGLU has: three matrices instead of two.

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
    forward: 4*B*D*E*G*S + 4*B*D*E*H*T + 4*B*D*F*T + 4*B*E*H*S*T FLOPs
      x[B,T,D] @ wq[D,H,E] -> q[B,T,H,E]
      c[B,S,D] @ wk[D,G,E] -> k[B,S,G,E]
      c[B,S,D] @ wv[D,G,E] -> v[B,S,G,E]
      q[B,T,H,E] @ ks[B,S,H,E] -> s[B,H,T,S]
      p[B,H,T,S] @ vs[B,S,H,E] -> o[B,T,H,E]
      o[B,T,H,E] @ wo[H,E,D] -> y[B,T,D]
      n[B,T,D] @ w1[D,F] -> f[B,T,F]
      h[B,T,F] @ w2[F,D] -> z[B,T,D]
    backward: 8*B*D*E*G*S + 8*B*D*E*H*T + 8*B*D*F*T + 8*B*E*H*S*T FLOPs
    ...
    """
    if not isinstance(gated, bool):
        raise TypeError(f"gated={quoted(gated)} is neither True nor False: give one of them")
    gate = [matmul("n[B,T,D] @ wg[D,F] -> g[B,T,F]")] if gated else []
    return training_step(
        matmul("x[B,T,D] @ wq[D,H,E] -> q[B,T,H,E]"),
        matmul("c[B,S,D] @ wk[D,G,E] -> k[B,S,G,E]"),  # c is x again, seen as what the queries look at
        matmul("c[B,S,D] @ wv[D,G,E] -> v[B,S,G,E]"),
        matmul("q[B,T,H,E] @ ks[B,S,H,E] -> s[B,H,T,S]"),  # ks and vs are k and v, shared among the heads
        matmul("p[B,H,T,S] @ vs[B,S,H,E] -> o[B,T,H,E]"),
        matmul("o[B,T,H,E] @ wo[H,E,D] -> y[B,T,D]"),
        *gate,
        matmul("n[B,T,D] @ w1[D,F] -> f[B,T,F]"),
        matmul("h[B,T,F] @ w2[F,D] -> z[B,T,D]"),
    )


def _block() -> Model:
    """Predict a block without a gate, with all that it keeps."""
    step = decoder_block()
    weights = [product.right for product in step.forward if product.right.name.startswith("w")]
    around = tensors("x1[B,T,D] mean1[B,T] deviation1[B,T] n1[B,T,D] x2[B,T,D] mean2[B,T] deviation2[B,T] n2[B,T,D]")
    attention = tensors("q[B,T,H,E] k[B,T,G,E] v[B,T,G,E] o[B,T,H,E] logsumexp[B,H,T]")
    feed_forward = tensors("f[B,T,F] h[B,T,F]")
    return model_of(step, [*weights, *tensors("norm1[D] norm2[D]")], [*around, *attention, *feed_forward])


def _gate() -> Model:
    """Predict what a gate adds to a block: a product and an activation function."""
    step = training_step(matmul("n[B,T,D] @ wg[D,F] -> g[B,T,F]"))
    return model_of(step, tensors("wg[D,F]"), tensors("g[B,T,F] silu[B,T,F]"))


def _head() -> Model:
    """Predict the last norm, the output layer without its table, and the cross-entropy.

    The mean of the cross-entropy keeps what it divides by.
    """
    step = training_step(matmul("n[B,T,D] @ table[D,V] -> logits[B,T,V]"))
    kept_here = tensors("x[B,T,D] mean[B,T] deviation[B,T] n[B,T,D] logsoftmax[B,T,V] weight[]")
    return model_of(step, tensors("norm[D]"), kept_here)


def _embedding() -> Model:
    """Predict a table of the vocabulary: a lookup takes no FLOPs."""
    return model_of(TrainingStep((), ()), tensors("table[V,D]"), [])


def decoder() -> Model:
    """Predict a transformer decoder: L blocks between an embedding and an output layer.

    Norms have one weight for each of their D numbers, there are no other biases, and positions have no parameters,
    as in Llama. Attention is fused, so that no scores are kept; it is counted dense, whatever the mask. A norm keeps
    its input and the mean and deviation of each token, as `torch.nn.LayerNorm` does. Dropout is left out.

    Besides the letters of :func:`decoder_block`, `V` is the vocabulary, `matrices` is 3 where the feed-forward
    block has a gate and 2 where it has none, and `tables` is 1 where the embedding is also the output layer.

    Examples
    --------
    The published size of Llama 3 8B:

    >>> from flopbook.predict import evaluate
    >>> evaluate(decoder().parameters, dict(
    ...     L=32, D=4096, H=32, G=8, E=128, F=14336, V=128256, matrices=3, tables=2))
    8030261248
    """
    block = _block() + (matrices - 2) * _gate()
    return (L * block + _head() + tables * _embedding()).at(S=T)
