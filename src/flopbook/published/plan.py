"""Plan the training and the use of any model that reads tokens from left to right.

A model is put into some twenty amounts, such as the FLOPs of a token, and of a pair of a query and its key. So one set
of expressions, and one calculator, serves all models; a model's own formula stays in its :class:`Network`.
"""

from collections import Counter
from collections.abc import Mapping

import sympy
from sympy import Expr, Max, Poly, PolynomialError, floor

from flopbook.predict.axes import B, S, T, axis
from flopbook.predict.models.claims import BIASES, HEAD_NORMS, LATENT_NORMS, MATRICES, NORMS, OUTPUT, ROUTERS, TIED
from flopbook.predict.models.model import Model
from flopbook.predict.plans import GIGA, Plan, training_plan
from flopbook.published.config import ConfigError
from flopbook.published.network import CAUSAL, Network, Part, in_chunks, in_window

__all__ = ["amounts", "run_plan", "use_plan"]

#: The masks that a plan knows. Where a query reaches less far than to the first token, an amount says how far.
_MASKS = {mask.words: mask for mask in (CAUSAL, in_window(axis("window")), in_chunks(axis("chunk")))}
_REACHES = {"window": "window", "chunks": "chunk"}
_IN_BLOCKS = (MATRICES, ROUTERS, BIASES, NORMS, HEAD_NORMS, LATENT_NORMS)
_LOGITS = (OUTPUT, TIED)
#: Powers of T and S, and what grows with them.
_GROWTH = {(1, 0): "token", (1, 1): "pair", (0, 0): "sequence"}
_TOKEN, _PAIR, _SEQUENCE = _GROWTH

#: What the amounts of a model are.
AMOUNTS = {
    "parameters": "trained numbers",
    "active": "trained numbers that a token meets",
    "tensors": "tensors that hold them",
    "token_forward": "FLOPs of a token, forward",
    "token_backward": "FLOPs of a token, backward",
    "sequence_forward": "FLOPs of a sequence, however long, forward",
    "sequence_backward": "FLOPs of a sequence, however long, backward",
    "causal_pair": "FLOPs of a query and a key, forward, where all before are met",
    "window_pair": "the same in windows",
    "chunks_pair": "the same in chunks",
    "next_token": "FLOPs of one more token, without what it takes for each key that it meets",
    "causal_key": "FLOPs of one more token and a key, where all before are met",
    "window_key": "the same in windows",
    "chunks_key": "the same in chunks",
    "window": "keys that a window holds",
    "chunk": "tokens of a chunk",
    "output": "FLOPs of a token in the output layer, forward",
    "logits": "numbers of a token that the loss keeps",
    "inputs": "numbers of a token that enter the blocks",
    "kept_blocks": "numbers of a token that the blocks keep",
    "largest": "the same of one block, on average",
    "results": "numbers of a token that the blocks' products give",
    "kept_ends": "numbers of a token that is kept outside of the blocks",
    "causal_cache": "numbers of a token that later queries meet, where all before are met",
    "window_cache": "the same in windows",
    "chunks_cache": "the same in chunks",
    "state": "numbers of a sequence that later tokens meet, however long it is",
}

