"""Work out what a picture shows in a state, from the data that its script is given."""

from collections.abc import Sequence
from typing import Any


def parts_in(data: dict[str, Any], state: Sequence[int]) -> dict[tuple[str, int], str]:
    """Return every part that changes, by its place and number; `state` has the place of each control's value."""
    lengths = [len(keys) for _, keys, _, _ in data["controls"]]

    def shown(piece: int | str) -> str:
        if isinstance(piece, str):
            return piece
        axes, texts, which = data["pieces"][piece]
        index = 0
        for axis in axes:
            index = index * lengths[axis] + state[axis]
        return texts[which[index]]

    return {(place, number): "".join(map(shown, made)) for place, number, made in data["parts"]}
