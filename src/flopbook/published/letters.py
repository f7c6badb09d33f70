"""Say what the letters of published models mean: a letter means the same in every architecture."""

from flopbook.predict.axes import MEANING

__all__ = ["LETTERS"]

#: What each letter is the size of, in every architecture.
LETTERS = MEANING | {
    "W": "the keys that a query reaches at most, in a layer with a window",
}
