"""Hold models on paper to the library that people use."""

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import transformers

from flopbook.published import from_config
from flopbook.published.config import WITHOUT_EFFECT
from flopbook.published.in_library.witness import Witness, witness

#: Keys that the library has no default for, although no model runs without them.
WITHOUT_DEFAULT = {"deepseek_v2": dict(num_experts_per_tok=6)}


def on_paper(config: Mapping[str, Any], **sizes: int) -> Witness:
    """Predict what :func:`flopbook.published.in_library.witness.witness` counts."""
    network = from_config(config)
    return Witness(network.parameters, network.forward(**sizes), network.backward(**sizes))


def assert_agrees(config: Mapping[str, Any], **sizes: int) -> None:
    """Hold parameters and both passes of a model on paper to the library's."""
    assert on_paper(config, **sizes) == witness(config, **sizes)


def defaults(model_type: str, **small: Any) -> dict[str, Any]:
    """Return what the library says of a model type, with some sizes made small."""
    said = transformers.AutoConfig.for_model(model_type, **small).to_dict()
    return {"model_type": model_type, **{key: said[key] for key in said.keys() - {"model_type"}}}


def assert_no_effect(config: Mapping[str, Any], **sizes: int) -> None:
    """Change the keys that are said to have no effect: the library must run and hold what is on paper.

    A value that the library does not take is passed over.
    """
    keys = set(from_config(config).without_effect) - WITHOUT_EFFECT
    same = on_paper(config, **sizes)
    for changes in zip_longest(*([(key, other) for other in _others(config[key])] for key in sorted(keys))):
        _assert_harmless(config, [change for change in changes if change], same, sizes)


def _assert_harmless(config: Mapping[str, Any], changes: list, same: Witness, sizes: dict[str, int]) -> None:
    """Change all at once, and part by part where the library refuses them or something changes with them."""
    try:
        alike = witness(dict(config) | dict(changes), **sizes) == same
    except Exception:  # whatever the library says to a value that it does not take
        alike = len(changes) < 2
    if not alike:
        assert len(changes) > 1, f"{changes} has an effect"
        middle = len(changes) // 2
        _assert_harmless(config, changes[:middle], same, sizes)
        _assert_harmless(config, changes[middle:], same, sizes)


def _others(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, 2 * value + 2]
    if isinstance(value, float):
        return [value + 0.5]
    return [1, True] if value is None else []
