"""Plan the training and the use of any model that reads tokens from left to right.

A model is put into some sixty amounts, such as the FLOPs of a token, and of a pair of a query and its key. So one set
of expressions, and one calculator, serves all models; a model's own formula stays in its :class:`Network`.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import cache, partial, reduce
from types import MappingProxyType
from typing import Any

import sympy
from sympy import Expr, Integer, Max, Min, PolynomialError, ceiling, floor

from flopbook.checks import quoted
from flopbook.predict.axes import B, S, T, axis
from flopbook.predict.models.attention import chunks
from flopbook.predict.models.claims import BIASES, HEAD_NORMS, LATENT_NORMS, MATRICES, NORMS, OUTPUT, ROUTERS, TIED
from flopbook.predict.models.model import Model
from flopbook.predict.plans import GIGA, Plan, training_plan
from flopbook.published.config import ConfigError
from flopbook.published.models import named, names
from flopbook.published.network import CAUSAL, Network, Part, in_chunks, in_window
from flopbook.published.on_paper import OF_IMAGES
from flopbook.published.read import from_config, parse

__all__ = ["amounts", "presets", "read_option", "run_plan", "use_plan"]

#: The masks that a plan knows. Where a query reaches less far than to the first token, an amount says how far.
_MASKS = {mask.words: mask for mask in (CAUSAL, in_window(axis("window")), in_chunks(axis("chunk")))}
_REACHES = {"window": "window", "chunks": "chunk"}
_IN_BLOCKS = (MATRICES, ROUTERS, BIASES, NORMS, HEAD_NORMS, LATENT_NORMS)
_LOGITS = (OUTPUT, TIED)

#: What devices that share a layer gather or hand out of a block's width, where they share its tokens, too, and so keep
#: nothing whole: 4 forward, 4 backward, and what 2 weights' gradients read, once more. Full checkpoints run 4 again.
_EXCHANGES, _RUN_AGAIN = 10, 4

_SCANS = ceiling(T / axis("scan"))
#: What an amount may be for: a plan has so many of it in a sequence of T tokens.
_GROWTH = {
    "sequence": Integer(1),
    "token": T,
    "square": T**2,
    "scan_first": Min(T, axis("scan")),
    "scans": _SCANS,
    "scans_square": _SCANS**2,
    "scan_pair": chunks(T, axis("scan")),
    **{f"{words}_pair": mask.pairs for words, mask in _MASKS.items()},
}
#: What is dense grows with these alone.
_DENSE = ("sequence", "token", "square", "scans", "scans_square")
#: What is kept, too.
_KEPT = ("sequence", "token", "scans")

_EACH = {
    "sequence": "a sequence, however long",
    "token": "a token",
    "square": "a token and a token, before or after",
    "scan_first": "a token in the first chunk of a scan",
    "scans": "a chunk of a scan",
    "scans_square": "a chunk and a chunk of a scan",
    "scan_pair": "a token and one before it, or itself, in a chunk of a scan",
    "causal_pair": "a query and a key, where all before are met",
    "window_pair": "a query and a key, where a window before is met",
    "chunks_pair": "a query and a key, where those before in a chunk are met",
}
#: What the amounts of a model are.
AMOUNTS = {
    "parameters": "trained numbers",
    "active": "trained numbers that a token meets",
    "tensors": "tensors that hold them",
    **{f"{way}_{each}": f"FLOPs of {_EACH[each]}, {way}" for way in ("forward", "backward") for each in _DENSE},
    **{
        f"needed_{way}_{each}": f"FLOPs of {_EACH[each]}, {way}, where nothing is multiplied by zero"
        for way in ("forward", "backward")
        for each in _GROWTH
    },
    "next": "FLOPs of a token that is written",
    **{f"{words}_next": f"FLOPs of {_EACH[f'{words}_pair']}, for a token that is written" for words in _MASKS},
    "window": "keys that a window holds",
    "chunk": "tokens of a chunk of attention",
    "scan": "tokens of a chunk of a scan",
    "output": "FLOPs of a token in the output layer, forward",
    "logits": "numbers of a token that the loss keeps",
    "inputs": "numbers of a token that enter the blocks",
    **{f"kept_{each}": f"numbers of {_EACH[each]} that the blocks keep" for each in _KEPT},
    **{f"largest_{each}": "the same of one block, on average" for each in _KEPT},
    **{f"results_{each}": f"numbers of {_EACH[each]} that the blocks' products give" for each in _KEPT},
    "kept_ends": "numbers of a token that is kept outside of the blocks",
    "causal_cache": "numbers of a token that later queries meet, where all before are met",
    "window_cache": "the same in windows",
    "chunks_cache": "the same in chunks",
    "state": "numbers of a sequence that later tokens meet, however long it is",
}

#: An amount as a polynomial: the factor of each product of letters, which are numbers in order.
Terms = Counter[tuple[int, ...]]

_CHOICES = {
    "Attention": {
        "dense: every pair is multiplied": dict(needed=0),
        "needed: nothing is multiplied by zero": dict(needed=1),
    },
    "Checkpoints": {
        "none": dict(selective=0, full=0),
        "selective: pointwise arithmetic runs again": dict(selective=1, full=0),
        "full: each block runs again": dict(selective=0, full=1),
    },
    "Loss": {"in 32 bits": dict(bytes_loss=4), "in 16 bits": dict(bytes_loss=2)},
}


def amounts(network: Network) -> dict[str, int]:
    """Put a model into the amounts that a plan needs.

    Parameters
    ----------
    network : Network
        That reads tokens from left to right, through layers of one width.

    Returns
    -------
    dict of str to int
        The number of each of `AMOUNTS`.

    Raises
    ------
    ConfigError
        If the model reads something else, or attends or grows in a way that a plan does not know.

    Examples
    --------
    >>> from flopbook.published import named
    >>> llama = amounts(named("Llama 3 8B").network)
    >>> llama["parameters"], llama["forward_token"], llama["needed_forward_causal_pair"]
    (8030261248, 15009316864, 524288)
    """
    if network.free != ("B", "T") or not {"L", "D"} <= network.sizes.keys():
        raise ConfigError(f"{network.name} does not read tokens through layers of one width, which a plan needs")
    found = Counter(
        parameters=network.parameters,
        active=network.active,
        inputs=network.sizes["L"] * network.sizes["D"],
    )
    reaches: dict[str, int] = {}
    known = _known(network.sizes)
    for part in network.parts:
        if (mask := part.mask.words) not in _MASKS:
            raise ConfigError(f"{network.name} has the mask {mask!r}, which a plan does not know: {', '.join(_MASKS)}")
        if mask in _REACHES and reaches.setdefault(mask, reach := int(network.at(part.mask.reach))) != reach:
            raise ConfigError(f"{network.name} has {mask} of {reach} and of {reaches[mask]} tokens: a plan knows one")
        found.update(_of(network, known, part))
    found.update({f"largest_{each}": -(-found[f"kept_{each}"] // network.sizes["L"]) for each in _KEPT})
    found.update({name: reaches.get(mask, 1) for mask, name in _REACHES.items()})
    found["scan"] = network.sizes.get("Zs", 1)
    if unknown := [name for name, amount in found.items() if amount and name not in AMOUNTS]:
        raise ConfigError(f"{network.name} grows otherwise than a plan knows: it has {', '.join(unknown)}")
    return {name: found[name] for name in AMOUNTS}


@cache
def presets() -> Mapping[str, Mapping[str, int]]:
    """Give the amounts of each model that is known by name and that a plan can hold.

    Examples
    --------
    >>> len(presets()) > 20, "BERT base" in presets()
    (True, False)
    """
    found = {}
    for name in names():
        config = named(name).config
        if config.get("model_type", config.get("_class_name")) in OF_IMAGES:
            continue  # a reader would wait as long for these few as for all others
        with suppress(ConfigError):  # of texts that are read from both sides
            found[name] = MappingProxyType(amounts(named(name).network))
    return MappingProxyType(found)


def read_option(text: str) -> dict[str, Any]:
    """Read the text of a ``config.json`` as an option among the models of a calculator.

    Returns
    -------
    dict
        The option's ``name``, and its ``sizes``: the amounts, as text, since JavaScript rounds a long number.

    Raises
    ------
    ConfigError
        If it is not JSON, is not understood, or a plan cannot hold the model.

    Examples
    --------
    >>> option = read_option('{"model_type": "llama", "num_hidden_layers": 16}')
    >>> option["name"], option["sizes"]["parameters"]
    ('your llama: 3,500,281,856 parameters', '3500281856')
    >>> read_option("llama")
    Traceback (most recent call last):
    flopbook.published.config.ConfigError: the text is not JSON: Expecting value: line 1 column 1 (char 0)
    """
    network = from_config(parse(text, "the text"))
    sizes = {name: str(size) for name, size in amounts(network).items()}
    return {"name": f"your {network.name}: {network.parameters:,} parameters", "sizes": sizes}


def _of(network: Network, known: Mapping[Expr, Terms], part: Part) -> dict[str, int]:
    """Give what all parts of one kind add to the amounts."""
    growth = partial(_growth, network, known)
    model, needed = part.times * part.model, part.times * (part.needed or part.model)
    pair, cached, written = (f"{part.mask.words}_{what}" for what in ("pair", "cache", "next"))
    alone = growth(part.alone, {written: S})
    found = {
        **_named("forward", growth(model.forward.xreplace({S: T}), {})),
        **_named("backward", growth(model.backward.xreplace({S: T}), {})),
        **_named("needed_forward", growth(needed.forward, {pair: T * S})),
        **_named("needed_backward", growth(needed.backward, {pair: T * S})),
        "next": alone["sequence"], written: alone[written],
        cached: int(network.at(part.times * part.kept)),
        "state": int(network.at(part.times * part.state)),
        "tensors": int(network.at(model.tensors)),
    }  # fmt: skip
    if part.kind in _LOGITS:
        return found | dict(output=found["forward_token"], logits=network.sizes["V"])
    kept = growth(model.activations, {})
    if part.kind in _IN_BLOCKS:
        return found | _named("kept", kept) | _named("results", growth(model.results, {}))
    return found | dict(kept_ends=kept["token"])


def _named(what: str, growth: Mapping[str, int]) -> dict[str, int]:
    return {f"{what}_{each}": number for each, number in growth.items()}


def _growth(network: Network, known: Mapping[Expr, Terms], amount: Expr, met: Mapping[str, Expr]) -> Counter[str]:
    """Say how much an amount has of each kind of `_GROWTH`, and of `met`, which has S keys."""
    at_scan = amount.xreplace({axis("Zs"): Integer(network.sizes["Zs"])}) if "Zs" in network.sizes else amount
    found = Counter[str]()
    try:
        left = _terms(at_scan, known)
    except PolynomialError:
        left = Counter({(-1,): Fraction(1)})  # a letter that no kind has
    kinds = _kinds(network.sizes.get("Zs", 1))[1]
    for each, terms in [*kinds.items(), *((name, _terms(keys, known)) for name, keys in met.items())][::-1]:
        lead = max(terms, key=lambda letters: len({*letters}))  # of several terms, the one that no other kind has
        found[each] = int(left[lead] / terms[lead])
        left.subtract({letters: found[each] * factor for letters, factor in terms.items()})
    if any(left.values()):
        at_sizes = sympy.expand(amount.xreplace({axis(name): Integer(size) for name, size in network.sizes.items()}))
        raise ConfigError(f"{network.name} grows otherwise with its tokens than a plan knows: {quoted(str(at_sizes))}")
    return found


def _known(sizes: Mapping[str, int]) -> dict[Expr, Terms]:
    """Write all that amounts are made of as polynomials: one sample, and each letter at its size."""
    numbers: dict[Expr, Terms] = {
        axis(letter): Counter({(): Fraction(size)}) for letter, size in {**sizes, "B": 1}.items()
    }
    return numbers | _kinds(sizes.get("Zs", 1))[0]


@cache
def _kinds(scan: int) -> tuple[dict[Expr, Terms], dict[str, Terms]]:
    """Write each kind of `_GROWTH` as a polynomial: what is rounded, or the smaller of two, is a letter of its own.

    A chunk of one token makes some kinds equal: the first of them stands for all.
    """
    amounts = {
        each: sympy.expand(how_many.subs(axis("scan"), scan))
        for each, how_many in _GROWTH.items()
        if each.removesuffix("_pair") not in _MASKS
    }
    steps = dict.fromkeys(step for how_many in amounts.values() for step in how_many.atoms(ceiling, floor, Min))
    letters = [T, S, *steps]
    known: dict[Expr, Terms] = {letter: Counter({(number,): Fraction(1)}) for number, letter in enumerate(letters)}
    if scan > 1:  # whether there is a chunk with fewer tokens
        up, down = ceiling(T / scan), floor(T / scan)
        known[sympy.sign(T - scan * down)] = _terms(up - down, known)
    kinds: dict[str, Terms] = {}
    for each, how_many in amounts.items():
        if (terms := _terms(how_many, known)) not in kinds.values():
            kinds[each] = terms
    return known, kinds


def _terms(amount: Expr, known: Mapping[Expr, Terms]) -> Terms:
    """Return the factor of each product of letters; SymPy's polynomials take much longer, and a reader waits."""
    if amount in known:
        return known[amount]
    if amount.is_Rational:
        return Counter({(): Fraction(int(amount.p), int(amount.q))})
    if amount.is_Add:
        total = Counter[tuple[int, ...]]()
        for part in amount.args:
            total.update(_terms(part, known))
        return total
    if amount.is_Mul:
        return reduce(_times, (_terms(factor, known) for factor in amount.args))
    if amount.is_Pow and amount.exp.is_Integer:
        base = _terms(amount.base, known)
        if amount.exp > 0:
            return reduce(_times, [base] * int(amount.exp))
        if base.keys() == {()}:
            return Counter({(): base[()] ** int(amount.exp)})
    raise PolynomialError(f"{amount} is not a sum of products of letters")


