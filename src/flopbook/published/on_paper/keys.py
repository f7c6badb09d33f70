"""Read the keys that many decoders share, each with the library's defaults for its architecture."""

from collections.abc import Callable

from flopbook.published.config import Config, ConfigError
from flopbook.published.network import Part
from flopbook.published.on_paper.pieces import attention_by_reach

__all__ = ["absent", "evenly", "pointwise", "reach", "reach_by_layer", "widths"]


def pointwise(config: Config, *keys: str, activation: str = "hidden_act") -> None:
    """Pass over what turns positions into angles, scales, normalizes and drops: pointwise, without parameters.

    Parameters
    ----------
    config : Config
        Of a decoder.
    *keys : str
        Further keys without effect.
    activation : str
        The key with the name of the activation function.
    """
    config.without_effect(
        "rms_norm_eps", "rope_theta", "rope_scaling", "rope_parameters", "partial_rotary_factor",
        "max_position_embeddings", "attention_dropout", *keys,
    )  # fmt: skip
    config.activation(activation)


def absent(config: Config, *keys: str) -> None:
    """Refuse parts that the library passes over, or that are not derived, where a configuration says they are there."""
    for key in keys:
        config.one_of(key, False, (False,))


def widths(config: Config, **defaults: int) -> dict[str, int]:
    """Read the sizes of a decoder.

    Parameters
    ----------
    config : Config
        With the keys that Llama has.
    **defaults : int
        Where keys are missing: L, D, F, V, H, and perhaps G and E. Without G, there are as many heads of keys as of
        queries; without E, the heads of queries are together as wide as the model.

    Raises
    ------
    ConfigError
        If heads of queries cannot share the heads of keys evenly.
    """
    keys = dict(L="num_hidden_layers", D="hidden_size", F="intermediate_size", V="vocab_size", H="num_attention_heads")
    sizes = {letter: config.size(key, defaults[letter]) for letter, key in keys.items()}
    sizes["G"] = config.size_or_null("num_key_value_heads", defaults.get("G")) or sizes["H"]
    if sizes["H"] % sizes["G"]:
        raise ConfigError(
            f"{config.where} says num_key_value_heads = {sizes['G']}, which does not divide num_attention_heads = "
            f"{sizes['H']}: give a divisor"
        )
    sizes["E"] = config.size("head_dim", defaults.get("E") or sizes["D"] // sizes["H"] or None)
    return sizes


def evenly(config: Config, width: int, heads: int) -> int:
    """Divide the width of a model among its heads.

    Raises
    ------
    ConfigError
        If they cannot have equal parts.
    """
    if width % heads:
        raise ConfigError(f"{config.where} says that {heads} heads are {width} wide: give a multiple of {heads}")
    return width // heads


def reach(config: Config, sizes: dict[str, int], width: int | None) -> list[Part]:
    """Give the attention of L layers, which all have a window if `sliding_window`, or its default, says how wide."""
    return attention_by_reach(sizes, sizes["L"], config.size_or_null("sliding_window", width))


def reach_by_layer(
    config: Config,
    sizes: dict[str, int],
    width: int | None,
    rule: Callable[[int], bool],
    *,
    both_sides: bool = False,
) -> list[Part]:
    """Give the attention of L layers, of which some have a window.

    Parameters
    ----------
    config : Config
        Its `layer_types` say which layers have one.
    sizes : dict
        Gets the width of the window, and how many layers have one.
    width : int, optional
        Of the window.
    rule : callable
        Whether a layer has a window, by its place from 0, where `layer_types` are missing.
    both_sides : bool
        Whether tokens meet those after them too.

    Raises
    ------
    ConfigError
        If a layer has a window, but the window has no width.
    """
    kinds = config.kinds("layer_types", ("full_attention", "sliding_attention"), sizes["L"])
    layers = sum(map(rule, range(sizes["L"]))) if kinds is None else kinds.count("sliding_attention")
    if layers and width is None:
        raise ConfigError(f"{config.where} has layers with a window but no sliding_window: give a whole number")
    return attention_by_reach(sizes, layers, width, both_sides=both_sides)
