"""Predict layers that carry a state from token to token: recurrent layers, and scans.

Products only: gates, decays and what is added to a state are pointwise, and left out of the FLOPs.
"""

import sympy
from sympy import Expr, Symbol

from flopbook.checks import quoted, size
from flopbook.predict.axes import H, L, T, axis
from flopbook.predict.models.model import Model, model_of
from flopbook.predict.notation import tensors
from flopbook.predict.products import Product, matmul
from flopbook.predict.steps import TrainingStep, training_step

__all__ = ["chunk_sizes", "chunked_scan", "directions", "gates", "recurrent_layer", "recurrent_scan", "recurrent_stack"]

#: Matrices side by side that make a state: 1 in a plain recurrent layer, 3 in a GRU, 4 in an LSTM.
gates = axis("gates")
#: Ways through the sequence: 1, or 2 where a second layer reads it from the end.
directions = axis("directions")


def recurrent_layer(x: str = "x[T,B,D]", name: str = "", *, projected: bool = False) -> tuple[Product, ...]:
    """Derive the products of a recurrent layer in one direction.

    B sequences of T tokens, each D wide. A state of J numbers meets H columns of each gate: the first state ``h0``
    once, and later ones U = T - 1 times. J has the size of H, or of the projection. Where sequences have unequal
    lengths, T is their mean.

    Parameters
    ----------
    x : str
        What the layer reads.
    name : str
        Ends the names of all other tensors, to tell layers apart.
    projected : bool
        Whether a further matrix makes the J numbers of a state from H, as `proj_size` of `torch.nn.LSTM` does.

    Returns
    -------
    tuple of Product
        For :func:`flopbook.predict.steps.training_step`, with ``x`` and ``h0`` as data where nobody needs their
        gradients.

    Notes
    -----
    Hochreiter and Schmidhuber, *Long Short-Term Memory* (1997); Cho and others, *Learning Phrase Representations using
    RNN Encoder-Decoder* (2014). Derived in the lecture *Count recurrence and scans*.

    Examples
    --------
    >>> training_step(*recurrent_layer(), data=["x", "h0"])
    forward: 2*B*D*H*T*gates + 2*B*H*J*U*gates + 2*B*H*J*gates FLOPs
      x[T,B,D] @ wx[D,gates,H] -> gx[T,B,gates,H]
      h0[B,J] @ wh[J,gates,H] -> g0[B,gates,H]
      h[U,B,J] @ wh[J,gates,H] -> gh[U,B,gates,H]
    backward: 2*B*D*H*T*gates + 4*B*H*J*U*gates + 2*B*H*J*gates FLOPs
      h[U,B,J] @ gh.grad[U,B,gates,H] -> wh.grad[J,gates,H]
      gh.grad[U,B,gates,H] @ wh[J,gates,H] -> h.grad[U,B,J]
      h0[B,J] @ g0.grad[B,gates,H] -> wh.grad[J,gates,H]
      x[T,B,D] @ gx.grad[T,B,gates,H] -> wx.grad[D,gates,H]
    """
    if not isinstance(projected, bool):
        raise TypeError(f"projected={quoted(projected)} is neither True nor False: give one of them")
    (read,) = tensors(x)
    products = [
        matmul(f"{x} @ wx{name}[{read.axes[-1]},gates,H] -> gx{name}[T,B,gates,H]"),
        matmul(f"h0{name}[B,J] @ wh{name}[J,gates,H] -> g0{name}[B,gates,H]"),
        matmul(f"h{name}[U,B,J] @ wh{name}[J,gates,H] -> gh{name}[U,B,gates,H]"),
    ]
    if projected:
        products.append(matmul(f"c{name}[T,B,H] @ wr{name}[H,J] -> r{name}[T,B,J]"))
    return tuple(products)


def recurrent_stack(*, projected: bool = False, data: tuple[str, ...] = ("x", "h0")) -> Model:
    """Predict L recurrent layers, each in one direction or in both, with two biases for each gate as PyTorch has.

    Besides the letters of :func:`recurrent_layer`, `gates` is 1, 3 or 4, and `directions` 1 or 2. A layer after the
    first reads the states of all directions. What it keeps is what its products read again: data and states.
    The gates' own results come on top, and differ by implementation.

    Parameters
    ----------
    projected : bool
        Whether states are projected to J numbers.
    data : tuple of str
        ``x``, ``h0``, both or none: what nobody needs the gradient of. ``h0`` stands for all layers' first states.

    Examples
    --------
    >>> from flopbook.predict import evaluate
    >>> lstm = recurrent_stack().at(gates=4, L=1, directions=1)
    >>> lstm.forward
    8*B*D*H*T + 8*B*H**2*T
    >>> sizes = dict(T=5, B=3, D=8, H=16)
    >>> evaluate(lstm.forward, sizes), evaluate(lstm.backward, sizes)
    (46080, 70656)
    """
    weights = "wx[D,gates,H] wh[J,gates,H] bx[gates,H] bh[gates,H]" + " wr[H,J]" * projected
    kept = "x[T,B,D] h0[B,J] h[U,B,J]" + " c[T,B,H]" * projected

    def layer(data: tuple[str, ...]) -> Model:
        step = training_step(*recurrent_layer(projected=projected), data=data)
        return model_of(step, tensors(weights), tensors(kept))

    inner = layer(tuple(name for name in data if name != "x")).at(D=directions * axis("J"))
    stack = directions * (layer(data) + (L - 1) * inner)
    return stack.at(U=T - 1, **({} if projected else {"J": H}))


