"""Hold the formulas that people publish for a token of a training step, and what each counts of a decoder.

A formula takes some kinds of parameters six times, and adds something for attention. So a model is given to it as an
:class:`Inventory`: its parameters by kind, and the keys that its queries meet. A further formula is a line in
`CLAIMS`, or in `TRAINERS` if a program that trains models holds it. :func:`inventory` lists what a plain decoder has,
and `flopbook.published.Network.inventory` what any published one has.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeAlias

import sympy
from sympy import Expr, Integer

from flopbook import checks
from flopbook.predict.axes import D, E, F, G, H, K, L, T, V, axis
from flopbook.predict.models.experts import X
from flopbook.predict.models.masks import CAUSAL, Mask, in_window
from flopbook.predict.models.published import PUBLISHED, WITH_EXPERTS, WITH_WINDOWS

__all__ = ["CLAIMS", "INVENTORIES", "KINDS", "TRAINERS", "Claim", "Inventory", "Keys", "inventory"]

MATRICES, ROUTERS, IDLE = "matrices of the blocks", "routers", "experts that a token does not meet"
OUTPUT, TIED, LOOKUP = "table of the output layer", "table of both ends", "table that is only looked up"
POSITIONS, BIASES, NORMS, LAST_NORM = "positions", "biases", "norms of the blocks", "last norm"
HEAD_NORMS, LATENT_NORMS = "norms of queries and keys", "norms of latents"
#: Kinds of parameters; those that a product multiplies with every token come first.
KINDS = (
    MATRICES, ROUTERS, OUTPUT, TIED, LOOKUP, IDLE, POSITIONS, BIASES, NORMS, HEAD_NORMS, LATENT_NORMS, LAST_NORM,
)  # fmt: skip
MULTIPLIED = KINDS[:4]

#: The keys that a query is taken to meet: an expression in T, or a function of the mask that returns one.
Keys: TypeAlias = Expr | Callable[[Mask], Expr]


def needed_keys(mask: Mask) -> Expr:
    """Return the keys that a query meets on average."""
    return mask.pairs / mask.queries


def whole_windows(mask: Mask) -> Expr:
    """Return the keys of a window, as if the first tokens met a full one; all keys elsewhere."""
    return sympy.Min(mask.reach, T) if mask.words == "window" else T


def half_or_window(mask: Mask) -> Expr:
    """Return the keys that a window leaves, and half of all keys where there is none, or a wide one."""
    if mask.words != "window":
        return T / 2
    return sympy.Piecewise((needed_keys(mask), mask.reach < T), (T / 2, True))


def areas(mask: Mask) -> Expr:
    """Return half of a square, half of the squares of chunks, and a window's band: less than the pairs, a diagonal."""
    if mask.words == "window":
        return (mask.pairs - sympy.Min(mask.reach, T) / 2) / T
    return (mask.pairs - T / 2) / T if mask.words == "chunks" else T / 2


