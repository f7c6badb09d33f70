"""Hold the formulas that people publish for a token of a training step, and what each counts of a decoder.

A formula takes some kinds of parameters six times, and adds something for attention. So a model is given to it as an
:class:`Inventory`: its parameters by kind, and the keys that its queries meet. A further formula is a line in
`CLAIMS`, and a further architecture a function that makes an inventory, such as :func:`inventory`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import sympy
from sympy import Expr, Integer

from flopbook import checks
from flopbook.predict.axes import D, E, F, G, H, K, L, T, V, axis
from flopbook.predict.models.attention import window
from flopbook.predict.models.experts import X
from flopbook.predict.models.published import PUBLISHED, WITH_EXPERTS, WITH_WINDOWS

__all__ = ["CLAIMS", "INVENTORIES", "KINDS", "Claim", "Inventory", "inventory"]

MATRICES, ROUTERS, IDLE = "matrices of the blocks", "routers", "experts that a token does not meet"
OUTPUT, TIED, LOOKUP = "table of the output layer", "table of both ends", "table that is only looked up"
POSITIONS, BIASES, NORMS, LAST_NORM = "positions", "biases", "norms of the blocks", "last norm"
HEAD_NORMS, LATENT_NORMS = "norms of queries and keys", "norms of latents"
#: Kinds of parameters; those that a product multiplies with every token come first.
KINDS = (
    MATRICES, ROUTERS, OUTPUT, TIED, LOOKUP, IDLE, POSITIONS, BIASES, NORMS, HEAD_NORMS, LATENT_NORMS, LAST_NORM,
)  # fmt: skip
MULTIPLIED = KINDS[:4]

#: How many keys a query reaches at most; also the width of a window.
W = axis("W")
#: The keys that a query meets on average, where it meets its own and those before it as far as it reaches.
NEEDED = window(T, W) / T


@dataclass(frozen=True)
class Inventory:
    """Says what a decoder has, for formulas that count some of it.

    Attributes
    ----------
    parameters : mapping of str to sympy.Expr
        Parameters by kind, each of `KINDS`.
    attention : mapping of sympy.Expr to sympy.Expr
        How far queries reach, and the numbers of a query's and a value's heads in all layers of that reach: 2LHE
        where queries, keys and values are equally wide. Attention multiplies so many numbers for a pair.
    scores : sympy.Expr
        Scores of a pair: LH.
    length : sympy.Expr
        Tokens of a sequence.

    Examples
    --------
    >>> model = inventory(gated=True)
    >>> model.needed - model.dense
    -6*E*H*L*T + 6*E*H*L
    """

    parameters: Mapping[str, Expr]
    attention: Mapping[Expr, Expr]
    scores: Expr
    length: Expr

    def count(self, *kinds: str) -> Expr:
        """Add up the parameters of some kinds; of all kinds, if none is named."""
        return sympy.Add(*(self.parameters[kind] for kind in kinds or KINDS))

    def attention_flops(self, keys: Expr) -> Expr:
        """Predict the FLOPs of attention's products without weights, for a token of a step that meets so many `keys`.

        `keys` is an expression in T, the length of the sequence, and W, how far a query reaches. Each number is
        multiplied and added in one product forward, and in two backward: 6 FLOPs.
        """
        met = {reach: keys.subs({T: self.length, W: reach}, simultaneous=True) for reach in self.attention}
        return sympy.expand(sympy.Add(*(6 * met[reach] * numbers for reach, numbers in self.attention.items())))

    @property
    def dense(self) -> Expr:
        """The FLOPs of all products, for a token of a step, where every query meets every key."""
        return 6 * self.count(*MULTIPLIED) + self.attention_flops(T)

    @property
    def needed(self) -> Expr:
        """The same, where a query meets its own key and those before it, as far as it reaches."""
        return 6 * self.count(*MULTIPLIED) + self.attention_flops(NEEDED)

    def at(self, **sizes: int) -> "Inventory":
        """Put sizes in the place of letters."""
        known = {axis(name): Integer(size) for name, size in checks.sizes(sizes).items()}
        return replace(
            self,
            parameters={kind: number.subs(known) for kind, number in self.parameters.items()},
            attention={reach.subs(known): numbers.subs(known) for reach, numbers in self.attention.items()},
            scores=self.scores.subs(known),
            length=self.length.subs(known),
        )


def inventory(  # noqa: PLR0913  (each is a choice of the architecture)
    *,
    gated: bool = False,
    tied: bool = False,
    biases: bool = False,
    positions: bool = False,
    experts: bool = False,
    reaches: Mapping[Expr, Expr] | None = None,
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
    reaches : mapping of sympy.Expr to sympy.Expr
        How many keys a query meets at most, its own included, and in how many layers. Without it, all keys before it
        in all L layers.

    Raises
    ------
    TypeError
        If a choice is neither True nor False.

    Examples
    --------
    A layer in two has a window of W:

    >>> W = axis("W")
    >>> half = inventory(gated=True, reaches={T: L / 2, W: L / 2})
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
        {reach: 2 * H * E * layers for reach, layers in (reaches or {T: L}).items()},
        L * H,
        T,
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
    keys : sympy.Expr
        The keys that a query is taken to meet, in T and W; 0 where attention is left out.
    adds : callable or None
        What the formula counts besides, of an :class:`Inventory`.

    Examples
    --------
    >>> model = INVENTORIES["Llama 3 8B"]
    >>> CLAIMS["6 N"].flops(model), model.dense
    (48181567488, 57912852480)
    """

    where: str
    words: str
    kinds: tuple[str, ...]
    keys: Expr
    adds: Callable[[Inventory], Expr] | None = None

    def flops(self, model: Inventory) -> Expr:
        """Apply the formula to a model: FLOPs for a token of a step."""
        besides = self.adds(model) if self.adds else Integer(0)
        return 6 * model.count(*self.kinds) + model.attention_flops(self.keys) + besides


