"""Predict what a decoder takes to read a prompt and to write on: FLOPs, the cache, and the bytes that it moves.

*Prefill* reads the T tokens of a prompt at once. *Decode* reads one token more, which meets the keys and values of
all before it, kept in the cache. Both run the products that training runs, decode with T = 1.

The parts of a model add up: ``L * block_inference() + ends_inference()``.
"""

from dataclasses import dataclass
from numbers import Rational

import sympy
from sympy import Expr, Integer

from flopbook import checks
from flopbook.checks import quoted
from flopbook.predict.axes import B, E, G, L, S, T
from flopbook.predict.models.masks import CAUSAL, Mask
from flopbook.predict.models.model import Amounts, Model
from flopbook.predict.models.transformer import attention_part, embedding, feed_forward_part, output_layer, tables
from flopbook.predict.values import number

__all__ = ["Inference", "block_inference", "decoder_inference", "ends_inference", "part_inference", "read_in_chunks"]


@dataclass(frozen=True)
class Inference(Amounts):
    """Says what a decoder takes to read prompts and to write on, as expressions in its sizes.

    Attributes
    ----------
    prefill : sympy.Expr
        FLOPs of reading B prompts of T tokens.
    decode : sympy.Expr
        FLOPs of one more token in each of B sequences, the last of S.
    one_by_one : sympy.Expr
        FLOPs of all S tokens of B sequences, each read after those before it: the sum of `decode` from 1 to S.
    cache : sympy.Expr
        Numbers that B sequences of S tokens leave for later tokens.
    parameters : sympy.Expr
        Numbers that are held.
    read : sympy.Expr
        Parameters that one token meets. In a step they are read once for all B sequences; where tokens choose among
        experts, several sequences may meet more.

    Examples
    --------
    >>> llama = decoder_inference().at(L=32, D=4096, H=32, G=8, E=128, F=14336, V=128256, matrices=3, tables=2)
    >>> llama.decode
    524288*B*S + 15009316864*B
    >>> llama.cache
    65536*B*S
    """

    prefill: Expr
    decode: Expr
    one_by_one: Expr
    cache: Expr
    parameters: Expr
    read: Expr

    def generate(self, tokens: Expr | int) -> Expr:
        """Predict the FLOPs of reading prompts of T tokens and writing so many `tokens` after each.

        Prefill gives the first of them, and each further one takes a token more that is read: all but the last.

        Examples
        --------
        >>> from flopbook.predict import T, axis
        >>> decoder = decoder_inference(pairs=T**2)
        >>> decoder.at(B=1, L=1, D=1, H=1, G=1, E=1, F=1, V=1, matrices=2, tables=1).generate(axis("n"))
        4*T**2 + 4*T*n + 8*T + 2*n**2 + 12*n - 12
        """
        written = number("tokens", tokens, least=1)
        return sympy.expand(self.prefill + self.extend(written - 1).subs(S, T + written - 1))

    def extend(self, tokens: Expr | int) -> Expr:
        """Predict the FLOPs of the last `tokens` of B sequences of S, where those before them are kept.

        It takes as many to read them at once as one by one, if nothing is multiplied by zero.

        Examples
        --------
        >>> decoder = decoder_inference().at(B=1, L=1, D=1, H=1, G=1, E=1, F=1, V=1, matrices=2, tables=1)
        >>> decoder.extend(1).subs(S, 10) == decoder.decode.subs(S, 10)
        True
        """
        return sympy.expand(self.one_by_one - self.one_by_one.subs(S, S - number("tokens", tokens)))

    def moved(self, weight_bytes: Expr | Rational = 2, cache_bytes: Expr | Rational = 2) -> Expr:
        """Predict the bytes that a decode step moves at least: the weights once, and the cache of each sequence.

        What the new token leaves is written, and all else is read.

        Parameters
        ----------
        weight_bytes, cache_bytes : number or Expr
            Bytes of a number: 2 in 16 bits, 1 in 8, ``Fraction(1, 2)`` in 4.

        Raises
        ------
        TypeError, ValueError
            If the bytes are not a positive number.

        Examples
        --------
        >>> decoder_inference().at(L=1, D=1, H=1, G=1, E=1, F=1, V=1, matrices=2, tables=1).moved(cache_bytes=1)
        2*B*S + 20
        """
        return sympy.expand(_bytes("weight_bytes", weight_bytes) * self.read + self._cache_bytes(cache_bytes))

    def intensity(self, weight_bytes: Expr | Rational = 2, cache_bytes: Expr | Rational = 2) -> Expr:
        """Predict the FLOPs of a decode step for each byte that it moves.

        Examples
        --------
        >>> small = decoder_inference().at(L=1, D=1, H=1, G=1, E=1, F=1, V=1, matrices=2, tables=1)
        >>> small.intensity()
        (4*B*S + 14*B)/(4*B*S + 20)
        """
        return self.decode / self.moved(weight_bytes, cache_bytes)

    def largest_batch(
        self, memory_bytes: int, weight_bytes: Expr | Rational = 2, cache_bytes: Expr | Rational = 2
    ) -> Expr:
        """Predict how many sequences of S tokens fit beside the weights: 0, where these do not fit.

        Parameters
        ----------
        memory_bytes : int
            Of the device.
        weight_bytes, cache_bytes : number or Expr
            As for `moved`.

        Examples
        --------
        >>> from flopbook.predict import evaluate
        >>> sizes = dict(L=32, D=4096, H=32, G=8, E=128, F=14336, V=128256, matrices=3, tables=2, S=8192)
        >>> evaluate(decoder_inference().largest_batch(80 * 10**9), sizes)
        59
        """
        memory = checks.size("memory_bytes", memory_bytes)
        left = memory - _bytes("weight_bytes", weight_bytes) * self.parameters
        return sympy.Max(0, sympy.floor(left / self._cache_bytes(cache_bytes).subs(B, 1)))

    def _cache_bytes(self, bytes_: Expr | Rational) -> Expr:
        return _bytes("cache_bytes", bytes_) * self.cache