@dataclass(frozen=True)
class Inventory:
    """Says what a decoder has, for formulas that count some of it.

    Attributes
    ----------
    parameters : mapping of str to sympy.Expr
        Parameters by kind, each of `KINDS`.
    attention : mapping of Mask to sympy.Expr
        Which keys queries meet, and the numbers of a query's and a value's heads in all layers with this mask: 2LHE
        where queries, keys and values are equally wide. Attention multiplies so many numbers for a pair.
    scores : sympy.Expr
        Scores of a pair: LH.
    width : sympy.Expr
        The width of the model, added up over its layers with attention: LD.
    length : sympy.Expr
        Tokens of a sequence.
    others : sympy.Expr
        FLOPs of a step, for a token, of products without weights that do not grow with the sequence, as in a scan.
    architecture : str
        The ``model_type`` of its configuration, for formulas that ask for it.

    Examples
    --------
    >>> model = inventory(gated=True)
    >>> model.needed - model.dense
    -6*E*H*L*T + 6*E*H*L
    """

    parameters: Mapping[str, Expr]
    attention: Mapping[Mask, Expr]
    scores: Expr
    width: Expr
    length: Expr = T
    others: Expr = sympy.S.Zero
    architecture: str = ""

    def count(self, *kinds: str) -> Expr:
        """Add up the parameters of some kinds; of all kinds, if none is named."""
        return sympy.Add(*(self.parameters[kind] for kind in kinds or KINDS))

    def attention_flops(self, keys: Keys) -> Expr:
        """Predict the FLOPs of attention's products without weights, for a token of a step that meets so many `keys`.

        Each number is multiplied and added in one product forward, and in two backward: 6 FLOPs.

        Parameters
        ----------
        keys : sympy.Expr or callable
            An expression in T, the length of the sequence, or a function of a `Mask` that returns one.
        """
        met = {mask: keys(mask) if callable(keys) else keys for mask in self.attention}
        return sympy.expand(
            sympy.Add(*(6 * met[mask].subs(T, self.length) * numbers for mask, numbers in self.attention.items()))
        )

    @property
    def dense(self) -> Expr:
        """The FLOPs of all products, for a token of a step, where every query meets every key."""
        return 6 * self.count(*MULTIPLIED) + self.attention_flops(T) + self.others

    @property
    def needed(self) -> Expr:
        """The same, where a query meets the keys that the mask leaves."""
        return 6 * self.count(*MULTIPLIED) + self.attention_flops(needed_keys) + self.others

    def at(self, **sizes: int) -> "Inventory":
        """Put sizes in the place of letters."""
        known = {axis(name): Integer(size) for name, size in checks.sizes(sizes).items()}
        of_masks = {letter: size for letter, size in known.items() if letter != T}
        attention: dict[Mask, Expr] = {}
        for mask, numbers in self.attention.items():
            attention[mask.at(of_masks)] = attention.get(mask.at(of_masks), 0) + numbers.subs(known)
        return replace(
            self,
            parameters={kind: number.subs(known) for kind, number in self.parameters.items()},
            attention=attention,
            scores=self.scores.subs(known),
            width=self.width.subs(known),
            length=self.length.subs(known),
            others=self.others.subs(known),
        )


def inventory(  # noqa: PLR0913  (each is a choice of the architecture)
    *,
    gated: bool = False,
    tied: bool = False,
    biases: bool = False,
    positions: bool = False,
    experts: bool = False,
    masks: Mapping[Mask, Expr] | None = None,
) -> Inventory:
    """List what a decoder has, in the letters of :func:`decoder`.

    Parameters
    ----------
    gated : bool
        Whether a feed-forward part has a gate: three matrices instead of two.
    tied : bool
        Whether the embedding's table is also that of the output layer.
    biases : bool
        Whether linear layers in the blocks have biases, and norms a bias beside their weight.
    positions : bool
        Whether there is a table of positions with T rows.
    experts : bool
        Whether a feed-forward part is a router and X experts, of which a token meets K.
    masks : mapping of Mask to sympy.Expr
        Which keys queries meet, and in how many layers. Without it, their own and all before it in all L layers.

    Raises
    ------
    TypeError
        If a choice is neither True nor False.

    Examples
    --------
    A layer in two has a window of W:

    >>> half = inventory(gated=True, masks={CAUSAL: L / 2, in_window(axis("W")): L / 2})
    >>> half.dense - inventory(gated=True).dense
    0
    """
    choices = {"gated": gated, "tied": tied, "biases": biases, "positions": positions, "experts": experts}
    for name, given in choices.items():
        if not isinstance(given, bool):
            raise TypeError(f"{name}={checks.quoted(given)} is neither True nor False: give one of them")
    matrices = 3 if gated else 2
    feed_forward = L * matrices * D * F
    norm = 2 * D if biases else D
    bias = L * (H * E + 2 * G * E + D + (matrices - 1) * F + D)
    zero = Integer(0)
    return Inventory(
        {
            MATRICES: L * 2 * D * E * (H + G) + feed_forward * (K if experts else 1),
            ROUTERS: L * D * X if experts else zero,
            OUTPUT: zero if tied else D * V,
            TIED: D * V if tied else zero,
            LOOKUP: zero if tied else D * V,
            IDLE: feed_forward * (X - K) if experts else zero,
            POSITIONS: T * D if positions else zero,
            BIASES: bias if biases else zero,
            NORMS: 2 * L * norm,
            HEAD_NORMS: zero,
            LATENT_NORMS: zero,
            LAST_NORM: sympy.sympify(norm),
        },
        {mask: 2 * H * E * layers for mask, layers in (masks or {CAUSAL: L}).items()},
        scores=L * H,
        width=L * D,
    )