def recurrent_scan() -> TrainingStep:
    """Derive a scan token by token: each token changes the state, and then reads it.

    B sequences of T tokens and H heads, with a state of N rows and P columns each. The only product is a query that
    reads the state. The state times its decay, key times value, and their sum are pointwise: 3 FLOPs for each number of
    the state and each token.

    Notes
    -----
    Katharopoulos and others, *Transformers are RNNs* (2020), and Dao and Gu, *Transformers are SSMs* (2024), where the
    state has a decay. Derived in the lecture *Count recurrence and scans*.

    Examples
    --------
    >>> recurrent_scan()
    forward: 2*B*H*N*P*T FLOPs
      q[B,T,H,N] @ h[B,T,H,N,P] -> y[B,T,H,P]
    backward: 4*B*H*N*P*T FLOPs
    ...
    """
    return training_step(matmul("q[B,T,H,N] @ h[B,T,H,N,P] -> y[B,T,H,P]"))


def chunked_scan(data: tuple[str, ...] = ("h0", "k_last", "v_last")) -> TrainingStep:
    """Derive the same scan in chunks: attention within a chunk, and a state from each chunk to the next.

    B sequences of T tokens and H heads, which share the queries and keys of G groups. Keys are N wide and values P. A
    query meets the S keys of its chunk, masked or not, and reads the state that the chunks before have left.
    :func:`chunk_sizes` gives S and the sizes of the first and last chunk.

    Parameters
    ----------
    data : tuple of str
        What takes no gradient. By default there is no first state, and nobody reads the last one; without ``h0`` the
        first state takes a gradient, and without ``k_last`` and ``v_last`` the last state is used.

    Notes
    -----
    Dao and Gu, *Transformers are SSMs* (2024), section 6. Derived in the lecture *Count recurrence and scans*.

    Examples
    --------
    >>> from flopbook.predict import flops
    >>> from flopbook.predict.axes import T, axis
    >>> step = chunked_scan()
    >>> step
    forward: 2*B*G*N*S*T + 2*B*H*N*P*earlier + 2*B*H*N*P*first + 2*B*H*N*P*last + 2*B*H*N*P*later + 2*B*H*P*S*T FLOPs
      q[B,T,G,N] @ k[B,S,G,N] -> s[B,G,T,S]
      m[B,H,T,S] @ v[B,S,H,P] -> y[B,T,H,P]
      ks[B,earlier,H,N] @ vs[B,earlier,H,P] -> h_next[B,H,N,P]
      k_last[B,last,H,N] @ v_last[B,last,H,P] -> h_last[B,H,N,P]
      q_first[B,first,H,N] @ h0[B,H,N,P] -> y_first[B,first,H,P]
      qs[B,later,H,N] @ h[B,H,N,P] -> y_later[B,later,H,P]
    ...
    >>> one_head = {axis(letter): 1 for letter in "BHG"}
    >>> flops(step.forward).subs(chunk_sizes(T, axis("Q"), divides=True)).subs(one_head).expand()
    4*N*P*T + 2*N*Q*T + 2*P*Q*T
    """
    return training_step(
        matmul("q[B,T,G,N] @ k[B,S,G,N] -> s[B,G,T,S]"),
        matmul("m[B,H,T,S] @ v[B,S,H,P] -> y[B,T,H,P]"),  # m is s with mask and decays, of each head
        matmul("ks[B,earlier,H,N] @ vs[B,earlier,H,P] -> h_next[B,H,N,P]"),  # what each chunk adds for the next
        matmul("k_last[B,last,H,N] @ v_last[B,last,H,P] -> h_last[B,H,N,P]"),
        matmul("q_first[B,first,H,N] @ h0[B,H,N,P] -> y_first[B,first,H,P]"),
        matmul("qs[B,later,H,N] @ h[B,H,N,P] -> y_later[B,later,H,P]"),
        data=data,
    )


def chunk_sizes(tokens: Expr | int, chunk: Expr | int, *, divides: bool = False) -> dict[Symbol, Expr]:
    """Say what the chunks of a sequence are like, for the letters of :func:`chunked_scan`.

    S is the mean number of keys in a query's chunk. ``first`` and ``last`` are the tokens of these chunks, ``earlier``
    all before the last, and ``later`` all after the first. The last chunk has what is left; a padded one counts as many
    tokens as the padded sequence has.

    Parameters
    ----------
    tokens, chunk : sympy.Expr or int
        The length of a sequence and of a chunk, which may be longer.
    divides : bool
        Whether the chunk divides the sequence, which makes the sizes simple.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer or an expression.

    Examples
    --------
    >>> chunk_sizes(10, 4)
    {S: 18/5, first: 4, last: 2, earlier: 8, later: 6}
    >>> from flopbook.predict.axes import axis
    >>> chunk_sizes(T, axis("Q"), divides=True)
    {S: Q, first: Q, last: Q, earlier: -Q + T, later: -Q + T}
    """
    tokens, chunk = _size("tokens", tokens), _size("chunk", chunk)
    if divides:
        keys, first, last = chunk, chunk, chunk
    else:
        left = tokens - chunk * sympy.floor(tokens / chunk)
        keys = (chunk * (tokens - left) + left**2) / tokens
        first = sympy.Min(chunk, tokens)
        last = left + chunk * (1 - sympy.sign(left))
    letters = {"S": keys, "first": first, "last": last, "earlier": tokens - last, "later": tokens - first}
    return {axis(letter): of_chunks for letter, of_chunks in letters.items()}


def _size(name: str, given: Expr | int) -> Expr:
    return given if isinstance(given, Expr) else sympy.Integer(size(name, given))