def _bytes(name: str, given: Expr | Rational) -> Expr:
    if isinstance(given, Expr) and not given.is_number:
        return given
    if not isinstance(given, (Rational, sympy.Rational)) or isinstance(given, bool):
        raise TypeError(f"{name}={quoted(given)} is not a size: write 2, or Fraction(1, 2) for half a byte")
    if given <= 0:
        raise ValueError(f"{name}={quoted(given)} is out of range: write a positive number")
    return sympy.Rational(given)


def read_in_chunks(length: Expr | int, size: Expr | int) -> Expr:
    """Count the pairs that run where a prompt is read in chunks of one `size`, each with all keys so far.

    The last chunk is shorter where the size does not divide the length.

    Parameters
    ----------
    length, size : sympy.Expr or int
        The tokens of the prompt, and of a chunk.

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
    A chunk of M queries meets M keys more than the chunk before it: M² + 2M² + ... is T(T + M)/2. That is causal for
    chunks of one token, and dense for a single chunk. Agrawal and others, *Taming Throughput-Latency Tradeoff in LLM
    Inference with Sarathi-Serve* (2024).

    Examples
    --------
    >>> [read_in_chunks(12, size) for size in (1, 3, 5, 12, 100)]
    [78, 90, 99, 144, 144]
    """
    tokens, each = number("length", length), number("size", size, least=1)
    whole = sympy.floor(tokens / each)
    return each**2 * whole * (whole + 1) / 2 + (tokens - whole * each) * tokens