@dataclass(frozen=True)
class Claim:
    """Says what a published formula counts, for a token of a training step.

    Attributes
    ----------
    where : str
        The place in its source, and the version that was read.
    words : str
        What the formula counts.
    kinds : tuple of str
        The parameters that the formula takes six times, each of `KINDS`.
    keys : sympy.Expr or callable
        The keys that a query is taken to meet: an expression in T, 0 where attention is left out, or a function of a
        `Mask`.
    adds : callable or None
        What the formula counts besides, of an :class:`Inventory`.
    masks_of : frozenset of str or None
        The architectures whose masks the formula knows, others being causal to it; None where it asks for none.

    Examples
    --------
    >>> model = INVENTORIES["Llama 3 8B"]
    >>> CLAIMS["6 N"].flops(model), model.dense
    (48181567488, 57912852480)
    """

    where: str
    words: str
    kinds: tuple[str, ...]
    keys: Keys
    adds: Callable[[Inventory], Expr] | None = None
    masks_of: frozenset[str] | None = None

    def flops(self, model: Inventory) -> Expr:
        """Apply the formula to a model: FLOPs for a token of a step."""
        besides = self.adds(model) if self.adds else Integer(0)
        return 6 * model.count(*self.kinds) + model.attention_flops(self._keys(model.architecture)) + besides

    def _keys(self, architecture: str) -> Keys:
        keys = self.keys
        if self.masks_of is None or architecture in self.masks_of or not callable(keys):
            return keys
        return keys(CAUSAL)


def _without(*kinds: str) -> tuple[str, ...]:
    return tuple(kind for kind in KINDS if kind not in kinds)


#: Formulas of programs that train models, by name, as they stood when they were read, and one as it stood before.
#: A program that does not train a model's architecture is taken by its rule. What some of them count for recurrences,
#: such as a gated delta rule, is left out.
#:
#: :meta hide-value:
TRAINERS: Mapping[str, Claim] = MappingProxyType({
    "nanoGPT": Claim(
        "nanoGPT, `estimate_mfu` in model.py, commit 3adf61e (2025-11)",
        "all parameters but positions, and all of attention",
        _without(POSITIONS),
        T,
    ),
    "torchtitan": Claim(
        "torchtitan, `get_nparams_and_active_nparams` and `quadratic_attention_flops_per_token` in models/utils.py, "
        "commit 01c01c8, after #4300 (2026-08)",
        "what a token meets but tables that are only looked up, and attention as wide as its window",
        _without(IDLE, LOOKUP, POSITIONS),
        whole_windows,
    ),
    "torchtitan, before": Claim(
        "torchtitan, `get_moe_model_nparams_and_flops` in models/utils.py, commit b5bcd76, before #4300 (2026-08)",
        "what a token meets but an embedding of its own, and all of attention",
        _without(IDLE, LOOKUP),
        T,
    ),
    "Megatron-LM": Claim(
        "Megatron-LM, `num_floating_point_operations` in training/training.py, commit d98e8a6 (2026-08)",
        "what is multiplied but routers, norms of latents, and half of attention",
        (MATRICES, OUTPUT, TIED, LATENT_NORMS),
        T / 2,
    ),
    "Megatron-Bridge": Claim(
        "Megatron-Bridge, `num_floating_point_operations` in training/utils/flop_utils.py, commit 067f987 (2026-08)",
        "what is multiplied but routers, norms of latents, and what a window leaves or half of attention",
        (MATRICES, OUTPUT, TIED, LATENT_NORMS),
        half_or_window,
    ),
    "OLMo-core": Claim(
        "OLMo-core, `num_flops_per_token` of each module, commit fa6c501 (2026-06)",
        "what is multiplied, biases, norms in attention, the last norm, and attention as wide as its window",
        (*MULTIPLIED, BIASES, HEAD_NORMS, LATENT_NORMS, LAST_NORM),
        whole_windows,
    ),
    "Hugging Face": Claim(
        "Transformers 5.24.0 (2026-11), `Trainer.floating_point_ops`",
        "all parameters but embeddings, even where one is the output layer; no attention",
        _without(TIED, LOOKUP, POSITIONS),
        Integer(0),
    ),
    "MaxText": Claim(
        "MaxText, `calculate_tflops_training_per_device` in utils/maxtext_utils.py, commit e591f30 (2026-08)",
        "what is multiplied, and half of attention, of a window or of a chunk, without the diagonal",
        MULTIPLIED,
        areas,
        masks_of=frozenset({"gemma2", "gemma3_text", "gpt_oss", "llama4_text"}),
    ),
    "litgpt": Claim(
        "litgpt, `estimate_flops` in utils.py, commit 2685705 (2026-06)",
        "all parameters, and attention as wide as the model, five times for three",
        KINDS,
        Integer(0),
        lambda model: 20 * model.width * model.length,
    ),
    "litgpt, measured": Claim(
        "litgpt, `measure_flops` in pretrain.py, commit 2685705 (2026-06): PyTorch's counter on the meta device",
        "what is multiplied, and all of attention; it fails where there are experts",
        MULTIPLIED,
        T,
    ),
})  # fmt: skip

