"""Predict a feed-forward part made of experts, of which each token meets a few.

A router scores X experts for each token, and the token goes through the K best of them. Experts that every token
meets besides, the shared ones, are J wide together. M counts the rows that go through the X experts: one for each
token and each expert that the token chose, BTK together; or more, where each expert has a fixed number of slots and
empty slots are multiplied, too.

Products only: the softmax of the scores, the choice, and the sum of the experts' results, each times its score, are
pointwise and left out of the FLOPs.
"""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import sympy
from sympy import Expr

from flopbook.checks import quoted
from flopbook.predict.axes import B, K, T, axis
from flopbook.predict.models.model import Model, piece
from flopbook.predict.models.transformer import matrices
from flopbook.predict.products import matmul
from flopbook.predict.steps import TrainingStep, training_step

__all__ = ["Filled", "X", "experts_layer", "experts_part", "fill", "pieces_of_experts", "slots"]

#: Experts that a router chooses from.
X = axis("X")

_ROUTER = matmul("n[B,T,D] @ wr[D,X] -> r[B,T,X]")
_GATE = matmul("m[M,D] @ wg[D,F] -> g[M,F]")
_EXPERT = matmul("m[M,D] @ w1[D,F] -> f[M,F]"), matmul("h[M,F] @ w2[F,D] -> z[M,D]")
_SHARED_GATE = matmul("n[B,T,D] @ vg[D,J] -> gs[B,T,J]")
_SHARED = matmul("n[B,T,D] @ v1[D,J] -> fs[B,T,J]"), matmul("hs[B,T,J] @ v2[J,D] -> zs[B,T,D]")


def experts_layer(gated: bool = False, shared: bool = False) -> TrainingStep:
    """Derive a feed-forward part of experts: a router, M rows through experts, and shared experts.

    B sequences of T tokens, each D wide; X experts, each F wide; shared experts that are J wide together. A row
    meets the weights of one expert. Which expert that is changes nothing in the FLOPs, so all rows are written as one
    product. Every product passes a gradient on in both directions.

    Parameters
    ----------
    gated : bool
        Whether experts have a gate, as in SwiGLU: three matrices instead of two.
    shared : bool
        Whether there are experts that every token meets.

    Raises
    ------
    TypeError
        If either is anything else.

    Notes
    -----
    Shazeer and others, *Outrageously Large Neural Networks* (2017); shared experts: Dai and others, *DeepSeekMoE*
    (2024). Derived in the lecture *Experts: pay for the active ones*.

    Examples
    --------
    >>> experts_layer()
    forward: 2*B*D*T*X + 4*D*F*M FLOPs
      n[B,T,D] @ wr[D,X] -> r[B,T,X]
      m[M,D] @ w1[D,F] -> f[M,F]
      h[M,F] @ w2[F,D] -> z[M,D]
    backward: 4*B*D*T*X + 8*D*F*M FLOPs
    ...
    """
    for name, given in {"gated": gated, "shared": shared}.items():
        if not isinstance(given, bool):
            raise TypeError(f"{name}={quoted(given)} is neither True nor False: give one of them")
    products = [_ROUTER, *([_GATE] if gated else []), *_EXPERT]
    if shared:
        products += [*([_SHARED_GATE] if gated else []), *_SHARED]
    return training_step(*products)


def experts_part(rows: Expr | int = B * T * K) -> Model:
    """Predict the feed-forward part of a block, with its norm: X experts, of which a token meets K.

    It stands where :func:`feed_forward_part` stands in other models. `matrices` is 3 where experts have a gate, and 2
    where they have none; where no expert is shared, ``.at(J=0)`` says so. The weights of all X experts lie in one
    tensor for each matrix; there are no biases. Active are the parameters that one token meets.

    Parameters
    ----------
    rows : sympy.Expr or int
        The rows that go through the X experts: BTK, or ``X * slots(c)`` where empty slots are multiplied, too.

    Raises
    ------
    TypeError
        If `rows` is something else; quotes it.

    Examples
    --------
    >>> part = experts_part().at(matrices=3, J=0)
    >>> part.parameters, part.active
    (3*D*F*X + D*X + D, 3*D*F*K + D*X + D)
    >>> part.forward
    6*B*D*F*K*T + 2*B*D*T*X
    """
    if not isinstance(rows, (Expr, int)) or isinstance(rows, bool):
        raise TypeError(f"rows={quoted(rows)} is not a number of rows: write one, or an expression such as B * T * K")
    norm = piece(weights="norm[D]", kept="x[B,T,D] mean[B,T] deviation[B,T] n[B,T,D]")
    router, met, idle, shared = pieces_of_experts(rows, matrices - 2)
    return (norm + router + met + idle + shared).at()


