"""Say what the letters of published models mean: a letter means the same in every architecture."""

from flopbook.predict.axes import MEANING

__all__ = ["LETTERS"]

#: What each letter is the size of, in every architecture.
LETTERS = MEANING | {
    "Le": "layers of an encoder, beside the L of its decoder",
    "Lw": "layers with a window, where others have none",
    "P": "positions that a table of positions has a row for",
    "Rb": "distances between two tokens that a table tells apart",
    "U": "the tokens that are written, where T are read",
    "Vt": "kinds of segments that a table tells apart",
    "W": "the keys that a query reaches at most, in a layer with a window",
}
