"""Predict attention: how many keys a query meets, and what keys and values a model makes and keeps.

A *pair* is a query and a key that it meets. Dense, T queries and S keys are T x S pairs. A mask leaves fewer; divided
by T, these are the keys that a query meets on average. So the FLOPs that a mask leaves needed are the dense ones with
that mean in the place of S: ``flops(step).subs(S, causal(T) / T)``.
"""

from collections.abc import Callable, Iterable
from types import MappingProxyType

import sympy
from sympy import Expr

from flopbook import checks
from flopbook.checks import quoted
from flopbook.predict.models.model import Model, model_of, piece
from flopbook.predict.notation import tensors
from flopbook.predict.pointwise import elements
from flopbook.predict.products import matmul
from flopbook.predict.steps import TrainingStep, training_step
from flopbook.predict.values import number

__all__ = [
    "KEPT_FOR_A_TOKEN",
    "around",
    "causal",
    "chunks",
    "documents",
    "latent_attention",
    "latent_part",
    "latent_piece",
    "window",
]


def causal(length: Expr | int) -> Expr:
    """Count the pairs where each token meets itself and all tokens before it.

    Parameters
    ----------
    length : sympy.Expr or int
        The tokens of the sequence.

    Returns
    -------
    sympy.Expr
        Pairs of one head of one sequence.

    Notes
    -----
    The token at place t, counted from 1, meets t keys, and 1 + 2 + ... + T is T(T+1)/2. Where only the last T of S
    tokens ask, as in a model that reads on, it is ``causal(S) - causal(S - T)``.

    Examples
    --------
    >>> from flopbook.predict import T, evaluate
    >>> causal(T), causal(T) / T
    (T*(T + 1)/2, T/2 + 1/2)
    >>> evaluate(causal(T), dict(T=4))
    10
    """
    tokens = number("length", length)
    return tokens * (tokens + 1) / 2


def window(length: Expr | int, width: Expr | int) -> Expr:
    """Count the pairs where each token meets itself and at most `width` - 1 tokens before it.

    Parameters
    ----------
    length : sympy.Expr or int
        The tokens of the sequence.
    width : sympy.Expr or int
        The most keys that a token meets, its own included. More than `length` are as many as `length`.

    Returns
    -------
    sympy.Expr
        Pairs of one head of one sequence.

    Raises
    ------
    ValueError
        If the width is less than 1.

    Notes
    -----
    Each token would meet W keys, but the first W - 1 tokens lack W - 1, W - 2, ..., 1 of them: TW - W(W-1)/2. Child
    and others, *Generating Long Sequences with Sparse Transformers* (2019); Jiang and others, *Mistral 7B* (2023).
    PyTorch's ``is_causal`` for T queries and S keys gives the query at place t the first t keys, so T queries meet
    ``window(T, S)``.

    Examples
    --------
    >>> from flopbook.predict import T, axis, evaluate
    >>> window(T, axis("W"))
    (2*T - Min(T, W) + 1)*Min(T, W)/2
    >>> [evaluate(window(T, axis("W")), dict(T=6, W=keys)) for keys in (1, 2, 6, 100)]
    [6, 11, 21, 21]
    """
    tokens = number("length", length)
    met = sympy.Min(number("width", width, least=1), tokens)
    return met * (2 * tokens - met + 1) / 2


def around(length: Expr | int, reach: Expr | int) -> Expr:
    """Count the pairs where each token meets itself and at most `reach` tokens on either side.

    Parameters
    ----------
    length : sympy.Expr or int
        The tokens of the sequence.
    reach : sympy.Expr or int
        The most tokens that a token meets on one side. More than there are others are as many as there are others.

    Returns
    -------
    sympy.Expr
        Pairs of one head of one sequence.

    Notes
    -----
    Each token would meet 2R + 1 keys, but on either side the outermost R tokens lack R, R - 1, ..., 1 of them:
    T(2R + 1) - R(R + 1). So attend two of three layers of ModernBERT, whose R is 64. Warner and others, *Smarter,
    Better, Faster, Longer* (2024), on alternating attention.

    Examples
    --------
    >>> from flopbook.predict import T, axis, evaluate
    >>> [evaluate(around(T, axis("R")), dict(T=5, R=reach)) for reach in (1, 2, 4, 100)]
    [13, 19, 25, 25]
    """
    tokens = number("length", length)
    met = sympy.Min(number("reach", reach), tokens - 1)
    return tokens * (2 * met + 1) - met * (met + 1)