class PiecesOfExperts(NamedTuple):
    """Holds the pieces of a feed-forward part of experts, made by :func:`pieces_of_experts`."""

    router: Model
    met: Model
    idle: Model
    shared: Model


def pieces_of_experts(rows: Expr | int, gates: Expr | int) -> PiecesOfExperts:
    """Predict the pieces of :func:`experts_part`: its router, experts met and not met, shared experts.

    A router, the K experts that a token meets, the weights of the X - K others, and shared experts; without a norm.

    Parameters
    ----------
    rows : sympy.Expr or int
        The rows that go through the X experts.
    gates : sympy.Expr or int
        1 where experts have a gate, and 0 where they have none.

    Examples
    --------
    >>> pieces = pieces_of_experts(B * T * K, gates=1)
    >>> pieces.met.parameters, pieces.idle.parameters, pieces.idle.active
    (3*D*F*K, -3*D*F*K + 3*D*F*X, 0)
    """
    router = piece(_ROUTER, weights="wr[D,X]", kept="p[B,T,X]")
    expert = piece(*_EXPERT, weights="w1[K,D,F] w2[K,F,D]", kept="m[M,D] f[M,F] h[M,F] z[M,D] p[M]")
    gate = piece(_GATE, weights="wg[K,D,F]", kept="g[M,F] silu[M,F]")
    always = piece(*_SHARED, weights="v1[D,J] v2[J,D]", kept="fs[B,T,J] hs[B,T,J]")
    always_gate = piece(_SHARED_GATE, weights="vg[D,J]", kept="gs[B,T,J] silu[B,T,J]")
    met = expert + gates * gate
    pieces = router, met, others(met), always + gates * always_gate
    return PiecesOfExperts(*(each.at(M=rows) for each in pieces))


def others(met: Model) -> Model:
    """Give the weights of the X - K experts that a token does not meet, which lie in the tensors of those it meets.

    Parameters
    ----------
    met : Model
        The K experts that a token meets.

    Examples
    --------
    >>> others(piece(weights="b[K,F]")).parameters
    F*(-K + X)
    """
    return replace(0 * met, parameters=met.parameters * (X - K) / K)


def slots(capacity: Expr | Fraction | int) -> Expr:
    """Predict the slots that each expert has: `capacity` times its share of all BTK rows, rounded up.

    Parameters
    ----------
    capacity : sympy.Expr, Fraction or int
        The capacity factor: 1 has just enough slots if all experts get equally many rows.

    Raises
    ------
    TypeError
        If it is something else, such as a rounded ``1.25``; quotes it.

    Notes
    -----
    Fedus, Zoph and Shazeer, *Switch Transformers* (2022), equation 3, for K = 1; Lepikhin and others, *GShard* (2020).

    Examples
    --------
    >>> slots(Fraction(5, 4))
    ceiling(5*B*K*T/(4*X))
    """
    if not isinstance(capacity, (Expr, Fraction, int)) or isinstance(capacity, bool):
        raise TypeError(
            f"capacity={quoted(capacity)} is not an exact number: write an expression or a fraction, Fraction(5, 4)"
        )
    return sympy.ceiling(sympy.sympify(capacity) * B * K * T / X)


class Filled(NamedTuple):
    """Says what became of the rows and slots of experts, made by :func:`fill`.

    Attributes
    ----------
    kept, dropped : int
        Rows that found a slot, and rows that found none and skip the experts.
    empty : int
        Slots that no row took.
    """

    kept: int
    dropped: int
    empty: int


def fill(loads: Iterable[int], slots: int) -> Filled:
    """Fill the slots of experts with the rows that chose them.

    Parameters
    ----------
    loads : iterable of int
        The rows that chose each expert.
    slots : int
        The slots of one expert.

    Raises
    ------
    ValueError
        If a load or `slots` is not a whole number of at least 0; quotes it.

    Examples
    --------
    Three experts with 4 slots each:

    >>> fill([7, 3, 2], slots=4)
    Filled(kept=9, dropped=3, empty=3)
    """
    loads = list(loads)
    for number in (*loads, slots):
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise ValueError(f"{quoted(number)} is not a number of rows or slots: give whole numbers from 0 on")
    kept = sum(min(load, slots) for load in loads)
    return Filled(kept, sum(loads) - kept, slots * len(loads) - kept)