def _without(*kinds: str) -> tuple[str, ...]:
    return tuple(kind for kind in KINDS if kind not in kinds)


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
    "nanoGPT": Claim(
        "nanoGPT, `estimate_mfu` in model.py, commit 3adf61e (2025-11)",
        "all parameters but positions, and all of attention",
        _without(POSITIONS),
        T,
    ),
    "nanoGPT, notebook": Claim(
        "nanoGPT, `flops` in transformer_sizing.ipynb, commit 3adf61e (2025-11)",
        "what is multiplied, and all of attention",
        MULTIPLIED,
        T,
    ),
    "torchtitan": Claim(
        "torchtitan, `get_moe_model_nparams_and_flops` in models/utils.py, commit b5bcd76 (2026-08)",
        "what a token meets but an embedding of its own, and all of attention",
        _without(IDLE, LOOKUP),
        T,
    ),
    "OLMo-core": Claim(
        "OLMo-core, `num_flops_per_token` of each module, commit fa6c501 (2026-06)",
        "what is multiplied, biases, the last norm, and attention as wide as its window",
        (*MULTIPLIED, BIASES, LAST_NORM),
        sympy.Min(W, T),
    ),
    "Megatron-LM": Claim(
        "Megatron-LM, `num_floating_point_operations` in training/training.py, commit d98e8a6 (2026-08)",
        "what is multiplied but routers, and half of attention",
        (MATRICES, OUTPUT, TIED),
        T / 2,
    ),
    "Hugging Face": Claim(
        "Transformers 5.24.0 (2026-11), `Trainer.floating_point_ops`",
        "all parameters but embeddings, even where one is the output layer; no attention",
        _without(TIED, LOOKUP, POSITIONS),
        Integer(0),
    ),
})  # fmt: skip

_GPT, _LLAMA = inventory(tied=True, biases=True, positions=True), inventory(gated=True)
#: What published decoders have, at their sizes.
#:
#: :meta hide-value:
INVENTORIES: Mapping[str, Inventory] = MappingProxyType({
    **{name: _GPT.at(**PUBLISHED[name]) for name in ("GPT-2 small", "GPT-3 175B")},
    **{name: _LLAMA.at(**PUBLISHED[name]) for name in ("Llama 3 8B", "Llama 3 70B", "Llama 3 405B")},
    **{name: inventory(gated=True, reaches={W: L}).at(**sizes) for name, sizes in WITH_WINDOWS.items()},
    **{name: inventory(gated=True, experts=True).at(**sizes) for name, sizes in WITH_EXPERTS.items()},
})  # fmt: skip
