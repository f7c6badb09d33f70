"""Predict the models that take part: by their parameters alone, asked at some tokens, or with adapters."""

from dataclasses import replace

import sympy
from sympy import Expr, Integer

from flopbook.checks import quoted
from flopbook.predict.axes import B, D, L, N, T, V, axis
from flopbook.predict.models.adapters import lora
from flopbook.predict.models.model import Model
from flopbook.predict.models.transformer import (
    attention_part,
    decoder_block,
    embedding,
    feed_forward_part,
    output_layer,
    tables,
)
from flopbook.predict.pointwise import elements
from flopbook.predict.steps import flops
from flopbook.predict.values import number

__all__ = ["adapted_decoder", "asked_decoder", "rule_of_six"]

A = axis("A")


def rule_of_six(parameters: Expr | int = N, frozen: bool = False) -> Model:
    """Predict a model by its parameters alone: 2 FLOPs for each and a token forward, 4 backward.

    Parameters
    ----------
    parameters : sympy.Expr or int
        How many there are.
    frozen : bool
        Whether nearly all are frozen, as beside adapters: a gradient passes through them, but none is theirs, so that
        the backward pass takes 2.

    Raises
    ------
    TypeError, ValueError
        If the parameters are not an amount, or `frozen` is neither True nor False.

    Notes
    -----
    Attention's products without weights are left out, and lookups counted as products.

    Examples
    --------
    >>> rule_of_six().backward, rule_of_six(frozen=True).backward
    (4*B*N*T, 2*B*N*T)
    """
    numbers = number("parameters", parameters, least=1)
    check_choices(frozen=frozen)
    none, forward = Integer(0), 2 * numbers * B * T
    return Model(numbers, numbers, none, forward, (1 if frozen else 2) * forward, none, none)


def asked_decoder(outputs: Expr | int = V) -> Model:
    """Predict a transformer decoder whose output layer runs at A of its T tokens.

    Parameters
    ----------
    outputs : sympy.Expr or int
        Numbers that it gives for a token: as many as the vocabulary, or 1 where it tells a reward or a value.

    Raises
    ------
    TypeError, ValueError
        If the outputs are not an amount.

    Notes
    -----
    The letters are those of :func:`flopbook.predict.models.decoder`. Whoever scores a response asks at the R tokens
    before each of its own.

    Examples
    --------
    >>> asked_decoder().forward - asked_decoder(outputs=1).forward
    2*A*B*D*V - 2*A*B*D
    """
    width = number("outputs", outputs, least=1)
    block, top = attention_part() + feed_forward_part(), output_layer().at(T=A, V=width)
    return (L * block + top + _weights_of(width)).at()


def _weights_of(outputs: Expr) -> Model:
    """Hold the tables: that of the vocabulary, which may be the output layer, or a small layer of its own."""
    if outputs == V:
        return tables * embedding()
    return embedding() + embedding().at(V=outputs)


def adapted_decoder(gated: bool = True) -> Model:
    """Predict a decoder that is frozen, with an adapter beside each weight of its blocks.

    Parameters
    ----------
    gated : bool
        Whether the feed-forward part has a gate.

    Notes
    -----
    The letters are those of :func:`asked_decoder`, and ``rank`` is the width in the middle of an adapter. The first
    block gets no gradient of its input, since the embedding is frozen. The parameters are all, the frozen ones too.

    Examples
    --------
    >>> from flopbook.predict import evaluate
    >>> sizes = dict(B=1, T=8, S=8, A=8, L=32, D=4096, H=32, G=8, E=128, F=14336, V=128256, tables=2, rank=1)
    >>> adapted = adapted_decoder()
    >>> round(float(evaluate(adapted.backward / adapted.forward, sizes)), 2)
    1.0
    """
    products = decoder_block(gated).forward
    weights = [product.right for product in products if product.right.name.startswith("w")]
    names = [weight.name for weight in weights]
    first, further = (lora(*products, adapted=names, rank="rank", data=data) for data in ("x", ()))
    adapters = {
        product.right.name: product.right for product in first.forward if product.right.name.endswith((".a", ".b"))
    }
    whole = asked_decoder().at(matrices=3 if gated else 2)
    output = 2 * A * B * D * V
    return replace(
        whole,
        parameters=whole.parameters + L * elements(*adapters.values()),
        active=whole.active + L * elements(*adapters.values()),
        tensors=whole.tensors + L * len(adapters),
        forward=sympy.expand(L * flops(further.forward) + output),
        backward=sympy.expand(flops(first.backward) + (L - 1) * flops(further.backward) + output),
    )


def check_models(**models: object) -> None:
    """Refuse what is not a model, by the name of its part."""
    for name, model in models.items():
        if not isinstance(model, Model):
            raise TypeError(f"{name}={quoted(model)} is not a model: write rule_of_six(), or asked_decoder()")


def check_choices(**given: object) -> None:
    """Refuse what is neither True nor False, by the name of its argument."""
    for name, choice in given.items():
        if not isinstance(choice, bool):
            raise TypeError(f"{name}={quoted(choice)} is neither True nor False: give one of them")
