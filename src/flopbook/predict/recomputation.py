"""Predict what a transformer block keeps for the backward pass, and what it takes to keep less and run more again.

B sequences of T tokens, each D wide. H heads are E wide, each with queries, keys and values of its own, and a query
meets all T keys; the feed-forward part is F wide. In the letters of Korthikanti and others, who count bytes a layer,
B is b, T is s, D is h and H is a, with E = D/H and F = 4D.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import NamedTuple

import sympy
from sympy import Expr

from flopbook.checks import quoted
from flopbook.predict.axes import G, H, S, T
from flopbook.predict.models.transformer import decoder_block
from flopbook.predict.notation import Tensor
from flopbook.predict.pointwise import elements
from flopbook.predict.steps import TrainingStep, flops
from flopbook.predict.values import number

__all__ = ["ON_CPU", "ON_GPU", "Block", "BlockFormats", "Kept", "Trade"]


@dataclass(frozen=True)
class BlockFormats:
    """Says the bytes of one number of each kind that a block keeps.

    Attributes
    ----------
    activation : int or sympy.Expr
        Of an activation, such as 2 in bf16.
    mask : int or sympy.Expr
        Of a dropout mask.
    statistic : int or sympy.Expr
        Of the mean and the deviation of a token, which a norm keeps.
    logsumexp : int or sympy.Expr
        Of what a fused attention keeps of a row of scores.

    Raises
    ------
    TypeError, ValueError
        If the bytes are neither whole numbers of at least 0 nor made of axes.
    """

    activation: Expr | int = 2
    mask: Expr | int = 1
    statistic: Expr | int = 4
    logsumexp: Expr | int = 4

    def __post_init__(self):
        for kind in fields(self):
            number(kind.name, getattr(self, kind.name))


#: In 16 bits, as PyTorch keeps them on a GPU, where `torch.native_dropout` makes masks of one byte.
ON_GPU = BlockFormats()

#: In 16 bits, as PyTorch keeps them on a CPU: masks and statistics have the format of the activations.
ON_CPU = BlockFormats(mask=2, statistic=2)


class Kept(NamedTuple):
    """Names a tensor that a block keeps for the backward pass.

    Attributes
    ----------
    tensor : Tensor
        Its name and axes.
    kind : str
        Which of the `BlockFormats` its numbers have.
    reader : str
        Whose backward pass reads it.
    """

    tensor: Tensor
    kind: str
    reader: str

    @property
    def square(self) -> bool:
        """Return whether it has a number for each query and key."""
        return "S" in self.tensor.axes

    def bytes(self, formats: BlockFormats = ON_GPU) -> Expr:
        """Predict its bytes, where there are as many keys as queries."""
        return elements(self.tensor).subs(S, T) * getattr(formats, self.kind)


class Trade(NamedTuple):
    """Says what equal blocks keep under a plan, and what they run again for it.

    Attributes
    ----------
    after_forward : sympy.Expr
        Bytes that are kept when the forward pass ends.
    activations : sympy.Expr
        Bytes that are kept at the most: then, or while the backward pass runs something again.
    recomputed : sympy.Expr
        FLOPs of the products that run again.
    """

    after_forward: Expr
    activations: Expr
    recomputed: Expr


@dataclass(frozen=True)
class Block:
    """Describes a transformer block, and what it keeps for the backward pass.

    Its input needs a gradient. What is kept is expressed in the letters B, T, D, H, E and F. Queries, keys and values
    are made by three products; without a fused attention, they are laid out head by head before they meet, as a product
    would otherwise copy them where it runs again.

    Parameters
    ----------
    fused : bool
        Whether attention is one kernel, which keeps no square of scores or shares. With dropout, the kernel makes the
        mask of the shares again.
    dropout : bool
        Whether there is dropout: of the shares, behind attention, and behind the feed-forward part.
    gated : bool
        Whether the feed-forward part has a gate with SiLU, and not a GELU.
    formats : BlockFormats
        Bytes of one number of each kind.

    Raises
    ------
    TypeError
        If something else is given.

    Notes
    -----
    Korthikanti and others, *Reducing Activation Recomputation in Large Transformer Models* (2022), sections 4.1 and
    5, who leave out the norms' statistics. Derived in the lecture *Run it again*.

    Examples
    --------
    What the paper counts, and 16 bytes for each token besides:

    >>> from flopbook.predict import D, E, F, H, evaluate
    >>> block = Block(dropout=True)
    >>> block.kept.subs({E: D / H, F: 4 * D})
    34*B*D*T + 5*B*H*T**2 + 16*B*T

    Four blocks of GPT-3, with a checkpoint around each, or around every two:

    >>> sizes = dict(B=1, T=2048, D=12288, H=96, E=128, F=49152)
    >>> [evaluate(block.checkpoint_every(k, layers=4).activations, sizes) for k in (1, 2)]
    [3019931648, 5788205056]
    """

    fused: bool = False
    dropout: bool = False
    gated: bool = False
    formats: BlockFormats = ON_GPU

    def __post_init__(self):
        for name in ("fused", "dropout", "gated"):
            _yes_or_no(name, getattr(self, name))
        if not isinstance(self.formats, BlockFormats):
            raise TypeError(
                f"formats={quoted(self.formats)} are not formats: write ON_GPU, ON_CPU or BlockFormats(activation=2)"
            )

    @property
    def tensors(self) -> tuple[Kept, ...]:
        """List what is kept, in the order in which it is made, and each tensor once.

        Examples
        --------
        >>> for kept in Block(dropout=True).tensors[6:10]:
        ...     print(kept.tensor, "for", kept.reader)
        v[B,T,H,E] for the weighted sum
        p[B,H,T,S] for the softmax
        pm[B,H,T,S] for the dropout of the shares
        pd[B,H,T,S] for the weighted sum
        """
        lines = _kept(self.fused, self.dropout, self.gated)
        return tuple(Kept(Tensor.parse(text), kind, reader) for text, kind, reader in lines)

    @property
    def kept(self) -> Expr:
        """Predict the bytes that the block keeps, its input among them."""
        return self._bytes(self.tensors)

    @property
    def input(self) -> Expr:
        """Predict the bytes of what enters the block."""
        return self._bytes(self.tensors[:1])

    @property
    def squares(self) -> Expr:
        """Predict the bytes that grow with the square of T, which a fused attention does not keep."""
        return self._bytes([kept for kept in self.tensors if kept.square])

    @property
    def products(self) -> Expr:
        """Predict the bytes of what products with weights give, and of what a fused attention gives."""
        made = [product.output for product in self._step.forward if product.right.name.startswith("w")]
        fused = [kept for kept in self.tensors if kept.kind == _LOGSUMEXP]
        if fused:
            made += [kept.tensor for kept in self.tensors if kept.tensor.name == "o"]
        return sympy.expand(self.formats.activation * elements(*made).subs(G, H) + self._bytes(fused))

    @property
    def forward(self) -> Expr:
        """Predict the FLOPs of the forward pass: products alone."""
        return _at(flops(self._step.forward))

    @property
    def attention(self) -> tuple[Expr, Expr]:
        """Predict the FLOPs of the scores, and of the weighted sum."""
        scores, weighted_sum = (one for one in self._step.forward if S in one.flops.free_symbols)
        return _at(scores.flops), _at(weighted_sum.flops)

    @property
    def _step(self) -> TrainingStep:
        return decoder_block(self.gated)

    def _bytes(self, tensors: Iterable[Kept]) -> Expr:
        return sympy.expand(sympy.Add(*(kept.bytes(self.formats) for kept in tensors)))

    def keep_all(self, layers: Expr | int) -> Trade:
        """Predict blocks that keep all that the backward pass reads.

        Examples
        --------
        >>> Block(fused=True).keep_all(3).recomputed
        0
        """
        everything = _blocks(layers) * self.kept
        return Trade(everything, everything, sympy.Integer(0))

    def checkpoint_every(self, every: Expr | int, layers: Expr | int, early_stop: bool = True) -> Trade:
        """Predict a checkpoint around each `every` blocks, and around those that are left.

        Parameters
        ----------
        every : sympy.Expr or int
            How many blocks share a checkpoint. More than there are blocks are as many as there are.
        layers : sympy.Expr or int
            How many blocks there are.
        early_stop : bool
            Whether the second run stops when all that was kept is there again, as in PyTorch without reentry.

        Raises
        ------
        TypeError, ValueError
            If a number is not a whole one of at least 1, or `early_stop` is neither True nor False.

        Notes
        -----
        The most is held when the backward pass has run the last checkpoint again, or the one before it, where the
        last has fewer blocks. Chen and others, *Training Deep Nets with Sublinear Memory Cost* (2016).

        Examples
        --------
        >>> from flopbook.predict import L, axis
        >>> Block().checkpoint_every(axis("k"), L).after_forward
        2*B*D*T*ceiling(L/k)
        """
        blocks, size = _blocks(layers), number("every", every, least=1)
        checkpoints = sympy.ceiling(blocks / size)
        size = sympy.Min(size, blocks)
        last = blocks - (checkpoints - 1) * size
        at_last = (checkpoints - 1) * self.input + last * self.kept
        before = (checkpoints - 2) * self.input + size * self.kept
        may_stop = _yes_or_no("early_stop", early_stop)
        stops = may_stop and not self.dropout  # the last mask is made behind the last product
        saved = checkpoints * self._step.forward[-1].flops if stops else 0
        return Trade(checkpoints * self.input, sympy.Max(at_last, before), blocks * self.forward - saved)

    def recompute_squares(self, layers: Expr | int, early_stop: bool = True) -> Trade:
        """Predict a checkpoint around attention without its weights: from queries, keys and values to what they give.

        That is the *selective recomputation* of Korthikanti and others. A fused attention keeps no squares anyway,
        and runs the scores again as a part of its backward pass.

        Raises
        ------
        TypeError, ValueError
            If attention is fused, or something else is given.

        Examples
        --------
        >>> Block().recompute_squares(1).recomputed, Block().recompute_squares(1, early_stop=False).recomputed
        (2*B*E*H*T**2, 4*B*E*H*T**2)
        """
        if self.fused:
            raise ValueError("fused=True keeps no squares that could be run again: give Block(fused=False)")
        blocks, scores, weighted_sum = _blocks(layers), *self.attention
        without = self.kept - self.squares
        first = next(place for place, kept in enumerate(self.tensors) if kept.square)
        again = (blocks - 1) * without + self._bytes(self.tensors[:first]) + self.squares
        recomputed = blocks * (scores if _yes_or_no("early_stop", early_stop) else scores + weighted_sum)
        return Trade(blocks * without, sympy.Max(blocks * without, again), recomputed)

    def keep_products(self, layers: Expr | int) -> Trade:
        """Predict checkpoints whose policy keeps what products with weights give, and a fused attention.

        All that is pointwise runs again, and an attention that is not fused.

        Notes
        -----
        The policy is one for ``torch.utils.checkpoint.create_selective_checkpoint_contexts``. What the last product
        gives is among what is kept, though nobody reads it.

        Examples
        --------
        >>> Block(fused=True).keep_products(1).recomputed
        0
        """
        blocks = _blocks(layers)
        each = self.input + self.products
        output = self.formats.activation * elements(self._step.forward[-1].output)
        recomputed = 0 if self.fused else sympy.Add(*self.attention)
        return Trade(blocks * each, (blocks - 1) * each + self.kept + output, blocks * recomputed)


def _yes_or_no(name: str, given: object) -> bool:
    if not isinstance(given, bool):
        raise TypeError(f"{name}={quoted(given)} is neither True nor False: give one of them")
    return given


def _at(expression: Expr) -> Expr:
    """Give each head its own keys, and each query all of them."""
    return sympy.expand(expression.subs({S: T, G: H}))


def _blocks(layers: Expr | int) -> Expr:
    return number("layers", layers, least=1)


_Line = tuple[str, str, str]
_ACTIVATION, _MASK, _STATISTIC, _LOGSUMEXP = (kind.name for kind in fields(BlockFormats))


def _kept(fused: bool, dropout: bool, gated: bool) -> list[_Line]:
    lines = [
        *_norm("x", "1"),
        ("n1[B,T,D]", _ACTIVATION, "the products of queries, keys and values"),
        ("q[B,T,H,E]", _ACTIVATION, "the scores"),
        ("k[B,T,H,E]", _ACTIVATION, "the scores"),
        ("v[B,T,H,E]", _ACTIVATION, "the weighted sum"),
    ]
    if fused:
        lines += [("lse[B,H,T]", _LOGSUMEXP, "the fused attention")]
    else:
        lines += [("p[B,H,T,S]", _ACTIVATION, "the softmax" if dropout else "the softmax and the weighted sum")]
        if dropout:
            lines += [
                ("pm[B,H,T,S]", _MASK, "the dropout of the shares"),
                ("pd[B,H,T,S]", _ACTIVATION, "the weighted sum"),
            ]
    lines += [("o[B,T,H,E]", _ACTIVATION, "the product behind attention")]
    lines += [("ym[B,T,D]", _MASK, "the dropout behind attention")] * dropout
    lines += [*_norm("r", "2"), ("n2[B,T,D]", _ACTIVATION, "the first product of the feed-forward part")]
    if gated:
        lines += [
            ("g[B,T,F]", _ACTIVATION, "the SiLU"),
            ("gs[B,T,F]", _ACTIVATION, "the gate"),
            ("f[B,T,F]", _ACTIVATION, "the gate"),
        ]
    else:
        lines += [("f[B,T,F]", _ACTIVATION, "the GELU")]
    lines += [("h[B,T,F]", _ACTIVATION, "the last product of the feed-forward part")]
    return lines + [("zm[B,T,D]", _MASK, "the dropout behind the feed-forward part")] * dropout


def _norm(read: str, place: str) -> list[_Line]:
    reader = f"norm {place}"
    return [
        (f"{read}[B,T,D]", _ACTIVATION, reader),
        (f"m{place}[B,T]", _STATISTIC, reader),
        (f"d{place}[B,T]", _STATISTIC, reader),
    ]