def _times(one: Terms, other: Terms) -> Terms:
    product = Counter[tuple[int, ...]]()
    for letters, factor in one.items():
        for others, times in other.items():
            product[tuple(sorted(letters + others))] += factor * times
    return product


def run_plan(presets: Mapping[str, Mapping[str, int]]) -> Plan:
    """Plan the training of models that are given as amounts.

    Parameters
    ----------
    presets : mapping of str to mapping
        The :func:`amounts` of each model by its name.

    Examples
    --------
    >>> from flopbook.published import named
    >>> network = named("Llama 3 8B").network
    >>> plan = run_plan({network.name: amounts(network)})
    >>> plan.rows["Parameters"], list(plan.choices)
    (('', parameters), ['Model', 'Attention', 'Checkpoints', 'Loss', 'Optimizer', 'Precision', 'Sharding', 'Device'])
    """
    forward, backward = _flops("forward"), _flops("backward")
    inputs, selective, full = map(axis, ("inputs", "selective", "full"))
    whole, one, results = _kept("kept"), _kept("largest"), _kept("results")
    kept = (1 - selective - full) * whole + selective * (T * inputs + results) + full * (T * inputs + one)
    kept += T * axis("kept_ends")
    model = Model(axis("parameters"), axis("active"), axis("tensors"), B * forward, B * backward, B * kept, B * results)
    plan = training_plan(
        "model", "What it takes to train the model", model, B * T, presets,
        again=full * B * (forward - T * axis("output")), loss=axis("bytes_loss") * B * T * axis("logits"),
        exchanged=(_EXCHANGES + full * _RUN_AGAIN) * B * T * inputs, choices=_CHOICES,
    )  # fmt: skip
    return replace(plan, reader=f"{__name__}:{read_option.__name__}" if presets else "")