def documents(lengths: Iterable[Expr | int], pairs: Callable[[Expr | int], Expr] = causal) -> Expr:
    """Count the pairs in a sequence of several documents, where no token meets another document.

    Parameters
    ----------
    lengths : iterable of sympy.Expr or int
        The tokens of each document.
    pairs : callable
        The pairs of one document of a length: causal ones, unless told otherwise.

    Returns
    -------
    sympy.Expr
        Pairs of one head of one sequence.

    Raises
    ------
    TypeError
        If the lengths are not several, or `pairs` cannot be called.

    Examples
    --------
    >>> documents([2, 3]), causal(5)
    (9, 15)
    >>> documents([2, 3], lambda length: window(length, 2))
    8
    """
    checks.function(pairs, "documents([2, 3], causal)")
    if isinstance(lengths, str) or not isinstance(lengths, Iterable):
        raise TypeError(f"lengths={quoted(lengths)} are not the lengths of documents: write documents([2, 3])")
    return sympy.Add(*map(pairs, lengths))


def chunks(length: Expr | int, size: Expr | int) -> Expr:
    """Count the pairs in a sequence cut into chunks of one `size`, causal within each.

    The last chunk is shorter where the size does not divide the length.

    Parameters
    ----------
    length, size : sympy.Expr or int
        The tokens of the sequence, and of a chunk.

    Returns
    -------
    sympy.Expr
        Pairs of one head of one sequence.

    Raises
    ------
    ValueError
        If the size is less than 1.

    Notes
    -----
    So attend three of four layers of Llama 4, in chunks of 8,192 tokens.

    Examples
    --------
    >>> from flopbook.predict import T, axis, evaluate
    >>> [evaluate(chunks(T, axis("M")), dict(T=7, M=size)) for size in (1, 3, 7, 9)]
    [7, 13, 28, 28]
    """
    tokens, each = number("length", length), number("size", size, least=1)
    whole = sympy.floor(tokens / each)
    return whole * causal(each) + causal(tokens - whole * each)


#: Numbers that a layer keeps of each token for later queries: keys and values, or what both are made from. There are H
#: heads of queries and G of keys and values, all E wide; or a latent of C numbers, and R of a key with its place.
KEPT_FOR_A_TOKEN = MappingProxyType(
    {
        "heads": elements(*tensors("k[H,E] v[H,E]")),
        "grouped heads": elements(*tensors("k[G,E] v[G,E]")),
        "one shared head": elements(*tensors("k[E] v[E]")),
        "latents": elements(*tensors("c[C] kr[R]")),
    }
)