_CHOICES = {
    "Attention": {
        "dense: every pair is multiplied": dict(needed=0),
        "needed: what the mask leaves": dict(needed=1),
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
    >>> llama["parameters"], llama["token_forward"], llama["causal_pair"]
    (8030261248, 15009316864, 524288)
    """
    if network.free != ("B", "T") or not {"L", "D"} <= network.sizes.keys():
        raise ConfigError(f"{network.name} does not read tokens through layers of one width, which a plan needs")
    found = Counter(
        parameters=network.parameters,
        active=network.active,
        tensors=int(network.at(network.dense.tensors)),
        inputs=network.sizes["L"] * network.sizes["D"],
    )
    reaches: dict[str, int] = {}
    for part in network.parts:
        if (mask := part.mask.words) not in _MASKS:
            raise ConfigError(f"{network.name} has the mask {mask!r}, which a plan does not know: {', '.join(_MASKS)}")
        if mask in _REACHES and reaches.setdefault(mask, reach := int(network.at(part.mask.reach))) != reach:
            raise ConfigError(f"{network.name} has {mask} of {reach} and of {reaches[mask]} tokens: a plan knows one")
        found.update(_of(network, part))
    found["largest"] = -(-found["kept_blocks"] // network.sizes["L"])
    found.update({name: reaches.get(mask, 1) for mask, name in _REACHES.items()})
    return {name: found[name] for name in AMOUNTS}


def _of(network: Network, part: Part) -> dict[str, int]:
    """Give what all parts of one kind add to the amounts."""
    model, mask = part.times * (part.needed or part.model), part.mask.words
    forward, backward = _growth(network, model.forward), _growth(network, model.backward)
    kept, results = _growth(network, model.activations), _growth(network, model.results)
    if backward[_PAIR] != 2 * forward[_PAIR]:
        raise ConfigError(f"{network.name} has pairs whose gradients do not take two products, which a plan needs")
    alone = forward if part.token is None else _growth(network, part.times * part.token)
    found = {
        "next_token": alone[_TOKEN] + alone[_SEQUENCE], f"{mask}_key": alone[_PAIR],
        "token_forward": forward[_TOKEN], "token_backward": backward[_TOKEN],
        "sequence_forward": forward[_SEQUENCE], "sequence_backward": backward[_SEQUENCE],
        f"{mask}_pair": forward[_PAIR], f"{mask}_cache": int(network.at(part.times * part.kept)),
        "state": int(network.at(part.times * part.state)),
    }  # fmt: skip
    if part.kind in _LOGITS:
        return found | dict(output=forward[_TOKEN], logits=network.sizes["V"])
    if part.kind in _IN_BLOCKS:
        return found | dict(kept_blocks=kept[_TOKEN], results=results[_TOKEN])
    return found | dict(kept_ends=kept[_TOKEN])


def _growth(network: Network, amount: Expr) -> Counter[tuple[int, int]]:
    """Sort what a step takes of one sequence by how it grows with tokens and keys.

    A scan in chunks is taken to have whole chunks, and a convolution before it to reach no further than the sequence.
    What is kept for a token is rounded up.
    """
    at_sizes = amount.subs({axis(name): size for name, size in network.sizes.items()}).subs(B, 1)
    whole = at_sizes.replace(sympy.floor, lambda chunks: chunks).replace(sympy.ceiling, lambda chunks: chunks)
    long = whole.replace(sympy.Min, lambda *sizes: sympy.Min(*(size for size in sizes if not size.has(T))))
    try:
        powers = Poly(sympy.expand(long), T, S).as_dict()
        terms = Counter({power: int(sympy.ceiling(number)) for power, number in powers.items()})
    except PolynomialError:
        terms = Counter({(-1, 0): 1})
    if unknown := terms.keys() - _GROWTH.keys():
        raise ConfigError(f"{network.name} grows otherwise than with tokens and pairs, which a plan needs: {unknown}")
    return terms


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
    pairs = sympy.Add(*(axis(f"{words}_pair") * _pairs(mask.pairs) for words, mask in _MASKS.items()))
    forward = axis("sequence_forward") + T * axis("token_forward") + pairs
    backward = axis("sequence_backward") + T * axis("token_backward") + 2 * pairs
    inputs, results, whole, one = map(axis, ("inputs", "results", "kept_blocks", "largest"))
    selective, full = axis("selective"), axis("full")
    kept = (1 - selective - full) * whole + selective * (inputs + results) + full * (inputs + one) + axis("kept_ends")
    model = Model(
        axis("parameters"), axis("active"), axis("tensors"), B * forward, B * backward, B * T * kept, B * T * results
    )
    return training_plan(
        "model", "A model", model, B * T, presets,
        again=full * B * (forward - T * axis("output")), loss=axis("bytes_loss") * B * T * axis("logits"),
        choices=_CHOICES,
    )  # fmt: skip


def _pairs(needed: Expr) -> Expr:
    """Give all T x T pairs, or those that a mask leaves where `needed` is 1."""
    return T**2 + axis("needed") * (needed - T**2)


def use_plan() -> Plan:
    """Plan what the same models take to read a text and write on, on one device.

    Examples
    --------
    >>> use_plan().rows["Bytes of weights"]
    ('B', bytes_parameters*parameters)
    """
    pairs = sympy.Add(*(axis(f"{words}_pair") * _pairs(mask.pairs) for words, mask in _MASKS.items()))
    last = sympy.Add(*(axis(f"{words}_key") * mask.last for words, mask in _MASKS.items()))
    cache = sympy.Add(*(axis(f"{words}_cache") * mask.last for words, mask in _MASKS.items()), axis("state"))
    weights, cached = axis("bytes_parameters") * axis("parameters"), axis("bytes_activations") * cache
    read = axis("bytes_parameters") * axis("active") + cached
    token = axis("next_token") + last
    rows = {
        "Read T tokens": ("FLOPs", axis("sequence_forward") + T * axis("token_forward") + pairs),
        "Write the next token": ("FLOPs", token),
        "Bytes of weights": ("B", weights),
        "Bytes that T tokens leave": ("B", cached),
        "Texts of T tokens that fit beside the weights": (
            "", floor(Max(0, axis("memory") - weights) / cached),
        ),
        "Time of the next token, at least": ("s", Max(token / (GIGA * axis("peak")), read / axis("bandwidth"))),
    }  # fmt: skip
    return Plan("use", "What it takes to use the model", rows, {})