#: Formulas by name, as their sources give them. Papers that know no experts are taken at their word: N is all
#: parameters, and what is derived from products has the experts that a token meets. Kaplan, Narayanan, Hoffmann and
#: Korthikanti write out a GPT's matrices; here their rule is applied to the matrices that a model has. torchtitan and
#: OLMo-core have no model with a table of positions; torchtitan's code leaves such a table in where tables are tied.
#:
#: :meta hide-value:
CLAIMS: Mapping[str, Claim] = MappingProxyType({
    "6 N": Claim("a rule of thumb", "all parameters, no attention", KINDS, Integer(0)),
    "Kaplan": Claim(
        "Kaplan and others (2020), table 1",
        "parameters without tables, and half of attention",
        (MATRICES, ROUTERS, IDLE),
        T / 2,
    ),
    "Brown": Claim(
        "Brown and others (2020), appendix D",
        "the parameters that a token meets, no attention",
        _without(IDLE),
        Integer(0),
    ),
    "Narayanan": Claim(
        "Narayanan and others (2021), equation 3",
        "what is multiplied, and a second forward pass of the blocks",
        MULTIPLIED,
        4 * T / 3,
        lambda model: 2 * model.count(MATRICES, ROUTERS),
    ),
    "Hoffmann": Claim(
        "Hoffmann and others (2022), appendix F",
        "what is multiplied, a lookup as a product, and the softmax",
        MULTIPLIED,
        T,
        lambda model: 6 * model.count(TIED, LOOKUP) + 9 * model.length * model.scores,
    ),
    "Chowdhery": Claim("Chowdhery and others (2022), appendix B", "all parameters, and all of attention", KINDS, T),
    "Korthikanti, model": Claim(
        "Korthikanti and others (2022), equation 7", "what is multiplied, and all of attention", MULTIPLIED, T
    ),
    "Korthikanti, hardware": Claim(
        "Korthikanti and others (2022), equation 8",
        "what is multiplied, and attention twice",
        MULTIPLIED,
        2 * T,
    ),
    **{name: TRAINERS[name] for name in ("nanoGPT",)},
    "nanoGPT, notebook": Claim(
        "nanoGPT, `flops` in transformer_sizing.ipynb, commit 3adf61e (2025-11)",
        "what is multiplied, and all of attention",
        MULTIPLIED,
        T,
    ),
    **{name: TRAINERS[name] for name in ("torchtitan", "OLMo-core", "Megatron-LM", "Hugging Face")},
})  # fmt: skip

_GPT, _LLAMA = inventory(tied=True, biases=True, positions=True), inventory(gated=True)
_WINDOWS = inventory(gated=True, masks={in_window(axis("W")): L})
#: What published decoders have, at their sizes.
#:
#: :meta hide-value:
INVENTORIES: Mapping[str, Inventory] = MappingProxyType({
    **{name: _GPT.at(**PUBLISHED[name]) for name in ("GPT-2 small", "GPT-3 175B")},
    **{name: _LLAMA.at(**PUBLISHED[name]) for name in ("Llama 3 8B", "Llama 3 70B", "Llama 3 405B")},
    **{name: _WINDOWS.at(**sizes) for name, sizes in WITH_WINDOWS.items()},
    **{name: inventory(gated=True, experts=True).at(**sizes) for name, sizes in WITH_EXPERTS.items()},
})  # fmt: skip
