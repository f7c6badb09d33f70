"""Hold models that people publish, by name: each with its configuration and its source."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from flopbook.checks import quoted
from flopbook.published.network import Network
from flopbook.published.read import from_config

__all__ = ["Named", "named", "names"]


@dataclass(frozen=True)
class Named:
    """Describes a published model.

    Attributes
    ----------
    name : str
        As its makers call it.
    source : str
        Where its configuration was read.
    published : mapping of str to str
        What its makers say of it, such as its parameters.
    config : mapping
        Its configuration, in the format of a ``config.json``.
    """

    name: str
    source: str
    published: Mapping[str, str]
    config: Mapping[str, Any]

    @cached_property
    def network(self) -> Network:
        """The model on paper."""
        return from_config(self.config, self.name)


@cache
def _all() -> Mapping[str, Named]:
    read = (
        json.loads(file.read_text(encoding="utf-8"))
        for file in files("flopbook.published").joinpath("configs").iterdir()
    )
    known = sorted((Named(**each) for each in read), key=lambda model: model.name.lower())
    return MappingProxyType({model.name: model for model in known})


def names() -> list[str]:
    """List the models that are known by name.

    Examples
    --------
    >>> "Llama 3 8B" in names()
    True
    """
    return list(_all())


def named(name: str) -> Named:
    """Return a published model by its name.

    Raises
    ------
    ValueError
        If it is not known; names the nearest.

    Examples
    --------
    >>> named("Llama 3 8B").network.parameters
    8030261248
    """
    if not isinstance(name, str) or name not in _all():
        close = get_close_matches(str(name), names(), n=3, cutoff=0.4) or names()
        raise ValueError(f"{quoted(name)} is not a model that is known by name: known are {', '.join(close)}, ...")
    return _all()[name]
