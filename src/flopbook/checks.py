"""Check what a reader gives, and quote it where it cannot be used."""

import operator
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from math import isfinite
from numbers import Integral, Real
from typing import Any, TypeGuard

_LONGEST = 80


def quoted(value: object) -> str:
    """Quote a value for an error: its `repr`, or the beginning of a long one.

    Examples
    --------
    >>> quoted("2*B"), quoted("x" * 10**6) == repr("x" * 76) + "..."
    ("'2*B'", True)
    >>> quoted(10**5000)
    'a whole number of 16610 bits'
    """
    if isinstance(value, Integral) and operator.index(value).bit_length() > 4 * _LONGEST:
        return f"a whole number of {operator.index(value).bit_length()} bits"
    if isinstance(value, (str, bytes)) and len(value) > _LONGEST:
        return f"{value[: _LONGEST - 4]!r}..."
    try:
        written = repr(value)
    except Exception:  # whatever the reader's own type raises
        return f"an object of type {type(value).__name__}"
    if len(written) <= _LONGEST and "\n" not in written:
        return written
    return f"{written.partition(chr(10))[0][: _LONGEST - 3]}..."


def size(name: str, value: object, least: int = 1) -> int:
    """Return the size that an axis is given, a whole number.

    Parameters
    ----------
    name : str
        Of the axis or argument.
    value : object
        What the reader gave.
    least : int
        The smallest that has a meaning.

    Raises
    ------
    ValueError
        If it is anything else; quotes it.

    Examples
    --------
    >>> size("B", 64)
    64
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or operator.index(value) < least:
        raise ValueError(f"{name}={quoted(value)} is not a size: write a whole number of at least {least}")
    return operator.index(value)


def sizes(given: object) -> dict[str, int]:
    """Return the sizes that axes are given by name.

    Raises
    ------
    TypeError
        If they are not a mapping.
    ValueError
        If one is not a whole number of at least 1; quotes it.

    Examples
    --------
    >>> sizes(dict(B=64))
    {'B': 64}
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"{quoted(given)} is not a mapping of sizes: write sizes=dict(B=64, ...)")
    return {name: size(name, value) for name, value in given.items()}


def text(name: str, value: object) -> None:
    """Refuse what is not text, or is empty.

    Raises
    ------
    TypeError
        Quotes the value.
    """
    if not (isinstance(value, str) and value):
        raise TypeError(f"{name}={quoted(value)} is not text: write a word or more in quotation marks")


def positive(name: str, value: object) -> None:
    """Refuse what is not a positive, finite number.

    Parameters
    ----------
    name : str
        Of the argument.
    value : object
        What the reader gave.

    Raises
    ------
    ValueError
        If it is anything else; quotes it.
    """
    if not (is_number(value) and float(value) > 0):
        raise ValueError(f"{name}={quoted(value)} is out of range: write a positive number")


def function(value: object, example: str) -> Callable:
    """Return a function, and refuse what cannot be called.

    Parameters
    ----------
    value : object
        What the reader gave.
    example : str
        What to write instead.

    Raises
    ------
    TypeError
        Quotes the value.
    """
    if not callable(value):
        raise TypeError(f"{quoted(value)} cannot be called: write {example}")
    return value


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value is a real, finite number.

    Examples
    --------
    >>> [is_number(value) for value in (3, 2.5, True, float("nan"), "3")]
    [True, True, False, False, False]
    """
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)


def several(name: str, value: object, example: str) -> tuple[Any, ...]:
    """Return what a collection holds, and refuse text and what holds nothing.

    Parameters
    ----------
    name : str
        Of the argument.
    value : object
        What the reader gave.
    example : str
        What to write instead.

    Raises
    ------
    TypeError
        If it is text, or cannot be gone through; quotes it.

    Examples
    --------
    >>> several("tokens", [4096, 8192], "[4096]")
    (4096, 8192)
    """
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{name}={quoted(value)} does not hold several: write {name}={example}")
    return tuple(value)


def one_of(kind: str, value: object, known: Collection[str]) -> str:
    """Return a name that is known.

    Parameters
    ----------
    kind : str
        What is named, such as ``"optimizer"``.
    value : object
        What the reader gave.
    known : collection of str
        All names.

    Raises
    ------
    TypeError
        If it is not text.
    ValueError
        If the name is not known; suggests one that is spelt alike.

    Examples
    --------
    >>> one_of("optimizer", "adamw", ["SGD", "AdamW"])
    Traceback (most recent call last):
    ...
    ValueError: optimizer='adamw' is not known; did you mean 'AdamW'? Write one of 'SGD', 'AdamW'
    """
    if isinstance(value, str) and value in known:
        return value
    listed = ", ".join(map(repr, known))
    if not isinstance(value, str):
        raise TypeError(f"{kind}={quoted(value)} is not a name: write one of {listed}")
    alike = get_close_matches(value[:_LONGEST].lower(), [name.lower() for name in known], n=1)
    meant = [f"; did you mean {name!r}?" for name in known if name.lower() in alike] or [":"]
    advice = "Write" if alike else "write"
    raise ValueError(f"{kind}={quoted(value)} is not known{meant[0]} {advice} one of {listed}")
