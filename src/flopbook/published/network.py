"""Describe a whole model on paper: its parts, the letters of its formulas, and their sizes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import sympy
from sympy import Expr, Integer

from flopbook import checks
from flopbook.predict.axes import B, D, H, S, T
from flopbook.predict.inference import Inference, part_inference
from flopbook.predict.models.claims import IDLE, KINDS, LOOKUP, MULTIPLIED, OUTPUT, POSITIONS, TIED, Inventory
from flopbook.predict.models.masks import (
    CAUSAL,
    EVERY,
    Mask,
    causal_among,
    every,
    in_chunks,
    in_window,
    in_window_around,
)
from flopbook.predict.models.model import Model
from flopbook.predict.values import evaluate

__all__ = [
    "CAUSAL",
    "EVERY",
    "Mask",
    "Network",
    "Part",
    "Read",
    "causal_among",
    "every",
    "in_chunks",
    "in_window",
    "in_window_around",
]

ZERO, ONE = Integer(0), Integer(1)


@dataclass(frozen=True)
class Part:
    """Describes one kind of part of a model.

    Attributes
    ----------
    kind : str
        What its parameters are: one of `flopbook.predict.models.KINDS`.
    model : Model
        One such part, in letters. Where it has attention, S is the keys that a query meets.
    times : sympy.Expr
        How many there are.
    mask : Mask
        Which keys a query meets. Its queries are the tokens of the part, even where they ask nothing.
    kept : sympy.Expr
        Numbers that one such part keeps of each key for later queries.
    state : sympy.Expr
        Numbers that one such part keeps of a sequence for later tokens, however long it is.
    once : bool
        Whether it runs before the first token is written, and not again: an encoder beside a decoder.
    token : sympy.Expr, optional
        The FLOPs of one more token of one sequence, whose earlier tokens are kept, where they are other than `model`
        says for a single token: a scan in chunks reads its state once.
    needed : Model, optional
        One such part without what programs multiply by zero, where that is more than masked pairs: `model` itself,
        unless told otherwise.
    further : bool
        Whether it predicts tokens further ahead than the next: in training, beside the model that the library builds.
    """

    kind: str
    model: Model
    times: Expr = ONE
    mask: Mask = CAUSAL
    kept: Expr = ZERO
    state: Expr = ZERO
    once: bool = False
    token: Expr | None = None
    needed: Model | None = None
    further: bool = False

    @property
    def alone(self) -> Expr:
        """The FLOPs of one more token that meets S keys: none where the part does not run again."""
        if self.once:
            return ZERO
        alone = (self.needed or self.model).forward if self.token is None else self.token
        return self.times * alone.xreplace({B: ONE, self.mask.queries: ONE})

    @property
    def one_more(self) -> Expr:
        """The FLOPs of one more token, the last of its sequence."""
        return self.alone.xreplace({S: self.mask.last})


@dataclass(frozen=True, repr=False)
class Network:
    """Describes a whole model: a sum of parts in letters, and the sizes of the letters.

    `B` and `T` are left to the reader: the samples of a step, and the tokens of each, where a sample has tokens.

    Attributes
    ----------
    name : str
        Of the model, or of its architecture where it has none.
    architecture : str
        The ``model_type`` of its configuration.
    parts : tuple of Part
        All parts.
    sizes : mapping of str to int
        The size of each letter but those that are left to the reader.
    number_format : str
        The format of its parameters as published, such as ``bfloat16``.
    stored : str
        How its published weights are stored in fewer bits, such as ``mxfp4``; empty where they are not.
    without_effect : tuple of str
        Keys of its configuration that change neither FLOPs nor parameters nor bytes.
    further : tuple of Part
        What predicts tokens further ahead, beside `parts`; see `predicting_further`.

    Examples
    --------
    >>> from flopbook.published import from_config
    >>> model = from_config(dict(model_type="llama", hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
    ...     num_key_value_heads=2, intermediate_size=96, vocab_size=101))
    >>> model.parameters
    105536
    >>> model.step(B=2, T=7), model.step(B=2, T=7, needed=True)
    (8510208, 8413440)
    """

    name: str
    architecture: str
    parts: tuple[Part, ...]
    sizes: Mapping[str, int]
    number_format: str = "float32"
    stored: str = ""
    without_effect: tuple[str, ...] = ()
    further: tuple[Part, ...] = ()

    def __repr__(self) -> str:
        sizes = ", ".join(f"{letter} = {size:,}" for letter, size in self.sizes.items())
        active = "" if self.active == self.parameters else f", {self.active:,} active"
        lines = [
            f"{self.name} ({self.architecture}): {self.parameters:,} parameters{active}",
            f"  sizes: {sizes}",
            f"  parameters: {self.dense.parameters}",
            f"  forward, dense: {self.dense.forward} FLOPs",
            f"  forward, needed: {self.needed.forward} FLOPs",
            f"  backward, dense: {self.dense.backward} FLOPs",
        ]
        return "\n".join([*lines, *([f"  cache: {self.cache} numbers"] if self.cache != 0 else [])])

    def _sum(self, models: Iterable[Model]) -> Model:
        first, *others = models
        return first.plus(*others).at()

    @cached_property
    def predicting_further(self) -> "Network":
        """The same with the parts that predict tokens further ahead, as it is trained; itself, where it has none.

        Examples
        --------
        >>> from flopbook.published import named
        >>> model = named("DeepSeek-V3").network
        >>> model.predicting_further.parameters - model.parameters
        11610067968
        """
        return replace(self, parts=self.parts + self.further, further=())

    @cached_property
    def dense(self) -> Model:
        """What it takes where every query meets every key, as programs count it."""
        return self._sum(part.times * part.model.at(S=part.mask.keys) for part in self.parts)

    @cached_property
    def needed(self) -> Model:
        """What it takes where a query meets the keys that the mask leaves, and nothing is multiplied by zero."""
        return self._sum(
            part.times * (part.needed or part.model).at(S=part.mask.pairs / part.mask.queries) for part in self.parts
        )

    @cached_property
    def token(self) -> Expr:
        """The FLOPs that the last token of a sequence takes, where those before it are kept: inference.

        In an encoder, where nothing is kept, it is a token's share of the forward pass.
        """
        return sympy.expand(sympy.Add(*(part.one_more for part in self.parts)))

    @cached_property
    def cache(self) -> Expr:
        """Numbers that a sequence leaves for later tokens."""
        return sympy.Add(*(part.times * (part.kept * part.mask.last + part.state) for part in self.parts))

    @cached_property
    def inference(self) -> Inference:
        """What it takes to read prompts and to write on, in its letters; :mod:`flopbook.predict.inference` says how.

        Raises
        ------
        ValueError
            If it does not read a text from left to right, as an encoder does not.

        Examples
        --------
        >>> from flopbook.published import named
        >>> model = named("DeepSeek-V3").network
        >>> model.at(model.inference.cache, B=1, S=1) * 2  # bytes of a token, in 16 bits
        70272
        """
        if self.free != ("B", "T") or self.cache == 0 or any(part.once for part in self.parts):
            raise ValueError(f"{self.name} does not read a text from left to right: a decoder does, such as Llama 3 8B")
        first, *others = (
            part.times
            * part_inference(
                part.needed or part.model, part.mask, kept=part.kept, state=part.state, alone=part.token,
                outputs=1 if part.kind in (OUTPUT, TIED) else T, looked_up=part.kind in (LOOKUP, POSITIONS),
            )
            for part in self.parts
        )  # fmt: skip
        return sum(others, first)

    @cached_property
    def inventory(self) -> Inventory:
        """What it has by kind, at its sizes, for formulas that count some of it: its T is left open.

        Raises
        ------
        ValueError
            If it has other tokens than the T of one sequence, as an encoder beside a decoder has.

        Examples
        --------
        >>> from flopbook.predict.models import TRAINERS
        >>> from flopbook.published import named
        >>> model = named("Llama 3 8B").network.inventory.at(T=8192)
        >>> TRAINERS["Megatron-LM"].flops(model) - model.needed
        -786432
        """
        counts, attention = dict.fromkeys(KINDS, ZERO), dict[Mask, Expr]()
        step, scores, width = ZERO, ZERO, ZERO
        for part in self.parts:
            if {part.mask.queries, part.mask.keys} != {T} or "T" in self.sizes:
                raise ValueError(f"{self.name} has other tokens than the T of one sequence: their formulas differ")
            run = part.needed or part.model
            counts[part.kind] += part.times * part.model.active
            counts[IDLE] += part.times * (part.model.parameters - part.model.active)
            for_token = sympy.expand(part.times * (run.forward + run.backward) / (B * T))
            numbers = for_token.coeff(S) / 6
            step += for_token.coeff(S, 0)
            if numbers != 0:
                attention[part.mask] = attention.get(part.mask, ZERO) + numbers
                scores, width = scores + part.times * H, width + part.times * D
        others = sympy.expand(step - 6 * sympy.Add(*(counts[kind] for kind in MULTIPLIED)))
        return Inventory(counts, attention, scores, width, T, others, self.architecture).at(**self.sizes)

    @cached_property
    def free(self) -> tuple[str, ...]:
        """The letters that are left to the reader, such as B and T."""
        letters: set[Expr] = set()
        for part in self.parts:
            used = (part.model.forward + part.model.activations).free_symbols
            letters |= (used - {S}) | part.mask.keys.free_symbols if S in used else used
        return tuple(sorted({str(letter) for letter in letters} - self.sizes.keys()))

    @cached_property
    def parameters(self) -> int:
        """All trained numbers."""
        return self._total("parameters")

    @cached_property
    def active(self) -> int:
        """The trained numbers that one token meets."""
        return self._total("active")

    def forward(self, *, needed: bool = False, **free: int) -> int:
        """Evaluate the FLOPs of the products of a forward pass at the sizes B and T."""
        return self._total("forward", needed, **free)

    def backward(self, *, needed: bool = False, **free: int) -> int:
        """Evaluate the FLOPs of the products of a backward pass at the sizes B and T."""
        return self._total("backward", needed, **free)

    def _total(self, kind: str, needed: bool = False, **free: int) -> int:
        """Add up what all parts take, each at its sizes: much sooner done than to add up the formulas."""
        for letter in sorted(free.keys() - {*self.free}):
            raise ValueError(f"{self.name} does not leave {letter} to you: give sizes for {', '.join(self.free)}")
        total = Fraction(0)
        for part in self.parts:
            model = part.needed or part.model if needed else part.model
            keys = part.mask.pairs / part.mask.queries if needed else part.mask.keys
            total += self.at((part.times * getattr(model, kind)).xreplace({S: keys}), **free)
        return int(total)

    def step(self, *, needed: bool = False, **free: int) -> int:
        """Evaluate the FLOPs of the products of a training step at the sizes B and T.

        Raises
        ------
        ValueError
            If a letter is not one that is left to the reader, or one of those has no size; names it.
        """
        return self.forward(needed=needed, **free) + self.backward(needed=needed, **free)

    def at(self, expression: Expr, **free: int):
        """Evaluate an expression in the network's letters.

        Raises
        ------
        ValueError
            If a letter has no size yet; names it.
        """
        letters = {letter.name for letter in expression.free_symbols}
        if missing := sorted(letters - self.sizes.keys() - free.keys()):
            raise ValueError(f"{self.name} needs a size for {', '.join(missing)}: write {missing[0]}=8, for example")
        return evaluate(expression, {**self.sizes, **checks.sizes(free)})


#: What a reader of an architecture returns: the parts, and the sizes of their letters.
Read = tuple[list[Part], dict[str, int]]
