"""Derive networks of convolutions that tell images apart, in stages whose images get smaller.

The images of a step are Ih x Iw, have Ci channels, and need no gradient. C0 channels leave the stem, Cn the n-th stage,
which has Ln blocks.
"""

from dataclasses import replace

from sympy import Expr, Integer, floor

from flopbook.checks import quoted
from flopbook.predict.axes import axis
from flopbook.predict.models.claims import BIASES, LAST_NORM, MATRICES, NORMS, OUTPUT
from flopbook.predict.models.convolutions import places
from flopbook.predict.models.model import piece
from flopbook.predict.products import conv, matmul
from flopbook.published.config import Config, ConfigError
from flopbook.published.network import ONE, Part, Read
from flopbook.published.on_paper.pieces import biases
from flopbook.published.on_paper.vision import classes, sides

_Image = tuple[Expr, Expr]  # height and width
_WHOLE = axis("Ih"), axis("Iw")


def moved(image: _Image, kernel: _Image | int, stride: _Image | int, padding: int = 0) -> _Image:
    """Return how many places a kernel has along either side of an image."""
    kernels, strides = (each if isinstance(each, tuple) else (each, each) for each in (kernel, stride))
    height, width = (
        places(side, along, step, padding) for side, along, step in zip(image, kernels, strides, strict=True)
    )
    return height, width


def convolution(image: _Image, entering: Expr, leaving: Expr, kernel: _Image | int, data: tuple[str, ...] = ()) -> Part:
    """Convolve all channels x with each other, at the places of an image; what is `data` needs no gradient."""
    high, wide = kernel if isinstance(kernel, tuple) else (Integer(kernel), Integer(kernel))
    product = conv("x[B,I,Y,Z] * w[O,I,R,S] -> y[B,O,P,Q]")
    step = piece(product, weights="w[O,I,R,S]", kept="y[B,O,P,Q]", data=data)
    return Part(MATRICES, step.at(I=entering, O=leaving, R=high, S=wide, P=image[0], Q=image[1]))


def norm(image: _Image, channels: Expr, times: Expr = ONE) -> Part:
    """Give a norm a weight and a bias for each channel; it keeps what it gives."""
    model = piece(weights="scale[O] shift[O]", kept="n[B,O,P,Q]")
    return Part(NORMS, model.at(O=channels, P=image[0], Q=image[1]), times)


def stages(config: Config, channels: list[int], depths: list[int]) -> tuple[list[tuple[Expr, Expr]], dict[str, int]]:
    """Read the channels and blocks of each stage, as letters and as sizes.

    Raises
    ------
    ConfigError
        If they are not as many, or one is less than 1.
    """
    Cs, Ls = config.numbers("hidden_sizes", channels), config.numbers("depths", depths)
    if len(Cs) != len(Ls) or not Cs or min(*Cs, *Ls) < 1:
        raise ConfigError(
            f"{config.where} says hidden_sizes = {quoted(Cs)} and depths = {quoted(Ls)}: give one of each for each "
            "stage, of at least 1"
        )
    if len(Cs) > 9:
        raise ConfigError(f"{config.where} says depths = {quoted(Ls)}: at most 9 stages have letters")
    letters = [(axis(f"C{stage}"), axis(f"L{stage}")) for stage in range(1, len(Cs) + 1)]
    sizes = {f"C{stage}": channels for stage, channels in enumerate(Cs, 1)}
    return letters, sizes | {f"L{stage}": blocks for stage, blocks in enumerate(Ls, 1)}


def classifier(channels: Expr, Kc: int) -> list[Part]:
    """Multiply the mean of each channel by the output layer, which has a bias; without classes there is none."""
    if not Kc:
        return []
    layer = piece(
        matmul("n[B,D] @ w[D,Kc] -> logits[B,Kc]"), weights="w[D,Kc]", kept="n[B,D] logsoftmax[B,Kc] weight[]"
    )
    return [Part(OUTPUT, layer.at(D=channels)), biases(ONE, "b[Kc]")]


