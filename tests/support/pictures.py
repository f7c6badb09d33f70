"""Work out what a picture shows in a state, from the data that its script is given."""

from collections.abc import Sequence
from typing import Any


def parts_in(data: dict[str, Any], state: Sequence[int]) -> dict[tuple[str, int], str]:
    """Return every part that changes, by its place and number; `state` has the place of each control's value."""
    lengths = [len(keys) for _, keys, _, _ in data["controls"]]
    found = {}
    for place, number, axes, texts, which in data["parts"]:
        index = 0
        for axis in axes:
            index = index * lengths[axis] + state[axis]
        found[place, number] = texts[which[index]]
    return found
