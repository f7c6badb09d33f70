"""Derive models that take noise from images, as diffusers builds them: a U-Net, and a transformer.

Images are Ih x Iw, of an autoencoder's latents, and need no gradient; nor do the T encoded words that a U-Net meets.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from sympy import Expr, Integer

from flopbook.checks import quoted
from flopbook.predict.axes import L, T, axis
from flopbook.predict.models.claims import LAST_NORM, LOOKUP, MATRICES, OUTPUT
from flopbook.predict.models.convolutions import places
from flopbook.predict.models.masks import EVERY, every
from flopbook.predict.models.model import Model, piece
from flopbook.predict.products import conv, matmul
from flopbook.predict.values import evaluate
from flopbook.published.config import Config, ConfigError
from flopbook.published.network import ONE, ZERO, Part, Read
from flopbook.published.on_paper.convolutional import bias, convolution, norm
from flopbook.published.on_paper.encoders import FEED_FORWARD_BIASES, WITH_SHIFT, asking
from flopbook.published.on_paper.keys import absent
from flopbook.published.on_paper.pieces import NORM, attention, biases, feed_forward, norms

_Image = tuple[Expr, Expr]  # height and width
#: What diffusers writes into every configuration.
_WRITTEN = ("_diffusers_version", "_use_default_values")


class _Stage(NamedTuple):
    """Holds a stage of a U-Net: its letters, how many blocks and layers of attention it has, and its image."""

    C: Expr
    H: Expr
    E: Expr
    blocks: int
    depth: int
    meets_words: bool
    image: _Image


def unet(config: Config) -> Read:
    """Read a U-Net: stages of convolutions and attention, down to small images and up again.

    Each block on the way up also gets what a block on the way down gave. Where a stage meets words, each block of
    convolutions is followed by layers of attention among the places of the image, attention to words, and a
    feed-forward part with a gate.
    """
    _only_defaults(config)
    config.activation("act_fn")
    config.without_effect(
        *_WRITTEN, "center_input_sample", "flip_sin_to_cos", "freq_shift", "dropout", "norm_eps", "norm_num_groups",
        "mid_block_scale_factor", "resnet_out_scale_factor", "upcast_attention", "use_linear_projection",
        "addition_time_embed_dim", "addition_embed_type_num_heads", "projection_class_embeddings_input_dim",
    )  # fmt: skip
    stages, sizes = _stages(config)
    first, last = stages[0], stages[-1]
    parts = [
        convolution(first.image, axis("Ci"), first.C, config.size("conv_in_kernel", 3), data=("x",)),
        bias(first.C),
        *_of_time(first.C, axis("Te")),
    ]
    if config.one_of("addition_embed_type", None, (None, "text_time")):
        sizes["Pt"] = config.size("projection_class_embeddings_input_dim")
        parts += _of_time(axis("Pt"), axis("Te"))
    entering = first.C
    for stage, smaller in zip(stages, [*stages[1:], None], strict=True):
        for _ in range(stage.blocks):
            parts += _block(stage, stage.image, entering, sizes)
            entering = stage.C
        if smaller:
            parts += [convolution(smaller.image, stage.C, stage.C, 3), bias(stage.C)]
    if config.value("mid_block_type", "") is not None:
        config.one_of("mid_block_type", "UNetMidBlock2DCrossAttn", ("UNetMidBlock2DCrossAttn",))
        parts += _block(last._replace(meets_words=True), last.image, last.C, sizes)
        parts += _block(last._replace(meets_words=False), last.image, last.C, sizes)
    parts += _upwards(config, stages, sizes)
    leaving = convolution(first.image, first.C, axis("Co"), config.size("conv_out_kernel", 3))
    parts += [replace(norm(first.image, first.C), kind=LAST_NORM), replace(leaving, kind=OUTPUT), bias(axis("Co"))]
    return parts, sizes


def _only_defaults(config: Config) -> None:
    """Refuse what changes the products in ways that are not derived here."""
    for key, default in {
        "only_cross_attention": False, "dual_cross_attention": False, "class_embeddings_concat": False,
        "resnet_skip_time_act": False, "mid_block_only_cross_attention": None, "num_attention_heads": None,
        "encoder_hid_dim": None, "encoder_hid_dim_type": None, "class_embed_type": None, "num_class_embeds": None,
        "reverse_transformer_layers_per_block": None, "time_cond_proj_dim": None, "cross_attention_norm": None,
        "time_embedding_act_fn": None, "timestep_post_act": None, "time_embedding_type": "positional",
        "resnet_time_scale_shift": "default", "attention_type": "default",
    }.items():  # fmt: skip
        config.one_of(key, default, (default,))


def _stages(config: Config) -> tuple[list[_Stage], dict[str, int]]:
    """Read the stages on the way down, and the sizes of the letters.

    Raises
    ------
    ConfigError
        If the lists are not equally long, or words have several widths.
    """
    kinds = _kinds(config, "down_block_types", [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"])
    Cs = config.numbers("block_out_channels", [320, 640, 1280, 1280])
    Hs, blocks, depths, widths = (
        _for_each(config, key, default, len(kinds))
        for key, default in {
            "attention_head_dim": 8, "layers_per_block": 2, "transformer_layers_per_block": 1,
            "cross_attention_dim": 1280,
        }.items()
    )  # fmt: skip
    if len(Cs) != len(kinds) or not 0 < len(Cs) < 10 or len(set(widths)) > 1:
        raise ConfigError(
            f"{config.where} says block_out_channels = {quoted(Cs)} and cross_attention_dim = {quoted(widths)}: give "
            "channels for each of at most 9 stages, and one width of words for all"
        )
    sizes = dict(
        Ci=config.size("in_channels", 4), Co=config.size("out_channels", 4), Dc=widths[0],
        Te=config.size("time_embedding_dim", 4 * Cs[0]),
    )  # fmt: skip
    if config.value("sample_size") is not None:
        height, width = _for_each(config, "sample_size", 0, 2)
        sizes |= dict(Ih=height, Iw=width)
    padding = config.one_of("downsample_padding", 1, (0, 1))
    image: _Image = axis("Ih"), axis("Iw")
    stages = []
    for number, (is_cross, C, H, count, depth) in enumerate(zip(kinds, Cs, Hs, blocks, depths, strict=True), 1):
        sizes |= {f"C{number}": C, f"H{number}": H, f"E{number}": C // H}
        channels, heads, width_of_head = (axis(f"{letter}{number}") for letter in "CHE")
        stages.append(_Stage(channels, heads, width_of_head, count, depth, is_cross, image))
        height, width = (places(side, 3, 2, 1) if padding else places(side + 1, 3, 2) for side in image)
        image = height, width
    return stages, sizes


def _kinds(config: Config, key: str, default: Sequence[str]) -> list[bool]:
    """Read the kind of each stage, and tell which meet words."""
    each, known = config.value(key) or default, sorted({*default})
    if not isinstance(each, (list, tuple)) or not set(known).issuperset(each):
        raise ConfigError(f"{config.where} says {key} = {quoted(each)}: known are {' and '.join(known)}")
    return [kind.startswith("CrossAttn") for kind in each]


def _for_each(config: Config, key: str, default: int, number: int) -> list[int]:
    """Read one number for all stages, or a list of one for each."""
    if not isinstance(config.value(key), (list, tuple)):
        return [config.size(key, default)] * number
    each = config.numbers(key, [])
    if len(each) != number or min(each) < 1:
        raise ConfigError(f"{config.where} says {key} = {quoted(each)}: give {number} numbers of at least 1, or one")
    return each


def _upwards(config: Config, stages: Sequence[_Stage], sizes: dict[str, int]) -> list[Part]:
    """Give the stages on the way up: a block more than on the way down, each of which gets a twin's channels, too."""
    kinds = _kinds(config, "up_block_types", ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3])
    if len(kinds) != len(stages):
        raise ConfigError(f"{config.where} has {len(kinds)} up_block_types and {len(stages)} down_block_types")
    parts: list[Part] = []
    entering = stages[-1].C
    larger = [stages[0], *stages[:-1]][::-1]
    for stage, above, is_cross in zip(stages[::-1], larger, kinds, strict=True):
        here = stage._replace(meets_words=is_cross)
        for block in range(stage.blocks + 1):
            twin = above.C if block == stage.blocks else stage.C
            parts += _block(here, stage.image, entering + twin, sizes)
            entering = stage.C
        if stage is not stages[0]:
            parts += [convolution(above.image, stage.C, stage.C, 3), bias(stage.C)]
    return parts


