"""Derive models that look at images: what they take for a step, whose images need no gradient."""

from sympy import Integer

from flopbook.checks import quoted
from flopbook.predict.axes import B, L, T, axis
from flopbook.predict.models.claims import LAST_NORM, LOOKUP, MATRICES, OUTPUT, POSITIONS
from flopbook.predict.models.masks import CAUSAL, EVERY, Mask
from flopbook.predict.models.model import piece
from flopbook.predict.products import conv, matmul
from flopbook.published.config import Config, ConfigError
from flopbook.published.network import Part, Read
from flopbook.published.on_paper.encoders import (
    ATTENTION_BIASES,
    FEED_FORWARD_BIASES,
    WITH_SHIFT,
    encoder_attention,
    heads,
    read_once,
)
from flopbook.published.on_paper.pieces import NORM, biases, feed_forward, norms

ONE = Integer(1)


def sides(config: Config, key: str, default: int) -> tuple[int, int]:
    """Read a height and a width: one number for both, or a list of two.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    value = config.value(key)
    if not isinstance(value, (list, tuple)):
        value = [config.size(key, default)] * 2
    if len(value) != 2:
        raise ConfigError(
            f"{config.where} says {key} = {quoted(value)}: give a height and a width, or one number for both"
        )
    each = Config({f"{key}[{place}]": side for place, side in enumerate(value)}, config.where)
    height, width = (each.size(name) for name in each.given)
    return height, width


def classes(config: Config) -> int:
    """Read how many classes images are told apart into: 2, unless told otherwise.

    `num_labels` says how many, and `id2label` names them. Where both are there, `num_labels` wins, as in the library.
    """
    names = config.value("id2label")
    return config.size("num_labels", 2 if names is None else len(config.inner("id2label").given), least=0)


def image_sizes(config: Config, *, image: int, patch: int) -> dict[str, int]:
    """Read the sizes of an image and its patches, and count its tokens: a patch each, and one more.

    Raises
    ------
    ConfigError
        If no patch fits.
    """
    (height, width), (high, wide) = sides(config, "image_size", image), sides(config, "patch_size", patch)
    if height < high or width < wide:
        raise ConfigError(
            f"{config.where} says image_size = {height} x {width} and patch_size = {high} x {wide}: "
            "give patches that fit into the image"
        )
    return dict(
        Ci=config.size("num_channels", 3), Ih=height, Iw=width, Ph=high, Pw=wide,
        T=(height // high) * (width // wide) + 1,
    )  # fmt: skip


def patches() -> Part:
    """Make a token of each patch, T - 1 in all, with a convolution that moves on by a whole patch."""
    cut = piece(
        conv("images[B,Ci,Ih,Iw] * w[D,Ci,Ph,Pw] -> x[B,D,Rows,Columns]"),
        weights="w[D,Ci,Ph,Pw]",
        kept="images[B,Ci,Ih,Iw]",
        data=["images"],
    )
    return Part(MATRICES, cut.at(Rows=T - 1, Columns=ONE))


def classifier() -> list[Part]:
    """Multiply one token of each image by the output layer, which has a bias."""
    logits = matmul("n[B,D] @ w[D,Kc] -> logits[B,Kc]")
    layer = piece(logits, weights="w[D,Kc]", kept="logsoftmax[B,Kc] weight[]")
    return [Part(OUTPUT, layer), biases(ONE, "b[Kc]")]


def tower(mask: Mask = EVERY) -> list[Part]:
    """Give L layers of attention and feed-forward, each behind a norm."""
    return [encoder_attention(L, mask), feed_forward(L, gated=False), norms(2 * L, WITH_SHIFT)]


def vit(config: Config) -> Read:
    """Read a vision transformer that tells images apart.

    Its T tokens are the patches of an image and one that stands for its class, which alone enters the output layer.
    There is no pooler.
    """
    config.activation("hidden_act")
    config.without_effect(
        "hidden_dropout_prob", "attention_probs_dropout_prob", "layer_norm_eps", "encoder_stride",
        "pooler_output_size", "pooler_act",
    )  # fmt: skip
    width, number = config.size("hidden_size", 768), config.size("num_attention_heads", 12)
    sizes = image_sizes(config, image=224, patch=16) | dict(
        L=config.size("num_hidden_layers", 12),
        D=width,
        H=number,
        G=number,
        E=config.size("head_dim", width // number),
        F=config.size("intermediate_size", 3072),
    )
    parts = [
        *tower(),
        biases(L, f"bo[D] {FEED_FORWARD_BIASES}"),
        patches(),
        biases(ONE, "b[D]"),
        Part(LOOKUP, piece(weights="class[D]")),
        Part(POSITIONS, piece(weights="positions[T,D]")),
        Part(LAST_NORM, piece(weights=WITH_SHIFT, kept=NORM)),
    ]
    if config.flag("qkv_bias", True):
        parts.append(biases(L, "bq[H,E] bk[G,E] bv[G,E]"))
    if Kc := classes(config):
        sizes["Kc"] = Kc
        parts += classifier()
    return parts, sizes


Ti = axis("Ti")
#: The letters that an encoder of images has of its own, beside one of texts.
OF_IMAGES = {letter: axis(f"{letter}i") for letter in "LDHEF"} | {"G": axis("Hi")}


def clip(config: Config) -> Read:
    """Read a CLIP, which compares texts with images.

    An encoder of texts, which is causal, stands beside one of images. B texts of T tokens meet B images of Ti: the
    patches of an image, and one that stands for all of it. One token of each is multiplied into a common space, Dp
    wide, and all B x B pairs are compared there.
    """
    config.without_effect("logit_scale_init_value", "tie_word_embeddings")
    text, image = _part(config, "text_config"), _part(config, "vision_config")
    sizes = _sizes(text, width=512, number=8, hidden=2048) | dict(
        V=text.size("vocab_size", 49408),
        P=text.size("max_position_embeddings", 77),
        Dp=config.size("projection_dim", 512),
    )
    seen = _sizes(image, width=768, number=12, hidden=3072) | image_sizes(image, image=224, patch=32)
    sizes |= {str((OF_IMAGES | {"T": Ti}).get(letter, letter)): size for letter, size in seen.items()}
    for part in (text, image):
        part.finish()
    project = piece(matmul("n[B,D] @ w[D,Dp] -> embedding[B,Dp]"), weights="w[D,Dp]", kept="n[B,D] embedding[B,Dp]")
    common = [biases(L, f"{ATTENTION_BIASES} {FEED_FORWARD_BIASES}"), Part(OUTPUT, project)]
    texts = [
        *tower(CAUSAL),
        *common,
        Part(LOOKUP, piece(weights="table[V,D]")),
        Part(POSITIONS, piece(weights="positions[P,D]")),
        Part(LAST_NORM, piece(weights=WITH_SHIFT, kept=NORM)),
    ]
    images = [
        *tower(),
        *common,
        patches(),
        Part(LOOKUP, piece(weights="class[D]")),
        Part(POSITIONS, piece(weights="positions[T,D]")),
        norms(ONE, WITH_SHIFT),  # before the layers
        Part(LAST_NORM, piece(weights=WITH_SHIFT, kept="x[B,D] mean[B] deviation[B]")),
    ]
    compare = piece(
        matmul("texts[B,Dp] @ images[Others,Dp] -> logits[B,Others]"), weights="scale[]", kept="logits[B,Others]"
    )
    return [*texts, *read_once(images, Ti, **OF_IMAGES), Part(LAST_NORM, compare.at(Others=B))], sizes


def _part(config: Config, key: str) -> Config:
    """Return the configuration of texts or of images; an older key, with ``_dict`` at its end, wins over it."""
    older = f"{key}_dict"
    given = [each for each in (older, key) if config.value(each) is not None]
    part = config.inner(given[0]) if given else Config({}, f"{config.where}.{key}")
    part.activation("hidden_act")
    part.without_effect(
        "model_type", "dtype", "torch_dtype", "layer_norm_eps", "attention_dropout", "dropout",
        "projection_dim", "is_decoder", "add_cross_attention", "tie_word_embeddings",
    )  # fmt: skip
    return part


def _sizes(config: Config, *, width: int, number: int, hidden: int) -> dict[str, int]:
    sizes = heads(config, width=width, number=number)
    return sizes | dict(L=config.size("num_hidden_layers", 12), F=config.size("intermediate_size", hidden))


READERS = {"clip": clip, "vit": vit}
