"""Say what the letters of published models mean: a letter means the same in every architecture."""

from flopbook.predict.axes import MEANING

__all__ = ["LETTERS"]

#: What each letter is the size of, in every architecture.
LETTERS = MEANING | {
    "A": "moments of sound that an encoder tells apart",
    "Ci": "channels of an image",
    "Cs": "bands of frequencies of a frame of sound",
    "Di": "the width of an encoder of images, beside D of texts",
    "Dp": "the width of the space in which texts and images are compared",
    "Ds": "channels of a scan, each with a state of its own",
    "Ee": "the width of one attention head in an encoder, beside E of its decoder",
    "Ei": "the width of one attention head in an encoder of images, beside E of texts",
    "Fe": "the hidden width of a feed-forward block in an encoder, beside F of its decoder",
    "Fi": "the hidden width of a feed-forward block in an encoder of images, beside F of texts",
    "Gs": "groups of a scan, whose heads share keys and queries",
    "He": "heads in an encoder, beside H of its decoder",
    "Hi": "heads in an encoder of images, beside H of texts",
    "Hs": "heads of a scan",
    "Ih": "the height of an image",
    "Iw": "the width of an image",
    "Kc": "classes that images are told apart into",
    "Ks": "tokens that a convolution before a scan reaches, its own included",
    "La": "layers where a query meets all keys before it",
    "Le": "layers of an encoder, beside the L of its decoder",
    "Li": "layers of an encoder of images, beside L of texts",
    "Ls": "layers with a scan, where others have attention",
    "Lw": "layers with a window, where others have none",
    "Ns": "the width of a key of a scan: a state has so many numbers for each of its values",
    "P": "positions that a table of positions has a row for",
    "Ph": "the height of a patch of an image",
    "Ps": "the width of a value of a scan's head",
    "Pw": "the width of a patch of an image",
    "Rb": "distances between two tokens that a table tells apart",
    "Rs": "numbers that make the steps of a scan",
    "Ti": "the tokens of an image, beside T of a text",
    "U": "the tokens that are written, where T are read",
    "Vt": "kinds of segments that a table tells apart",
    "W": "the keys that a query reaches at most, in a layer with a window",
    "Zs": "tokens of a chunk of a scan",
}