def _block(stage: _Stage, image: _Image, entering: Expr, sizes: dict[str, int]) -> list[Part]:
    """Give two convolutions that add what came in, and layers of attention where the stage meets words."""
    C = stage.C
    moment = piece(matmul("t[B,I] @ w[I,O] -> y[B,O]"), weights="w[I,O] b[O]", kept="t[B,I]").at(I=axis("Te"), O=C)
    parts = [
        norm(image, entering), convolution(image, entering, C, 3), bias(C), Part(MATRICES, moment),
        norm(image, C), convolution(image, C, C, 3), bias(C),
    ]  # fmt: skip
    if evaluate(entering, sizes) != evaluate(C, sizes):
        parts += [convolution(image, entering, C, 1), bias(C)]  # adapts what came in
    return [*parts, *_words(stage, image)] if stage.meets_words else parts


def _words(stage: _Stage, image: _Image) -> list[Part]:
    """Give layers of attention among the places of an image, and to words, between two layers of all channels."""
    depth, height, width = Integer(stage.depth), *image
    inner = stage.H * stage.E
    letters = dict(D=inner, H=stage.H, G=stage.H, E=stage.E, F=4 * inner)
    told = piece(
        matmul("e[B,S,Dc] @ wk[Dc,H,E] -> k[B,S,H,E]"),
        matmul("e[B,S,Dc] @ wv[Dc,H,E] -> v[B,S,H,E]"),
        weights="wk[Dc,H,E] wv[Dc,H,E]",
        kept="k[B,S,H,E] v[B,S,H,E]",
        data=["e"],
    )
    around = piece(
        matmul("n[B,T,C] @ wi[C,D] -> x[B,T,D]"),
        matmul("y[B,T,D] @ wo[D,C] -> z[B,T,C]"),
        weights="wi[C,D] bi[D] wo[D,C] bo[C]",
        kept="n[B,T,C] y[B,T,D]",
    )
    met = every(height * width, T)
    among = replace(attention(depth, every(height * width, height * width)), kept=ZERO)
    layers = [
        Part(MATRICES, around.at(C=stage.C)),
        among,
        Part(MATRICES, asking(), depth, met),
        Part(MATRICES, told, depth, met),
        feed_forward(depth, gated=True),
        norms(3 * depth, WITH_SHIFT),
        biases(depth, f"bo[D] cross[D] bg[F] {FEED_FORWARD_BIASES}"),
    ]
    placed = [replace(part, model=part.model.at(**letters).at(T=height * width)) for part in layers]
    return [norm(image, stage.C), *placed]