def resnet(config: Config) -> Read:
    """Read a ResNet: blocks of two or three convolutions, each with a norm, that add what came in.

    The size of its images, Ih x Iw, is left open.
    """
    config.activation("hidden_act")
    config.without_effect("out_features", "out_indices", "stage_names", "_out_features", "_out_indices")
    letters, sizes = stages(config, [256, 512, 1024, 2048], [3, 4, 6, 3])
    sizes |= dict(Ci=config.size("num_channels", 3), C0=config.size("embedding_size", 64))
    is_basic = config.one_of("layer_type", "bottleneck", ("basic", "bottleneck")) == "basic"
    early = config.flag("downsample_in_bottleneck", False)
    strides = [2 if config.flag("downsample_in_first_stage", False) else 1, *[2] * (len(letters) - 1)]
    image = moved(_WHOLE, 7, 2, 3)
    parts = [convolution(image, axis("Ci"), axis("C0"), 7, data=("x",)), norm(image, axis("C0"))]
    image = moved(image, 3, 2, 1)
    entering, before = axis("C0"), sizes["C0"]
    for (C, blocks), stride in zip(letters, strides, strict=True):
        into, image = image, moved(image, 1, stride)
        within = (
            [(C, 3, image)] if is_basic else [(floor(C / 4), 1, image if early else into), (floor(C / 4), 3, image)]
        )
        last = (C, 3 if is_basic else 1, image)
        parts += _block(entering, [*within, last])
        if before != sizes[str(C)] or stride > 1:
            parts += _block(entering, [(C, 1, image)])  # adapts what came in
        if sizes[str(blocks)] > 1:
            parts += _block(C, [(leaving, kernel, image) for leaving, kernel, _ in [*within, last]], blocks - 1)
        entering, before = C, sizes[str(C)]
    Kc = classes(config)
    return [*parts, *classifier(entering, Kc)], sizes | (dict(Kc=Kc) if Kc else {})


def _block(entering: Expr, layers: list[tuple[Expr, int, _Image]], times: Expr = ONE) -> list[Part]:
    """Give convolutions one after another, each with a norm."""
    parts = []
    for leaving, kernel, image in layers:
        parts += [replace(convolution(image, entering, leaving, kernel), times=times), norm(image, leaving, times)]
        entering = leaving
    return parts


def convnext(config: Config) -> Read:
    """Read a ConvNeXt: blocks of a convolution of each channel by itself, and two layers four times as wide between."""
    config.activation("hidden_act")
    config.without_effect(
        "layer_norm_eps", "drop_path_rate", "out_features", "out_indices", "stage_names", "_out_features",
        "_out_indices",
    )  # fmt: skip
    letters, sizes = stages(config, [96, 192, 384, 768], [3, 3, 9, 3])
    number = config.size("num_hidden_layers" if "num_hidden_layers" in config.given else "num_stages", 4)
    if number != len(letters):
        raise ConfigError(
            f"{config.where} says num_stages = {number}, and has hidden_sizes and depths of {len(letters)}"
        )
    (height, width), (high, wide) = sides(config, "image_size", 224), sides(config, "patch_size", 4)
    sizes |= dict(Ci=config.size("num_channels", 3), Ih=height, Iw=width, Ph=high, Pw=wide)
    is_scaled = config.number("layer_scale_init_value", 1e-6) > 0
    patch, entering = (axis("Ph"), axis("Pw")), letters[0][0]
    image = moved(_WHOLE, patch, patch)
    parts = [convolution(image, axis("Ci"), entering, patch, data=("x",)), bias(entering), norm(image, entering)]
    for stage, (C, blocks) in enumerate(letters):
        if stage:
            smaller = moved(image, 2, 2)
            parts += [norm(image, entering), convolution(smaller, entering, C, 2), bias(C)]
            image = smaller
        parts += [_own_channels(image, C, blocks), _wide_layers(image, C, blocks), norm(image, C, blocks)]
        if is_scaled:
            parts.append(Part(NORMS, piece(weights="scale[O]").at(O=C), blocks))
        entering = C
    parts.append(Part(LAST_NORM, piece(weights="scale[O] shift[O]", kept="x[B,O] mean[B] deviation[B]").at(O=entering)))
    Kc = classes(config)
    return [*parts, *classifier(entering, Kc)], sizes | (dict(Kc=Kc) if Kc else {})


def bias(channels: Expr) -> Part:
    """Give each channel a bias."""
    return Part(BIASES, piece(weights="b[O]").at(O=channels))


def _own_channels(image: _Image, channels: Expr, times: Expr) -> Part:
    """Convolve each channel by itself with a kernel of 7 x 7."""
    alone = piece(conv("x[B,O,Y,Z] * w[O,R,S] -> y[B,O,P,Q]"), weights="w[O,R,S] b[O]", kept="x[B,O,P,Q] y[B,O,P,Q]")
    seven = Integer(7)
    return Part(MATRICES, alone.at(O=channels, R=seven, S=seven, P=image[0], Q=image[1]), times)


def _wide_layers(image: _Image, channels: Expr, times: Expr) -> Part:
    """Multiply all channels of each place by a layer four times as wide, and back."""
    layers = piece(
        matmul("n[B,P,Q,O] @ w1[O,F] -> f[B,P,Q,F]"),
        matmul("h[B,P,Q,F] @ w2[F,O] -> z[B,P,Q,O]"),
        weights="w1[O,F] b1[F] w2[F,O] b2[O]",
        kept="f[B,P,Q,F] h[B,P,Q,F]",
    )
    return Part(MATRICES, layers.at(F=4 * channels).at(O=channels, P=image[0], Q=image[1]), times)


READERS = {"convnext": convnext, "resnet": resnet}
