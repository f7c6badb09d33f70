"""Derive transformers that look at images through windows, in stages whose images get smaller.

The images of a step are Ih x Iw, and need no gradient. Stage n has Ln layers of Hn heads, En wide, and twice as many
channels as the stage before it; C1 are the first's. A window has Sw x Sw places.
"""

from dataclasses import replace

from sympy import Expr, Integer, ceiling, floor

from flopbook.checks import quoted
from flopbook.predict.axes import axis
from flopbook.predict.models.claims import BIASES, LAST_NORM, MATRICES, POSITIONS
from flopbook.predict.models.masks import Mask, every
from flopbook.predict.models.model import piece
from flopbook.predict.products import conv, matmul
from flopbook.published.config import Config, ConfigError
from flopbook.published.network import ZERO, Part, Read
from flopbook.published.on_paper.convolutional import classifier
from flopbook.published.on_paper.encoders import FEED_FORWARD_BIASES, WITH_SHIFT
from flopbook.published.on_paper.pieces import attention, biases, feed_forward, norms
from flopbook.published.on_paper.vision import classes, sides

_Image = tuple[Expr, Expr]  # height and width
_SIDE = axis("Sw")
_PLACES = _SIDE**2  # of a window


def swin(config: Config) -> Read:
    """Read a Swin: attention within windows, which are shifted by half a window in every second layer.

    Where an image is no larger than a window, nothing is shifted. Places that fill up the last windows are multiplied,
    too. One table for each layer tells how far two places of a window lie apart.
    """
    config.activation("hidden_act")
    config.without_effect(
        "hidden_dropout_prob", "attention_probs_dropout_prob", "drop_path_rate", "layer_norm_eps", "encoder_stride",
        "hidden_size", "out_features", "out_indices", "stage_names", "_out_features", "_out_indices", "path_norm",
    )  # fmt: skip
    Ls, Hs = _stages(config)
    (height, across), (high, wide) = sides(config, "image_size", 224), sides(config, "patch_size", 4)
    width, side, ratio = config.size("embed_dim", 96), config.size("window_size", 7), config.number("mlp_ratio", 4.0)
    Kc = classes(config)
    sizes = dict(Ci=config.size("num_channels", 3), Ih=height, Iw=across, Ph=high, Pw=wide, C1=width, Sw=side)
    image: _Image = ceiling(axis("Ih") / axis("Ph")), ceiling(axis("Iw") / axis("Pw"))
    rows, columns = -(-height // high), -(-across // wide)
    parts = _patches(image)
    if config.flag("use_absolute_embeddings", False):
        if height % high or across % wide:
            raise ConfigError(f"{config.where} has positions of whole patches: give an image_size that they fill")
        parts.append(Part(POSITIONS, piece(weights="positions[Y,Z,C]").at(Y=image[0], Z=image[1], C=axis("C1"))))
    with_biases, channels = config.flag("qkv_bias", True), axis("C1")
    for stage, (layers, heads) in enumerate(zip(Ls, Hs, strict=True), 1):
        if min(rows, columns) < side:
            raise ConfigError(
                f"{config.where} has windows of {side} and, in stage {stage}, an image of {rows} x {columns} places: "
                "give smaller windows"
            )
        wide_here = width * 2 ** (stage - 1)
        if wide_here % heads:
            raise ConfigError(f"{config.where} shares {wide_here} channels among {heads} heads: give a divisor")
        sizes |= {f"L{stage}": layers, f"H{stage}": heads, f"E{stage}": wide_here // heads}
        sizes[f"F{stage}"] = int(ratio * wide_here)
        shifted = layers // 2 if min(rows, columns) > side else 0
        parts += _layers(stage, channels, image, shifted=shifted, with_biases=with_biases)
        if stage < len(Ls):
            image = ceiling(image[0] / 2), ceiling(image[1] / 2)
            rows, columns = -(-rows // 2), -(-columns // 2)
            parts.append(_merged(image, channels))
            channels = 2 * channels
    last = piece(weights="norm[C] shift[C]", kept="n[B,Y,Z,C]").at(Y=image[0], Z=image[1], C=channels)
    return [*parts, Part(LAST_NORM, last), *classifier(channels, Kc)], sizes | (dict(Kc=Kc) if Kc else {})


def _stages(config: Config) -> tuple[list[int], list[int]]:
    """Read the layers and heads of each stage."""
    config.also_named(num_attention_heads="num_heads", num_hidden_layers="num_layers")
    Ls, Hs = config.numbers("depths", [2, 2, 6, 2]), config.numbers("num_heads", [3, 6, 12, 24])
    if len(Ls) != len(Hs) or not 0 < len(Ls) < 10 or min(*Ls, *Hs) < 1:
        raise ConfigError(
            f"{config.where} says depths = {quoted(Ls)} and num_heads = {quoted(Hs)}: give one of each for each stage, "
            "of at least 1, for at most 9 stages"
        )
    config.without_effect("num_layers")  # the library takes the number of depths
    return Ls, Hs


def _patches(image: _Image) -> list[Part]:
    """Make the channels of a place of each patch, with a bias, and normalize them."""
    cut = piece(
        conv("images[B,Ci,Ih,Iw] * w[C,Ci,Ph,Pw] -> x[B,C,Y,Z]"),
        weights="w[C,Ci,Ph,Pw]",
        kept="images[B,Ci,Ih,Iw] x[B,C,Y,Z]",
        data=["images"],
    )
    size = dict(C=axis("C1"), Y=image[0], Z=image[1])
    return [Part(MATRICES, cut.at(**size)), Part(BIASES, piece(weights="b[C] norm[C] shift[C]").at(**size))]


def _layers(stage: int, channels: Expr, image: _Image, *, shifted: int, with_biases: bool) -> list[Part]:
    """Give the layers of a stage: attention in windows, and a feed-forward part at each place of the image."""
    L, H, E, F = (axis(f"{letter}{stage}") for letter in "LHEF")
    rows, columns = (ceiling(side / _SIDE) for side in image)  # of windows
    letters = dict(D=channels, H=H, G=H, E=E, F=F)
    windows = {"B": axis("B") * rows * columns, "T": _PLACES}
    parts = []
    for times, mask in (L - shifted, every(_PLACES, _PLACES)), (Integer(shifted), _shifted(rows, columns)):
        if times != 0:
            met = attention(times, mask)
            parts.append(replace(met, model=met.model.at(**letters).at(**windows), kept=ZERO))
    places = dict(T=image[0] * image[1])
    beside = [
        feed_forward(L, gated=False),
        norms(2 * L, WITH_SHIFT),
        biases(L, f"bo[D] {FEED_FORWARD_BIASES}"),
        *([biases(L, "bq[H,E] bk[G,E] bv[G,E]")] if with_biases else []),
    ]
    parts += [replace(part, model=part.model.at(**letters).at(**places)) for part in beside]
    table = piece(weights="table[Y,Z,H]").at(H=H, Y=2 * _SIDE - 1, Z=2 * _SIDE - 1)
    return [*parts, Part(POSITIONS, table, L)]


def _shifted(rows: Expr, columns: Expr) -> Mask:
    """Let places of a window meet those that lay beside them before the shift: the last windows join two edges."""
    half = floor(_SIDE / 2)
    down, along = ((number - 1) * _SIDE**2 + (_SIDE - half) ** 2 + half**2 for number in (rows, columns))
    return Mask("shifted windows", down * along / (rows * columns), _PLACES, _PLACES, _PLACES, _PLACES)


def _merged(image: _Image, channels: Expr) -> Part:
    """Make one place of four, with twice the channels; the size is that of the smaller image."""
    merge = piece(matmul("n[B,Y,Z,I] @ w[I,O] -> y[B,Y,Z,O]"), weights="w[I,O] norm[I] shift[I]", kept="n[B,Y,Z,I]")
    return Part(MATRICES, merge.at(I=4 * channels, O=2 * channels, Y=image[0], Z=image[1]))


READERS = {"swin": swin}