def part_inference(  # noqa: PLR0913  (each is a choice of the architecture)
    model: Model,
    mask: Mask = CAUSAL,
    *,
    kept: Expr | int = 0,
    state: Expr | int = 0,
    pairs: Expr | int | None = None,
    outputs: Expr | int = T,
    alone: Expr | None = None,
    looked_up: bool = False,
) -> Inference:
    """Predict what a part of a decoder takes to read prompts and to write on.

    Parameters
    ----------
    model : Model
        The part in letters, such as :func:`flopbook.predict.models.attention_part`; S is the keys that a query meets.
    mask : Mask
        Which keys a query meets.
    kept : sympy.Expr or int
        Numbers that the part keeps of a token for later ones, such as ``2 * G * E``.
    state : sympy.Expr or int
        Numbers that the part keeps of a sequence, however long it is.
    pairs : sympy.Expr or int, optional
        The pairs of a query and a key that run in prefill: ``T**2`` counts dense, ``read_in_chunks(T, M)`` in chunks;
        those that the mask leaves, unless told otherwise.
    outputs : sympy.Expr or int
        The tokens of a prompt that the part runs for: 1 in an output layer that only the last token needs.
    alone : sympy.Expr, optional
        FLOPs of a token that meets S keys, where decode runs another program than prefill.
    looked_up : bool
        Whether the part is a table of which a token reads a row.

    Raises
    ------
    TypeError, ValueError
        If `model` or `mask` is something else, or an amount is neither whole nor an expression.

    Examples
    --------
    Latents: prefill makes keys and values of them, and decode lets the query meet the latents themselves.

    >>> from flopbook.predict import axis
    >>> from flopbook.predict.models import latent_piece
    >>> absorbed = latent_piece(absorbed=True)
    >>> latents = part_inference(latent_piece(), kept=axis("C") + axis("R"), alone=absorbed.forward)
    >>> latents.cache
    B*S*(C + R)
    """
    if not isinstance(model, Model):
        raise TypeError(
            f"{quoted(model)} is not a model: write attention_part(), or another of flopbook.predict.models"
        )
    if not isinstance(mask, Mask):
        raise TypeError(f"mask={quoted(mask)} is not a mask: write CAUSAL, or in_window(4096)")
    run = mask.pairs if pairs is None else number("pairs", pairs)
    prefill = model.forward.subs(S, run / mask.queries)
    token = B * (model.forward if alone is None else alone).subs({B: 1, T: 1})
    return Inference(
        prefill=sympy.expand(prefill.subs(T, number("outputs", outputs, least=1))),
        decode=sympy.expand(token.subs(S, mask.last.subs(T, S))),
        one_by_one=sympy.expand(S * token.subs(S, (mask.pairs / mask.queries).subs(T, S))),
        cache=B * (number("kept", kept) * mask.last.subs(T, S) + number("state", state)),
        parameters=model.parameters,
        read=Integer(0) if looked_up else model.active,
    )


def block_inference(mask: Mask = CAUSAL, *, pairs: Expr | int | None = None) -> Inference:
    """Predict what a block takes: attention, whose keys and values are kept, and a feed-forward part.

    The letters are those of :func:`flopbook.predict.models.decoder`.

    Examples
    --------
    A layer of three meets all tokens, and the others a window:

    >>> from flopbook.predict import L, axis
    >>> from flopbook.predict.models import in_window
    >>> near = block_inference(in_window(axis("W")))
    >>> near.cache
    2*B*E*G*Min(S, W)
    >>> stack = L / 3 * (block_inference() + 2 * near) + ends_inference()
    """
    attention = part_inference(attention_part(), mask, kept=2 * G * E, pairs=pairs)
    return attention + part_inference(feed_forward_part())


def ends_inference(outputs: Expr | int = 1) -> Inference:
    """Predict what the embedding and the output layer take; `outputs` tokens of a prompt get logits: 1, or all T.

    Examples
    --------
    >>> ends_inference().prefill, ends_inference(outputs=T).prefill
    (2*B*D*V, 2*B*D*T*V)
    """
    other = part_inference((tables - 1) * embedding(), looked_up=True)
    return part_inference(output_layer() + embedding(), outputs=outputs) + other


def decoder_inference(mask: Mask = CAUSAL, *, pairs: Expr | int | None = None, outputs: Expr | int = 1) -> Inference:
    """Predict what a decoder takes to read prompts and to write on: L blocks, an embedding and an output layer.

    Parameters
    ----------
    mask : Mask
        Which keys a query meets, such as ``in_window(axis("W"))``.
    pairs : sympy.Expr or int, optional
        The pairs that run in prefill; those that the mask leaves, unless told otherwise.
    outputs : sympy.Expr or int
        The tokens of a prompt that get logits: only the last one chooses a word.

    Notes
    -----
    Pope and others, *Efficiently Scaling Transformer Inference* (2022). Derived in the lecture *Prefill, decode,
    cache*.

    Examples
    --------
    >>> from flopbook.predict import evaluate
    >>> llama = dict(L=32, D=4096, H=32, G=8, E=128, F=14336, V=128256, matrices=3, tables=2)
    >>> one = llama | dict(B=1, T=8192, S=8192)
    >>> evaluate(decoder_inference().cache / 8192, one) * 2  # bytes of a token in bf16
    131072
    """
    return L * block_inference(mask, pairs=pairs) + ends_inference(outputs)