def latent_attention(absorbed: bool = False, latent_queries: bool = True) -> TrainingStep:
    """Derive attention whose keys and values are made from one short latent for each token.

    B sequences of T tokens, each D wide; a query meets S keys. Queries come from a latent of Q numbers, keys and values
    from one of C. A head's query and key have E numbers from the latents, and R with the token's place (a rotary
    embedding); these R of the key are shared by all H heads. A head's value has J numbers.

    Every product passes a gradient on in both directions.

    Parameters
    ----------
    absorbed : bool
        Whether queries meet the latents themselves, so that keys and values are never made: the weights that would make
        them act on the query and on the result. The results are the same, and for few queries and many keys the FLOPs
        are fewer.
    latent_queries : bool
        Whether queries come from a latent, too, and not from the input itself, as in DeepSeek-V2-Lite.

    Raises
    ------
    TypeError
        If either is neither True nor False.

    Notes
    -----
    DeepSeek-AI, *DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Language Model* (2024), section
    2.1. Programs run some of these products in one: ``wuq`` with ``wqr``, ``wdkv`` with ``wkr``, ``wuk`` with ``wuv``,
    and both parts of the scores.

    Examples
    --------
    >>> latent_attention()
    forward: 2*B*C*D*T + 2*B*C*E*H*T + 2*B*C*H*J*T + 2*B*D*H*J*T + 2*B*D*Q*T + 2*B*D*R*T + 2*B*E*H*Q*T + \
2*B*E*H*S*T + 2*B*H*J*S*T + 2*B*H*Q*R*T + 2*B*H*R*S*T FLOPs
      x[B,T,D] @ wdq[D,Q] -> cq[B,T,Q]
      nq[B,T,Q] @ wuq[Q,H,E] -> q[B,T,H,E]
      nq[B,T,Q] @ wqr[Q,H,R] -> qr[B,T,H,R]
      x[B,T,D] @ wdkv[D,C] -> c[B,T,C]
      x[B,T,D] @ wkr[D,R] -> kr[B,T,R]
      n[B,T,C] @ wuk[C,H,E] -> k[B,T,H,E]
      n[B,T,C] @ wuv[C,H,J] -> v[B,T,H,J]
      q[B,T,H,E] @ ks[B,S,H,E] -> s[B,H,T,S]
      qp[B,T,H,R] @ krs[B,S,R] -> sr[B,H,T,S]
      p[B,H,T,S] @ vs[B,S,H,J] -> o[B,T,H,J]
      o[B,T,H,J] @ wo[H,J,D] -> y[B,T,D]
    backward: 4*B*C*D*T + 4*B*C*E*H*T + 4*B*C*H*J*T + 4*B*D*H*J*T + 4*B*D*Q*T + 4*B*D*R*T + 4*B*E*H*Q*T + \
4*B*E*H*S*T + 4*B*H*J*S*T + 4*B*H*Q*R*T + 4*B*H*R*S*T FLOPs
    ...
    """
    for name, given in {"absorbed": absorbed, "latent_queries": latent_queries}.items():
        if not isinstance(given, bool):
            raise TypeError(f"{name}={quoted(given)} is neither True nor False: give one of them")
    if latent_queries:
        queries = [
            matmul("x[B,T,D] @ wdq[D,Q] -> cq[B,T,Q]"),
            matmul("nq[B,T,Q] @ wuq[Q,H,E] -> q[B,T,H,E]"),  # a norm lies between
            matmul("nq[B,T,Q] @ wqr[Q,H,R] -> qr[B,T,H,R]"),
        ]
    else:
        queries = [
            matmul("x[B,T,D] @ wuq[D,H,E] -> q[B,T,H,E]"),
            matmul("x[B,T,D] @ wqr[D,H,R] -> qr[B,T,H,R]"),
        ]
    made = [
        *queries,
        matmul("x[B,T,D] @ wdkv[D,C] -> c[B,T,C]"),
        matmul("x[B,T,D] @ wkr[D,R] -> kr[B,T,R]"),
    ]
    place = matmul("qp[B,T,H,R] @ krs[B,S,R] -> sr[B,H,T,S]")  # qp and krs are qr and kr, turned by their places
    if absorbed:
        met = [
            matmul("q[B,T,H,E] @ wuk[C,H,E] -> qc[B,T,H,C]"),
            matmul("qc[B,T,H,C] @ ns[B,S,C] -> s[B,H,T,S]"),  # ns is c behind a norm, shared among the heads
            place,
            matmul("p[B,H,T,S] @ ns[B,S,C] -> oc[B,T,H,C]"),
            matmul("oc[B,T,H,C] @ wuv[C,H,J] -> o[B,T,H,J]"),
        ]
    else:
        met = [
            matmul("n[B,T,C] @ wuk[C,H,E] -> k[B,T,H,E]"),
            matmul("n[B,T,C] @ wuv[C,H,J] -> v[B,T,H,J]"),
            matmul("q[B,T,H,E] @ ks[B,S,H,E] -> s[B,H,T,S]"),
            place,
            matmul("p[B,H,T,S] @ vs[B,S,H,J] -> o[B,T,H,J]"),
        ]
    return training_step(*made, *met, matmul("o[B,T,H,J] @ wo[H,J,D] -> y[B,T,D]"))


def latent_part() -> Model:
    """Predict the attention of a block whose keys and values are made from latents, with its three norms.

    The letters are those of :func:`latent_attention`, and the part adds up with others as
    :func:`flopbook.predict.models.attention_part` does. A norm has a weight for each of its numbers, and keeps its
    input and the mean and deviation of each token. Attention is fused, and keeps no scores, but queries, keys and
    values of all heads.

    Examples
    --------
    The attention of a layer of DeepSeek-V2:

    >>> from flopbook.predict import evaluate
    >>> evaluate(latent_part().parameters, dict(D=5120, H=128, E=128, R=64, J=128, C=512, Q=1536))
    149232640
    """
    norms = piece(
        weights="norm[D] norm_q[Q] norm_c[C]",
        kept="x[B,T,D] n[B,T,D] cq[B,T,Q] nq[B,T,Q] c[B,T,C] nc[B,T,C]" + 3 * " mean[B,T] deviation[B,T]",
    )
    return norms + latent_piece()


def latent_piece(absorbed: bool = False, latent_queries: bool = True) -> Model:
    """Predict :func:`latent_part` without its norms, in either form of :func:`latent_attention`.

    Examples
    --------
    >>> latent_piece().parameters == latent_piece(absorbed=True).parameters
    True
    """
    step = latent_attention(absorbed, latent_queries)
    weights = [product.right for product in step.forward if product.right.name.startswith("w")]
    met = tensors("q[B,T,H,E] qr[B,T,H,R] k[B,T,H,E] kr[B,T,H,R] v[B,T,H,J] o[B,T,H,J] logsumexp[B,H,T]")
    return model_of(step, weights, met)
