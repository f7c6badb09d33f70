"""Whole models: their products, and what follows for parameters, FLOPs and activations.

Products only: norms, activation functions, the softmax and the loss are pointwise and left out of the FLOPs. What
comes between two products has a new name in the second: ``q`` makes scores ``s``, and their softmax ``p`` weighs
the values.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import pairwise

import sympy
from sympy import Expr

from flopbook.accounting import TrainingStep, flops, matmul, training_step
from flopbook.axes import H, L, T, axis
from flopbook.memory import elements, kept
from flopbook.notation import Tensor

__all__ = ["Model", "decoder", "decoder_block", "linear_stack", "matrices", "mlp", "tables"]

#: Matrices of a feed-forward block: 2, or 3 with a gate.
matrices = axis("matrices")
#: Matrices as large as the vocabulary: 1 where the embedding is also the output layer, 2 where each has its own.
tables = axis("tables")


@dataclass(frozen=True)
class Model:
    """What a model takes, as expressions in its sizes. Models add up, and a part can be repeated: ``L * block + head``.

    Attributes
    ----------
    parameters, tensors : sympy.Expr
        Trained numbers, and the tensors that hold them.
    forward, backward : sympy.Expr
        FLOPs of the products of one step.
    activations : sympy.Expr
        Numbers that are kept for the backward pass.
    """

    parameters: Expr
    tensors: Expr
    forward: Expr
    backward: Expr
    activations: Expr

    def _each(self, change: Callable[..., Expr], *others: "Model") -> "Model":
        return Model(*(change(*(getattr(model, kind.name) for model in (self, *others))) for kind in fields(self)))

    def __add__(self, other: "Model") -> "Model":
        return self._each(sympy.Add, other)

    def __rmul__(self, times: Expr | int) -> "Model":
        return self._each(lambda value: times * value)

    def at(self, **sizes: Expr) -> "Model":
        """The model with some letters replaced, and its expressions expanded."""
        replaced = {axis(name): size for name, size in sizes.items()}
        return self._each(lambda value: sympy.expand(value.subs(replaced)))


def _model(step: TrainingStep, parameters: list[Tensor], activations: list[Tensor]) -> Model:
    tensors = sympy.Integer(len(parameters))
    return Model(elements(parameters), tensors, flops(step.forward), flops(step.backward), elements(activations))


def _repeated(model: Model, longer: Model, times: Expr) -> Model:
    """A model after what a longer one has more than it is added several times."""
    return model + times * (longer + -1 * model)


def linear_stack(*widths: str) -> Model:
    """Linear layers with biases, ReLU between them, and a mean of squares as the loss.

    Parameters
    ----------
    *widths : str
        The letter of each width, from the input to the output.

    Raises
    ------
    ValueError
        If there are fewer than two.

    Notes
    -----
    ReLU needs nothing but its result, which the next layer keeps anyway. Derived in the lectures *Why backward costs
    twice, and when it does not* and *Where the memory goes*.

    Examples
    --------
    >>> stack = linear_stack("D", "H", "K")
    >>> stack.parameters
    D*H + H*K + H + K
    >>> stack.forward, stack.backward
    (2*B*D*H + 2*B*H*K, 2*B*D*H + 4*B*H*K)
    """
    if len(widths) < 2:
        raise ValueError(f"linear_stack({', '.join(map(repr, widths))}) has no layer: write linear_stack('D', 'K')")
    layers = [matmul(f"h{i}[B,{D}] @ w{i}[{D},{K}] -> h{i + 1}[B,{K}]") for i, (D, K) in enumerate(pairwise(widths))]
    step = training_step(*layers, data="h0")
    biases = [Tensor(f"b{letter}", (letter,)) for letter in widths[1:]]
    by_loss = [Tensor("y", ("B", widths[-1])), Tensor("target", ("B", widths[-1]))]
    return _model(step, [*(layer.right for layer in layers), *biases], [*kept(step), *by_loss])


def mlp() -> Model:
    """A multilayer perceptron: L hidden layers of width H, like :func:`linear_stack` otherwise.

    Examples
    --------
    >>> mlp().parameters
    D*H + H**2*L - H**2 + H*K + H*L + K
    """
    shallow, deeper = linear_stack("D", "H", "K"), linear_stack("D", "H", "J", "K")
    return _repeated(shallow, deeper, L - 1).at(J=H)


def decoder_block(gated: bool = False) -> TrainingStep:
    """One block of a transformer decoder: attention and a feed-forward block, each behind a norm.

    B sequences of T tokens, each D wide. H heads of queries look at S positions, and share G heads of keys and
    values, all E wide; the feed-forward block is F wide. For self-attention S has the size of T.

    Every product passes a gradient on in both directions. Attention is counted dense, whatever the mask.

    Parameters
    ----------
    gated : bool
        Whether the feed-forward block has a gate, as SwiGLU has: three matrices instead of two.

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


def _weights(step: TrainingStep) -> list[Tensor]:
    return [product.right for product in step.forward if product.right.name.startswith("w")]


def _tensors(text: str) -> list[Tensor]:
    return [Tensor.parse(tensor) for tensor in text.split()]


def _block(gated: bool) -> Model:
    """A block with its two norms, and what these, attention and the activation function keep beside its products."""
    step = decoder_block(gated)
    norms = _tensors("norm1[D] norm2[D]")
    around = _tensors("x1[B,T,D] mean1[B,T] deviation1[B,T] n1[B,T,D] x2[B,T,D] mean2[B,T] deviation2[B,T] n2[B,T,D]")
    attention = _tensors("q[B,T,H,E] k[B,T,G,E] v[B,T,G,E] o[B,T,H,E] logsumexp[B,H,T]")
    feed_forward = _tensors("f[B,T,F] h[B,T,F]" + (" g[B,T,F] silu[B,T,F]" if gated else ""))
    return _model(step, [*_weights(step), *norms], [*around, *attention, *feed_forward])


def _head() -> Model:
    """The last norm, the output layer without its table, and the cross-entropy, whose mean keeps what it divides by."""
    step = training_step(matmul("n[B,T,D] @ table[D,V] -> logits[B,T,V]"))
    kept_here = _tensors("x[B,T,D] mean[B,T] deviation[B,T] n[B,T,D] logsoftmax[B,T,V] weight[]")
    return _model(step, _tensors("norm[D]"), kept_here)


def _embedding() -> Model:
    """A table of the vocabulary: a lookup takes no FLOPs."""
    return _model(TrainingStep((), ()), _tensors("table[V,D]"), [])


def decoder() -> Model:
    """A transformer decoder: L blocks between an embedding and an output layer.

    Norms have one weight for each of their D numbers, there are no other biases, and positions have no parameters,
    as in Llama. Attention is fused, so that no scores are kept; it is counted dense, whatever the mask. A norm keeps
    its input and the mean and deviation of each token, as `torch.nn.LayerNorm` does. Dropout is left out.

    Besides the letters of :func:`decoder_block`, `V` is the vocabulary, `matrices` is 3 where the feed-forward
    block has a gate and 2 where it has none, and `tables` is 1 where the embedding is also the output layer.

    Examples
    --------
    The published size of Llama 3 8B:

    >>> from flopbook.accounting import evaluate
    >>> evaluate(decoder().parameters, dict(
    ...     L=32, D=4096, H=32, G=8, E=128, F=14336, V=128256, matrices=3, tables=2))
    8030261248
    """
    block = _repeated(_block(gated=False), _block(gated=True), matrices - 2)
    return (L * block + _head() + tables * _embedding()).at(S=T)