def _of_time(entering: Expr, leaving: Expr) -> list[Part]:
    """Give two layers that turn a moment, written in waves, into numbers; the waves need no gradient."""
    first = piece(matmul("t[B,I] @ w[I,O] -> h[B,O]"), weights="w[I,O] b[O]", kept="t[B,I] h[B,O]", data=["t"])
    second = piece(matmul("h[B,O] @ v[O,J] -> y[B,J]"), weights="v[O,J] b[J]", kept="g[B,O]").at(J=leaving)
    return [Part(MATRICES, (first + second).at(I=entering, O=leaving))]


def dit(config: Config) -> Read:
    """Read a DiT: a transformer on the patches of an image, whose norms are shifted and scaled by moment and class.

    Each layer has layers of its own for the moment and a table of its own for the class, as diffusers builds it: more
    parameters than the paper's model has, where all layers share them. One more row of the table stands for no class.
    The first layer's are run once more at the end.
    """
    known = ("gelu", "gelu-approximate", "geglu", "geglu-approximate", "swiglu", "linear-silu")
    gated = config.one_of("activation_fn", "gelu-approximate", known) in ("geglu", "swiglu")
    config.without_effect(*_WRITTEN, "dropout", "norm_eps", "norm_num_groups", "upcast_attention")
    config.one_of("norm_type", "ada_norm_zero", ("ada_norm_zero",))
    absent(config, "only_cross_attention", "double_self_attention", "use_linear_projection")
    for key in ("cross_attention_dim", "num_vector_embeds"):
        config.one_of(key, None, (None,))
    H, E = config.size("num_attention_heads", 16), config.size("attention_head_dim", 72)
    side, patch, channels = config.size("sample_size", 32), config.size("patch_size", 2), config.size("in_channels", 4)
    if side % patch:
        raise ConfigError(f"{config.where} says sample_size = {side} and patch_size = {patch}: give a multiple of it")
    sizes = dict(
        L=config.size("num_layers", 28), D=H * E, H=H, G=H, E=E, F=4 * H * E, T=(side // patch) ** 2,
        Ih=side, Iw=side, Ph=patch, Pw=patch, Ci=channels, Co=config.size("out_channels", channels),
        Kc=config.size("num_embeds_ada_norm", 1000), Wt=256,
    )  # fmt: skip
    (moment,) = _of_time(axis("Wt"), axis("D"))
    run_again = replace(moment.model, parameters=ZERO, active=ZERO, tensors=ZERO)
    parts = [
        _cut(),
        bias(axis("D")),
        replace(moment, times=L),
        Part(MATRICES, run_again),
        Part(LOOKUP, piece(weights="table[Kc,D] none[D]", active="one[D]"), L),
        Part(MATRICES, _from_moment(6), L),
        replace(attention(L, EVERY), kept=ZERO),
        feed_forward(L, gated=gated),
        norms(2 * L, ""),
        biases(L, f"bo[D] {FEED_FORWARD_BIASES}" + " bg[F]" * gated),
        Part(LAST_NORM, _from_moment(2)),
        Part(LAST_NORM, piece(kept=NORM)),
        Part(OUTPUT, _patched()),
    ]
    if config.flag("attention_bias", True):
        parts.append(biases(L, "bq[H,E] bk[G,E] bv[G,E]"))
    if config.flag("norm_elementwise_affine", False):
        parts.append(norms(L, WITH_SHIFT, ""))
    return parts, sizes


def _cut() -> Part:
    """Make a token of each patch."""
    cut = piece(
        conv("images[B,Ci,Ih,Iw] * w[D,Ci,Ph,Pw] -> x[B,D,Rows,Columns]"),
        weights="w[D,Ci,Ph,Pw]",
        kept="images[B,Ci,Ih,Iw]",
        data=["images"],
    )
    return Part(MATRICES, cut.at(Rows=T, Columns=ONE))


def _from_moment(times: int) -> Model:
    """Make so many numbers for each of the D from moment and class."""
    layer = piece(matmul("c[B,D] @ w[D,O] -> y[B,O]"), weights="w[D,O] b[O]", kept="c[B,D] y[B,O]")
    return layer.at(O=times * axis("D"))


def _patched() -> Model:
    """Make a patch of each token."""
    return piece(
        matmul("n[B,T,D] @ w[D,Ph,Pw,Co] -> y[B,T,Ph,Pw,Co]"), weights="w[D,Ph,Pw,Co] b[Ph,Pw,Co]", kept="n[B,T,D]"
    )


READERS = {"DiTTransformer2DModel": dit, "UNet2DConditionModel": unet}