def _flops(way: str) -> Expr:
    """Add up the FLOPs of a sequence: dense, or needed where `needed` is 1."""
    dense = sympy.Add(*(axis(f"{way}_{each}") * _GROWTH[each] for each in _DENSE))
    needed = sympy.Add(*(axis(f"needed_{way}_{each}") * how_many for each, how_many in _GROWTH.items()))
    return (1 - axis("needed")) * dense + axis("needed") * needed


def _kept(what: str) -> Expr:
    return sympy.Add(*(axis(f"{what}_{each}") * _GROWTH[each] for each in _KEPT))


def use_plan() -> Plan:
    """Plan what the same models take to read a text and write on, on one device.

    Examples
    --------
    >>> use_plan().rows["Bytes of weights"]
    ('B', bytes_parameters*parameters)
    """
    last = sympy.Add(*(axis(f"{words}_next") * mask.last for words, mask in _MASKS.items()))
    cache = sympy.Add(*(axis(f"{words}_cache") * mask.last for words, mask in _MASKS.items()), axis("state"))
    weights, cached = axis("bytes_parameters") * axis("parameters"), axis("bytes_activations") * cache
    read = axis("bytes_parameters") * axis("active") + cached
    token = axis("next") + last
    rows = {
        "Read T tokens": ("FLOPs", _flops("forward")),
        "Write the next token": ("FLOPs", token),
        "Bytes of weights": ("B", weights),
        "Bytes that T tokens leave": ("B", cached),
        "Texts of T tokens that fit beside the weights": (
            "", floor(Max(0, axis("memory") - weights) / cached),
        ),
        "Time of the next token, at least": ("s", Max(token / (GIGA * axis("peak")), read / axis("bandwidth"))),
    }  # fmt: skip
    return Plan("use", "What it takes to use the model", rows, {})
